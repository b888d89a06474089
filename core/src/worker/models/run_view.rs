//! A run as others may see it.

use crate::ids::RunId;
use crate::time::Instant;
use crate::wire::RunState;

/// A read-only view of one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunView {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: RunState,
    /// The end of its newest permit; `None` if it was never confirmed.
    pub until: Option<Instant>,
    /// The highest ceiling it was given.
    pub ceiling: u64,
    /// The core it holds.
    pub core: Option<u16>,
}
