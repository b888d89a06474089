//! What is reported upwards: the live view of a workflow, the result of a part and of a job,
//! declared losses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::ids::{JobId, NodeId, PartIx, ShardIx, WorkflowIx};
use crate::limits;
use crate::plan::PlanTime;
use crate::stats::Totals;

/// Where a workflow stands. The legal moves are `manager::workflow_lifecycle`'s table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum WorkflowStatus {
    /// Waits for what it depends on, or for cores.
    Pending,
    /// Shards are assigned and getting ready.
    Dispatched,
    /// Load runs.
    Running,
    /// A cancel is committed; runs are being ended.
    Cancelling,
    /// Terminal: ended as planned.
    Completed,
    /// Terminal: could not do what was planned.
    Failed,
    /// Terminal: cancelled.
    Cancelled,
    /// Terminal: never started because what it depends on did not end as it requires.
    Skipped,
}

/// Where a job stands. The legal moves are in `gate::models`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum JobStatus {
    /// Acknowledged and its turn, not placed.
    Submitted,
    /// Offered to a datacenter.
    Dispatching,
    /// Begun.
    Running,
    /// A cancel is committed.
    Cancelling,
    /// Terminal.
    Completed,
    /// Terminal: a workflow failed, or no datacenter took it.
    Failed,
    /// Terminal.
    Cancelled,
    /// Terminal: the plan's end plus grace passed without a result.
    TimedOut,
    /// Terminal: some of the load is missing for good.
    Partial,
    /// Acknowledged, waiting for its turn.
    Queued,
}

impl JobStatus {
    /// Whether it never changes again.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Queued
            | Self::Submitted
            | Self::Dispatching
            | Self::Running
            | Self::Cancelling => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Partial => {
                true
            }
        }
    }
}

impl WorkflowStatus {
    /// Whether it never changes again.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Dispatched | Self::Running | Self::Cancelling => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Skipped => true,
        }
    }
}

impl WorkflowStatus {
    /// Where a workflow stands that is in this status in one datacenter and in another elsewhere:
    /// what goes on before what has ended, and the worse of two ends.
    pub(crate) fn max_by_rank(self, other: Self) -> Self {
        let rank = |status: Self| match status {
            Self::Completed => 0,
            Self::Skipped => 1,
            Self::Cancelled => 2,
            Self::Failed => 3,
            Self::Pending => 4,
            Self::Dispatched => 5,
            Self::Cancelling => 6,
            Self::Running => 7,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Live view of a workflow: volatile, cumulative.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkflowView {
    /// Its place in the plan.
    pub workflow: WorkflowIx,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// Its plan time.
    pub plan_time: PlanTime,
    /// VUs of shards that are confirmed.
    pub vus: u32,
    /// Shards that hold a confirmation, and shards in all.
    pub shards_live: u16,
    /// Shards in all.
    pub shards: u16,
    /// Everything that ended before this plan second is in the totals, and nothing later; of late
    /// shards less.
    pub second: u32,
    /// Sum over all its runs.
    pub totals: Box<Totals>,
    /// Shards that run and have not reported up to `second`.
    pub shards_late: u16,
}

/// The result of a workflow in one datacenter, committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkflowResult {
    /// Its place in the plan.
    pub workflow: WorkflowIx,
    /// How it ended.
    pub status: WorkflowStatus,
    /// Why it failed or was skipped; empty otherwise.
    pub reason: String,
    /// Plan time that passed between start and end.
    pub ran: Duration,
    /// How far apart its shards started, as far as known.
    pub start_skew: Duration,
    /// Shards it was split into.
    pub shards: u16,
    /// Sum over the counted runs.
    pub totals: Box<Totals>,
    /// Planned shard-milliseconds, and of those the ones with final or committed totals.
    pub planned_ms: u64,
    /// See `planned_ms`.
    pub covered_ms: u64,
    /// What is missing or was not issued.
    pub losses: Losses,
}

/// A declared hole in a workflow's result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Loss {
    /// The part, hence the datacenter.
    pub part: PartIx,
    /// The shard; of a part that is missing as a whole, the first.
    pub shard: ShardIx,
    /// The worker that had it; 0 if none is known.
    pub worker: NodeId,
    /// What kind of hole.
    pub kind: LossKind,
    /// When it began.
    pub from: PlanTime,
    /// When it ended.
    pub until: PlanTime,
    /// Items planned in it: an upper bound of what was issued and is not reported (`Unreported`),
    /// or the number not issued (`Parked`, `Unserved`). `u64::MAX`: not known.
    pub items: u64,
}

/// Declared losses of a workflow.
pub type Losses = BoundedVec<Loss, { limits::LOSSES_MAX }>;

impl Loss {
    /// Adds it to a list. At the cap it widens the last one, whose kind becomes the graver.
    pub(crate) fn declare(self, losses: &mut Losses) {
        let Err(loss) = losses.push(self) else { return };
        if let Some(last) = losses.last_mut() {
            last.kind = last.kind.min(loss.kind);
            last.from = last.from.min(loss.from);
            last.until = last.until.max(loss.until);
            last.items = last.items.saturating_add(loss.items);
        }
    }
}

/// What kind of hole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum LossKind {
    /// The worker was lost: items may have been issued and are not in the totals.
    Unreported,
    /// The run had no confirmation: items were dropped, and are in `dropped_iterations`.
    Parked,
    /// Nobody ran the shard: items were not issued, and are in `dropped_iterations`.
    Unserved,
}

/// The result of a part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartResult {
    /// A cancel ended it.
    pub cancelled: bool,
    /// Workers lost while it ran.
    pub workers_lost: u32,
    /// Workers that served it.
    pub workers: u32,
    /// Per workflow, in the order of the plan.
    pub workflows: BoundedVec<WorkflowResult, { limits::WORKFLOWS_MAX }>,
}

/// The result of a job, committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobResult {
    /// The job.
    pub job: JobId,
    /// The plan's name.
    pub name: String,
    /// How it ended.
    pub status: JobStatus,
    /// Why it failed; empty otherwise.
    pub reason: String,
    /// How long it ran: the longest chain of workflows that wait for each other. Rates are per
    /// second of it.
    pub ran: Duration,
    /// Every part's result merged; totals are sums, coverage adds up.
    pub result: PartResult,
    /// How each part ended, in the order of the plan's datacenters.
    pub parts: BoundedVec<PartRow, { limits::DATACENTERS_MAX }>,
    /// Workflow names and step names, to read the result without the plan.
    pub names: BoundedVec<WorkflowNames, { limits::WORKFLOWS_MAX }>,
    /// Every threshold of the plan with its outcome.
    pub thresholds: BoundedVec<ThresholdOutcome, { limits::THRESHOLDS_MAX }>,
}

/// How a part of a job ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartRow {
    /// The datacenter; empty if the part was never placed.
    pub datacenter: String,
    /// How it ended.
    pub outcome: PartOutcome,
    /// Why, if there is more to say.
    pub reason: String,
    /// Workers that served it.
    pub workers: u32,
    /// Of those, lost while it ran.
    pub workers_lost: u32,
    /// Planned shard-milliseconds; of a missing part in proportion to its share of the load.
    pub planned_ms: u64,
    /// Of those, with final or committed totals.
    pub covered_ms: u64,
}

/// How a part of a job ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum PartOutcome {
    /// It reported, and no workflow failed.
    Completed,
    /// It reported a workflow that failed.
    Failed,
    /// It was cancelled as a whole.
    Cancelled,
    /// It was begun, and its result did not come in time.
    Missing,
    /// Its datacenter did not take it.
    Refused,
}

/// The names in a workflow's result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkflowNames {
    /// The workflow.
    pub name: String,
    /// Its request steps, in the order of `Totals::steps`.
    pub steps: BoundedVec<String, { limits::STEPS_MAX }>,
}

/// How a threshold came out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ThresholdOutcome {
    /// `http_req_duration` or `http_req_duration{step:login}`.
    pub metric: String,
    /// The expression as written.
    pub text: String,
    /// Whether it held; a metric without samples fails.
    pub ok: bool,
    /// The observed value in millionths of the metric's unit; `None` without samples.
    pub observed_micro: Option<u64>,
}

impl JobResult {
    /// Whether load is missing from the result or was not issued because nodes failed: coverage
    /// below 1 or any declared hole.
    pub fn is_degraded(&self) -> bool {
        self.result.workers_lost > 0
            || self
                .result
                .workflows
                .iter()
                .any(|w| w.covered_ms < w.planned_ms || !w.losses.is_empty())
    }
}
