//! A workflow of a job: what shards and runs belong to.

use std::ops::RangeInclusive;

use crate::ids::{JobId, ShardId, ShardIx, WorkflowIx};

/// A workflow of a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WorkflowKey {
    /// The job.
    pub job: JobId,
    /// The workflow's place in the plan.
    pub workflow: WorkflowIx,
}

impl WorkflowKey {
    /// The workflow of a shard.
    pub fn of(shard: ShardId) -> Self {
        Self { job: shard.job, workflow: shard.workflow }
    }

    /// One of its shards.
    pub fn shard(self, shard: ShardIx) -> ShardId {
        ShardId { job: self.job, workflow: self.workflow, shard }
    }

    /// All shards it can have, as a range of keys.
    pub fn shards(self) -> RangeInclusive<ShardId> {
        self.shard(ShardIx::new(0))..=self.shard(ShardIx::new(u16::MAX))
    }

    /// All workflows a job can have, as a range of keys.
    pub fn of_job(job: JobId) -> RangeInclusive<Self> {
        Self { job, workflow: WorkflowIx::new(0) }..=Self {
            job,
            workflow: WorkflowIx::new(u16::MAX),
        }
    }
}
