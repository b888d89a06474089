//! Values that the worker's tests share.

use std::time::Duration;

use crate::bounded::BoundedVec;
use crate::config::WorkerConfig;
use crate::effect::{Effect, Effects};
use crate::ids::{
    Fence, GroupId, JobId, LogIndex, Lsn, NodeId, RunId, ShardId, ShardIx, WorkflowIx,
};
use crate::machine::Cx;
use crate::plan::{Executor, Share, Slice, Stripe, When, Workflow};
use crate::rng::Streams;
use crate::stat::Counters;
use crate::time::Instant;

/// The manager of these tests.
pub(super) const MANAGER: NodeId = NodeId::new(2);

/// A worker with so many cores and one manager.
pub(super) fn config(cores: u16) -> WorkerConfig {
    WorkerConfig::new(NodeId::new(1), cores, vec![MANAGER])
}

/// A run of a shard of job 1, under a fence.
pub(super) fn run(shard: u16, index: u64) -> RunId {
    let shard =
        ShardId { job: JobId::new(1), workflow: WorkflowIx::new(0), shard: ShardIx::new(shard) };
    RunId { shard, fence: Fence { group: GroupId::new(9), index: LogIndex::new(index) } }
}

/// A slice whose first item is `first`.
pub(super) fn slice(first: u64) -> Box<Slice> {
    let executor = Executor::ConstantVus { vus: 1, duration: Duration::from_secs(60) };
    Box::new(Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow: Workflow {
            name: "browse".to_owned(),
            after: BoundedVec::new(),
            when: When::Ok,
            executor,
            graceful_stop: Duration::from_secs(30),
            flow: BoundedVec::new(),
            captures: 0,
            priority: Default::default(),
            retries: 3,
        },
        share: Share { vu_first: 0, vus: 1, stripe: Stripe::plain(0, 1) },
        first,
        base_url: "demo".to_owned(),
        data: BoundedVec::new(),
        seed: 42,
        index_header: false,
        late_max: Duration::from_millis(100),
    })
}

/// What a sub-machine needs to be stepped alone.
pub(super) struct Bench {
    streams: Streams,
    out: Effects,
    /// Counts of every step.
    pub(super) stats: Counters,
}

impl Default for Bench {
    fn default() -> Self {
        let streams = Streams::new(1, 2, 3);
        Self { streams, out: Effects::new(Lsn::new(0)), stats: Counters::default() }
    }
}

impl Bench {
    /// Runs one step at an instant and answers its effects.
    pub(super) fn step(&mut self, nanos: u64, act: impl FnOnce(&mut Cx<'_>)) -> Vec<Effect> {
        let now = Instant::from_nanos(nanos);
        act(&mut Cx::new(now, &mut self.streams, &mut self.out, &mut self.stats));
        self.out.drain().collect()
    }
}
