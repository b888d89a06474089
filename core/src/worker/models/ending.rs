//! What the engine says last about a run.

use crate::ids::RunId;
use crate::input::Progress;
use crate::stats::Totals;

/// A run issues nothing more, and the engine has forgotten it.
#[derive(Debug)]
pub(in crate::worker) struct Ending {
    /// The run.
    pub(in crate::worker) run: RunId,
    /// Whether it did all its slice asked.
    pub(in crate::worker) completed: bool,
    /// Its last counters.
    pub(in crate::worker) progress: Progress,
    /// Its final totals.
    pub(in crate::worker) totals: Box<Totals>,
}
