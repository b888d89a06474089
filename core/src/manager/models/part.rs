//! An accepted part, as committed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::RunOutcome;
use super::shard::Run;
use super::workflow::WorkflowState;
use crate::bounded::BoundedVec;
use crate::flow::retry::Budget;
use crate::ids::{Fence, LogIndex, NodeId, PartId, WorkflowIx};
use crate::limits;
use crate::plan::{PartShare, Plan, Workflow};
use crate::report::{PartResult, WorkflowResult, WorkflowStatus};
use crate::stats;

/// A part from its acceptance until the gate has its result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub id: PartId,
    /// The gate that spoke under the highest fence.
    pub gate: NodeId,
    /// The offer that was accepted.
    pub offer: Fence,
    /// The highest gate fence obeyed.
    pub fence: Fence,
    /// What to run.
    pub plan: Box<Plan>,
    /// It may run.
    pub begun: bool,
    /// A cancel of the whole part was committed before it ended.
    pub cancelled: bool,
    /// Workers that held a run of it.
    pub workers: BTreeSet<NodeId>,
    /// Of those, the ones that were lost.
    pub lost: BTreeSet<NodeId>,
    /// In the order of the plan.
    pub workflows: BoundedVec<WorkflowState, { limits::WORKFLOWS_MAX }>,
    /// Shards given away again after a failure, over all workflows.
    pub retries: Budget,
    /// Shards given away again because a worker was lost or left, over all workflows.
    pub losses: Budget,
    /// How long it ran since its begin, as far as that is committed; only with a timeout.
    pub elapsed: Duration,
}

/// Whether a shard may be given away again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// It may: nothing failed.
    Free,
    /// It may, on a budget.
    Charged,
    /// The budget is used up.
    Spent {
        /// Whose.
        whose: &'static str,
        /// How much it was.
        most: u32,
    },
}

/// What remains of a part that must not come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tombstone {
    /// The highest gate fence obeyed.
    pub fence: Fence,
    /// How it went.
    pub buried: Buried,
}

/// How a part went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Buried {
    /// The gate has its result.
    Closed,
    /// It was cancelled while it was not accepted, so nobody has a result of it.
    Unseen,
    /// Offers up to the fence were not begun in time, or are not known any more. A later offer may
    /// be accepted.
    Expired,
}

impl Tombstone {
    /// Whether an offer under this fence may be accepted nevertheless.
    pub fn allows(&self, offer: Fence) -> bool {
        self.buried == Buried::Expired && offer > self.fence
    }
}

impl Part {
    /// A gate speaks under a fence: the highest one is obeyed, and its gate hears of the part.
    pub fn heed(&mut self, gate: NodeId, fence: Fence) {
        if fence >= self.fence {
            self.gate = gate;
            self.fence = fence;
        }
    }

    /// A workflow's state.
    pub fn workflow(&self, ix: WorkflowIx) -> Option<&WorkflowState> {
        self.workflows.get(usize::from(ix.get()))
    }

    /// A workflow's state, to be changed by the ledger.
    pub fn workflow_mut(&mut self, ix: WorkflowIx) -> Option<&mut WorkflowState> {
        self.workflows.get_mut(usize::from(ix.get()))
    }

    /// A workflow of its plan.
    pub fn planned(&self, ix: WorkflowIx) -> Option<&Workflow> {
        self.plan.workflows.get(usize::from(ix.get()))
    }

    /// Its share in a workflow.
    pub fn share(&self, ix: WorkflowIx) -> Option<PartShare> {
        self.plan.part_share(self.id.part, &self.planned(ix)?.executor)
    }

    /// Every workflow with its state.
    pub fn states(&self) -> impl Iterator<Item = (WorkflowIx, &WorkflowState)> {
        (0u16..).map(WorkflowIx::new).zip(self.workflows.iter())
    }

    /// Whether nothing forbids to give the shard of this run away again.
    pub fn may_retry(&self, ix: WorkflowIx, run: &Run) -> Retry {
        let Some(outcome) = run.ended.as_ref().map(|ended| &ended.outcome) else {
            return Retry::Free;
        };
        let incident = (run.worker, run.index);
        match outcome {
            RunOutcome::Completed | RunOutcome::Stopped => Retry::Free,
            RunOutcome::Failed { .. } => {
                let most = u32::from(self.planned(ix).map_or(0, |planned| planned.retries));
                let of_job = u32::from(self.plan.retries);
                let of_workflow = self.workflow(ix).map(|state| &state.retries);
                if of_workflow.is_none_or(|budget| !budget.allows(incident, most)) {
                    Retry::Spent { whose: "the workflow", most }
                } else if self.retries.allows(incident, of_job) {
                    Retry::Charged
                } else {
                    Retry::Spent { whose: "the job", most: of_job }
                }
            }
            RunOutcome::Lost | RunOutcome::Vacated { .. } => {
                let most = self.plan.losses_max();
                if self.losses.allows(incident, most) {
                    Retry::Charged
                } else {
                    Retry::Spent { whose: "the job", most }
                }
            }
        }
    }

    /// Entry `at` gives the shard of this run away again.
    pub fn charge(&mut self, ix: WorkflowIx, run: &Run, at: LogIndex) {
        let incident = (run.worker, run.index);
        match run.ended.as_ref().map(|ended| &ended.outcome) {
            Some(RunOutcome::Failed { .. }) => {
                self.retries.charge(incident, at);
                if let Some(state) = self.workflow_mut(ix) {
                    state.retries.charge(incident, at);
                }
            }
            Some(RunOutcome::Lost | RunOutcome::Vacated { .. }) => {
                self.losses.charge(incident, at);
            }
            Some(RunOutcome::Completed | RunOutcome::Stopped) | None => {}
        }
    }

    /// A workflow's status.
    pub fn status(&self, ix: WorkflowIx) -> Option<WorkflowStatus> {
        self.workflow(ix).map(|state| state.status)
    }

    /// Whether every workflow has ended. A part that may not run yet has not.
    pub fn is_ended(&self) -> bool {
        (self.begun || self.cancelled)
            && self.workflows.iter().all(|state| state.status.is_terminal())
    }

    /// Its result; complete only once it ended.
    pub fn result(&self) -> PartResult {
        let mut workflows: BoundedVec<WorkflowResult, { limits::WORKFLOWS_MAX }> =
            BoundedVec::new();
        for result in self.workflows.iter().filter_map(|state| state.result.as_deref()) {
            if workflows.push(result.clone()).is_err() {
                break;
            }
        }
        let mut all = workflows.iter_mut().map(|one| &mut *one.totals).collect::<Vec<_>>();
        stats::fit(&mut all, limits::TOTALS_CELLS_MAX);
        PartResult {
            cancelled: self.cancelled,
            workers_lost: u32::try_from(self.lost.len()).unwrap_or(u32::MAX),
            workers: u32::try_from(self.workers.len()).unwrap_or(u32::MAX),
            workflows,
        }
    }
}
