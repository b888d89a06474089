//! What a snapshot holds of a group beside its ledger.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::bounded::BoundedMap;
use crate::ids::{DiskId, GroupId, LogIndex, Lsn, Term};
use crate::limits::ORIGINS_MAX;

/// The state of a group at an entry of its log.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Head {
    /// The group.
    pub group: GroupId,
    /// The node's term.
    pub term: Term,
    /// Whom the node voted for in that term.
    pub vote: Option<DiskId>,
    /// Boots of the disk so far.
    pub boots: u64,
    /// The journal record of the last of them.
    pub booted: Lsn,
    /// Whether the disk still asks to be let in, and the voter whose place it takes.
    pub joining: Option<Option<DiskId>>,
    /// The last entry contained.
    pub index: LogIndex,
    /// Its term.
    pub index_term: Term,
    /// The digest of the log up to it.
    pub chain: u64,
    /// The members at it.
    pub membership: Membership,
    /// The last submission of every disk contained: its boot and number.
    pub origins: BoundedMap<DiskId, (u64, u64), ORIGINS_MAX>,
}
