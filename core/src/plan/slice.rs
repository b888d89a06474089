//! A slice: everything a worker needs to execute one shard of one workflow.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{DataSource, Workflow};
use super::share::Share;
use super::time::PlanTime;
use crate::bounded::BoundedVec;
use crate::ids::WorkflowIx;
use crate::limits;

/// One shard's share of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slice {
    /// The workflow's place in the plan.
    pub workflow_ix: WorkflowIx,
    /// What to do and when.
    pub workflow: Workflow,
    /// Which part of it.
    pub share: Share,
    /// The first local item this run may issue; above zero when it replaces a lost run.
    pub first: u64,
    /// The plan's base URL.
    pub base_url: String,
    /// The plan's data.
    pub data: BoundedVec<DataSource, { limits::DATA_SOURCES_MAX }>,
    /// The plan's seed.
    pub seed: u64,
    /// The plan's `index_header`.
    pub index_header: bool,
    /// An arrival that cannot start within this after its planned instant is dropped.
    pub late_max: Duration,
}

impl Slice {
    /// How many local items the share has, from item 0; `None` if only time ends them.
    pub fn items_total(&self) -> Option<u64> {
        self.workflow.executor.local_items(&self.share)
    }

    /// How many local items are due strictly before `until`. Closed loops have no schedule: zero.
    pub fn items_due_by(&self, until: PlanTime) -> u64 {
        self.workflow.executor.local_items_due_by(&self.share, until)
    }
}
