//! What becomes of a part by the word of its gate: begun, cancelled, claimed by another owner,
//! closed; and given up when it is never begun.
//!
//! An offer that has expired is remembered by its fence, so that neither it nor a begin that names
//! it does anything when it comes again, late: the gate may have placed the part elsewhere by then.

use super::super::models::{Buried, Part, StopCause, Tombstone};
use super::super::stats::Ending;
use super::super::workflow_lifecycle::{may_move, with_dependents};
use super::{ManagerLedger, conclude};
use crate::ids::{Fence, NodeId, PartId, WorkflowIx};
use crate::plan::PlanTime;
use crate::report::WorkflowStatus;

impl ManagerLedger {
    pub(super) fn begin(&mut self, id: PartId, gate: NodeId, fence: Fence) -> Option<()> {
        let part = self.part_mut(id)?;
        if part.begun || part.cancelled || fence <= part.offer {
            return None;
        }
        part.begun = true;
        part.heed(gate, fence);
        Some(())
    }

    pub(super) fn cancel(
        &mut self,
        id: PartId,
        gate: NodeId,
        fence: Fence,
        workflow: Option<WorkflowIx>,
    ) -> Option<()> {
        let Some(part) = self.part_mut(id) else {
            let known = self.tombstone(id).map(|known| (known.buried, known.fence));
            if known.is_some_and(|(buried, _)| buried != Buried::Expired) {
                return None;
            }
            let fence = known.map_or(fence, |(_, known)| known.max(fence));
            self.bury(id, Tombstone { fence, buried: Buried::Unseen });
            return Some(());
        };
        let ended = |ix| part.status(ix).is_none_or(WorkflowStatus::is_terminal);
        if part.is_ended() || part.cancelled || workflow.is_some_and(ended) {
            return None;
        }
        let stopped = match workflow {
            Some(ix) => with_dependents(&part.plan, ix).into_iter().collect::<Vec<_>>(),
            None => part.states().map(|(ix, _)| ix).collect(),
        };
        part.heed(gate, fence);
        part.cancelled = workflow.is_none();
        let mut changed = part.cancelled;
        for ix in stopped {
            changed |= stop(part, ix, &StopCause::Cancelled, WorkflowStatus::Cancelled);
        }
        changed.then_some(())
    }

    pub(super) fn fail(
        &mut self,
        id: PartId,
        workflow: Option<WorkflowIx>,
        reason: &str,
    ) -> Option<()> {
        let part = self.part_mut(id)?;
        let cause = StopCause::Failed { reason: reason.to_owned() };
        let mut changed = false;
        match workflow {
            Some(ix) => changed |= stop(part, ix, &cause, WorkflowStatus::Failed),
            None => {
                for ix in part.states().map(|(ix, _)| ix).collect::<Vec<_>>() {
                    changed |= stop(part, ix, &cause, WorkflowStatus::Skipped);
                }
            }
        }
        changed.then_some(())
    }

    pub(super) fn close(&mut self, id: PartId) -> Option<()> {
        let part = self.part(id).filter(|part| part.is_ended())?;
        let tombstone = Tombstone { fence: part.fence, buried: Buried::Closed };
        self.parts.remove(&id.job);
        self.bury(id, tombstone);
        Some(())
    }

    /// Another gate hears of the part, if its ownership is newer than all that the part has heeded.
    pub(super) fn claim(&mut self, id: PartId, gate: NodeId, fence: Fence) -> Option<()> {
        let part = self.part_mut(id).filter(|part| fence > part.fence)?;
        part.heed(gate, fence);
        Some(())
    }

    pub(super) fn expire(&mut self, id: PartId, offer: Fence) -> Option<()> {
        if let Some(part) = self.part(id) {
            if part.begun || part.cancelled || part.offer != offer {
                return None;
            }
            self.parts.remove(&id.job);
        } else if self.tombstone(id).is_some_and(|known| !known.allows(offer)) {
            return None;
        }
        self.bury(id, Tombstone { fence: offer, buried: Buried::Expired });
        Some(())
    }

    /// Remembers what must not come back; at the cap the oldest job's goes.
    fn bury(&mut self, id: PartId, tombstone: Tombstone) {
        self.tombstones.remove(&id);
        if self.tombstones.is_full() {
            self.tombstones.pop_first();
        }
        if self.tombstones.insert(id, tombstone).is_err() {
            tracing::debug!(?id, "no room for a tombstone");
        }
    }
}

/// Ends a workflow's runs for a cause, or, where it has none yet, the workflow itself.
fn stop(part: &mut Part, ix: WorkflowIx, cause: &StopCause, if_pending: WorkflowStatus) -> bool {
    let Some(state) = part.workflow_mut(ix) else { return false };
    if state.status == WorkflowStatus::Pending {
        let reason = match cause {
            StopCause::Cancelled => "",
            StopCause::Failed { reason } => reason,
        };
        let ending = Ending {
            status: if_pending,
            reason,
            plan_time: PlanTime::ZERO,
            start_skew: std::time::Duration::ZERO,
        };
        conclude(part, ix, ending, &[]);
        return true;
    }
    if !may_move(state.status, WorkflowStatus::Cancelling) {
        return false;
    }
    state.status = WorkflowStatus::Cancelling;
    state.stop = Some(cause.clone());
    true
}
