//! Commands of a datacenter's ledger. Nothing here is decided when it is applied: whatever time or
//! chance decides is in the command.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::ids::{BootId, Fence, NodeId, PartId, RunId, ShardId, WorkflowIx};
use crate::input::Progress;
use crate::limits;
use crate::plan::{Plan, PlanTime};
use crate::report::{Loss, WorkflowStatus};
use crate::stats::Totals;

/// A command of the manager ledger.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ManagerCommand {
    /// A part was offered and is taken.
    Accept {
        /// The part.
        part: PartId,
        /// The gate that offered it and hears of it.
        gate: NodeId,
        /// The gate's offer.
        fence: Fence,
        /// What to run.
        plan: Box<Plan>,
    },
    /// The part may run.
    Begin {
        /// The part.
        part: PartId,
        /// The gate that hears of it from here on.
        gate: NodeId,
        /// The gate's `Begun`.
        fence: Fence,
    },
    /// The part, or a workflow and its dependents, is cancelled. For an unknown part: a tombstone.
    Cancel {
        /// The part.
        part: PartId,
        /// The gate that hears of it from here on.
        gate: NodeId,
        /// The gate's cancel.
        fence: Fence,
        /// Only this workflow and what depends on it.
        workflow: Option<WorkflowIx>,
    },
    /// A workflow is split into shards; Pending -> Dispatched.
    Split {
        /// The part.
        part: PartId,
        /// The workflow.
        workflow: WorkflowIx,
        /// How many shards; their shares follow from the plan.
        shards: u16,
    },
    /// A shard is given to a worker. The entry's index is the run's fence.
    Assign {
        /// The shard.
        shard: ShardId,
        /// The worker.
        worker: NodeId,
        /// Its life.
        boot: BootId,
        /// The first local item the run may issue.
        first: u64,
    },
    /// Every run was ready: Dispatched -> Running. The leader starts plan time.
    Started {
        /// The part.
        part: PartId,
        /// The workflow.
        workflow: WorkflowIx,
    },
    /// Plan time of a workflow, and ceilings up to which its runs may be confirmed from here on.
    Advanced {
        /// The part.
        part: PartId,
        /// The workflow.
        workflow: WorkflowIx,
        /// Plan time when this was proposed.
        plan_time: PlanTime,
        /// Reserved ceilings; they never go down.
        ceilings: BoundedVec<(RunId, u64), { limits::SHARDS_MAX }>,
    },
    /// A run is over and its contribution final; later reports change nothing.
    EndRun {
        /// The run.
        run: RunId,
        /// How.
        outcome: RunOutcome,
        /// Local items from here on were never permitted to it: where a replacement may begin.
        ceiling: u64,
        /// Plan time up to which the run held its shard.
        until: PlanTime,
        /// Its counters.
        progress: Progress,
        /// Its contribution.
        totals: Box<Totals>,
        /// The plan milliseconds its totals cover.
        covered_ms: u64,
        /// What it declares missing.
        losses: BoundedVec<Loss, { limits::LOSSES_MAX }>,
    },
    /// A workflow ended.
    EndWorkflow {
        /// The part.
        part: PartId,
        /// The workflow.
        workflow: WorkflowIx,
        /// A terminal status.
        status: WorkflowStatus,
        /// Why.
        reason: String,
        /// Plan time at the end.
        plan_time: PlanTime,
        /// Start skew in nanoseconds, as far as known.
        start_skew_ns: u64,
        /// Shards nobody ran to the end, with what was not issued.
        losses: BoundedVec<Loss, { limits::LOSSES_MAX }>,
    },
    /// The gate has the part's result: forget the part but for a tombstone.
    Close {
        /// The part.
        part: PartId,
    },
    /// A workflow, or all of the part, cannot do what was planned: its runs are ended, then it ends
    /// as failed.
    Fail {
        /// The part.
        part: PartId,
        /// Only this workflow.
        workflow: Option<WorkflowIx>,
        /// Why, for the user.
        reason: String,
    },
    /// Another gate owns the part's job and hears of it from here on.
    Claim {
        /// The part.
        part: PartId,
        /// That gate.
        gate: NodeId,
        /// What made it the owner.
        fence: Fence,
    },
    /// Offers up to this one will never be begun here: the part accepted under it is given up if it
    /// has not begun.
    Expire {
        /// The part.
        part: PartId,
        /// The offer.
        offer: Fence,
    },
    /// How long a part of a job with a timeout has run.
    Ran {
        /// The part.
        part: PartId,
        /// Since its begin, as leaders counted.
        elapsed: Duration,
    },
}

/// How a run is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RunOutcome {
    /// Its slice is done.
    Completed,
    /// It acknowledged a stop.
    Stopped,
    /// It never issued: refused, or the engine could not prepare.
    Failed {
        /// Why.
        reason: String,
    },
    /// Its worker's last possible confirmation expired; the totals are the last known.
    Lost,
    /// It never issued, because its worker was lost or leaves.
    Vacated {
        /// Why.
        reason: String,
    },
}
