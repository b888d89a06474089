//! A shard and its latest run, as committed.

use serde::{Deserialize, Serialize};

use super::command::RunOutcome;
use crate::ids::{BootId, LogIndex, NodeId};
use crate::plan::PlanTime;

/// A shard of a dispatched workflow. At most one of its runs has not ended, and that is the latest:
/// an earlier run is superseded only after its end was committed, so nothing else of it needs to be
/// kept.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Shard {
    /// How often it was assigned.
    pub assigns: u32,
    /// Its latest run.
    pub run: Option<Run>,
}

/// A run as the ledger knows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The assigning entry: its fence.
    pub index: LogIndex,
    /// The worker.
    pub worker: NodeId,
    /// The worker's life it was given to.
    pub boot: BootId,
    /// The first local item it may issue.
    pub first: u64,
    /// No confirmation ever exceeds this; `first` until the first reservation.
    pub reserved: u64,
    /// Plan time at which it took the shard.
    pub joined: PlanTime,
    /// It goes on at the very item at which the run before it stopped.
    pub is_handed: bool,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// The committed end of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub outcome: RunOutcome,
    /// Items from here on were never permitted to it.
    pub ceiling: u64,
    /// Plan time up to which it held the shard.
    pub until: PlanTime,
}

impl Run {
    /// Whether it may have been confirmed: the first reservation is committed before the first
    /// confirmation.
    pub fn may_have_issued(&self) -> bool {
        self.reserved > self.first
    }
}

impl Shard {
    /// The run that has not ended.
    pub fn open(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.ended.is_none())
    }

    /// How its latest run ended, unless one is open or none ever was.
    pub fn ended(&self) -> Option<&Ended> {
        self.run.as_ref().and_then(|run| run.ended.as_ref())
    }

    /// Whether a run did all that the slice asked.
    pub fn is_completed(&self) -> bool {
        self.ended().is_some_and(|ended| ended.outcome == RunOutcome::Completed)
    }
}
