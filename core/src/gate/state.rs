//! What is committed, for the gate's machines that decide but do not own it.

use super::ledger::GateLedger;
use super::models::{GateCommand, Job};
use crate::consensus::Group;
use crate::ids::{Fence, GroupId, LogIndex};

/// A read-only view of committed state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Committed<'a> {
    /// The ledger.
    pub(super) ledger: &'a GateLedger,
    /// The gates' group.
    pub(super) group: GroupId,
    /// The newest entry that the ledger holds. The group may have committed more in the same step.
    pub(super) index: LogIndex,
}

impl<'a> Committed<'a> {
    /// What a ledger holds of a group's log up to `index`.
    pub(super) fn of(group: &Group<GateCommand>, ledger: &'a GateLedger, index: LogIndex) -> Self {
        Self { ledger, group: group.id(), index }
    }

    /// The fence that an entry granted.
    pub(super) fn fence(&self, index: LogIndex) -> Fence {
        Fence { group: self.group, index }
    }
}

/// What numbers updates of a job: its owner's fence, and at last the entry that ended it.
pub(super) fn epoch(job: &Job) -> LogIndex {
    job.ended.unwrap_or(job.owner.fence)
}
