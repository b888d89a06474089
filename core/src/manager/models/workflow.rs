//! A workflow of an accepted part, as committed.

use serde::{Deserialize, Serialize};

use super::shard::Shard;
use crate::bounded::BoundedVec;
use crate::flow::retry::Budget;
use crate::limits;
use crate::plan::PlanTime;
use crate::report::{Loss, WorkflowResult, WorkflowStatus};
use crate::stats::Totals;

/// Where a workflow stands and what its ended runs have contributed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorkflowState {
    /// Its status.
    pub status: WorkflowStatus,
    /// Why its runs are being ended, while it is `Cancelling`.
    pub stop: Option<StopCause>,
    /// The shards, once it is split; given back when it ends.
    pub shards: BoundedVec<Shard, { limits::SHARDS_MAX }>,
    /// The newest replicated plan time; `None` before the start.
    pub plan_time: Option<PlanTime>,
    /// Sum over the ended runs, each counted once.
    pub totals: Box<Totals>,
    /// The latest plan time at which one of those ended, which may be beyond the plan time of a
    /// later leader.
    pub ended_until: PlanTime,
    /// Plan milliseconds of shards that those cover.
    pub covered_ms: u64,
    /// What is declared missing so far.
    pub losses: BoundedVec<Loss, { limits::LOSSES_MAX }>,
    /// Its result, once it ended.
    pub result: Option<Box<WorkflowResult>>,
    /// Shards given away again after a failure.
    pub retries: Budget,
}

/// Why the runs of a workflow are being ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StopCause {
    /// A committed cancel.
    Cancelled,
    /// It cannot do what was planned.
    Failed {
        /// Why, for the user.
        reason: String,
    },
}

impl Default for WorkflowState {
    fn default() -> Self {
        Self {
            status: WorkflowStatus::Pending,
            stop: None,
            shards: BoundedVec::new(),
            plan_time: None,
            totals: Box::default(),
            ended_until: PlanTime::ZERO,
            covered_ms: 0,
            losses: BoundedVec::new(),
            result: None,
            retries: Budget::default(),
        }
    }
}

impl WorkflowState {
    /// Whether a run has not ended.
    pub fn has_open_runs(&self) -> bool {
        self.shards.iter().any(|shard| shard.open().is_some())
    }

    /// Whether plan time has been fixed.
    pub fn has_started(&self) -> bool {
        self.plan_time.is_some()
    }
}
