//! A gate's session in the ledger.

use serde::{Deserialize, Serialize};

use crate::ids::{DiskId, LogIndex};

/// The newest session of a gate. That it is here says that its lease may last; whether it does is
/// known to its holder and to the leader only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The entry that enrolled it: its name.
    pub index: LogIndex,
    /// The disk of the gate.
    pub disk: DiskId,
    /// The boot of that disk.
    pub boot: u64,
}
