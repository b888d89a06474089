//! A worker that leaves: each of its runs goes to a peer with a free core, if there is one. If
//! there is none, the worker goes on with the run.
//!
//! A run that is stuck while others get on (`health`) is given away in the same way.
//!
//! A run that was never confirmed is ended, and its shard given away as after a refusal. One that
//! issues is told to stop as soon as a core is promised to its shard. Its last word says how far it
//! came, so its end and the peer's assignment go into the log together, and the peer starts at the
//! very next item: nothing is skipped, and arrivals that fall due meanwhile are issued late, within
//! `late_max`, or counted as dropped. The order is stop, last word, one commit, prepare, one commit
//! of the first reservation, confirm: as long as that takes nobody issues, which keeps a shard with
//! one run at a time.
//!
//! Rounds are issued by every VU at its own pace, so where such a run is stopped some would be
//! skipped. It gets no higher ceiling, stops once every VU has come to the one it has, and its next
//! run starts there. Without a limit of rounds nothing is lost by skipping.
//!
//! Invariants: first-confirm-alone, index-once (what was stopped is final before the peer starts),
//! shares-exact.

use super::Manager;
use super::leases::Lease;
use super::models::{ManagerCommand, WorkflowKey};
use crate::ids::{NodeId, ShardId};
use crate::machine::Cx;
use crate::plan::Executor;
use crate::report::WorkflowStatus;
use crate::stat::Stat;
use crate::wire::{RunBeat, RunState, VerdictKind};

impl Manager {
    /// What to tell a worker about a run that it is to give away; `None` if it is to keep it.
    pub(super) fn hand_over(
        &mut self,
        cx: &mut Cx<'_>,
        worker: NodeId,
        beat: &RunBeat,
    ) -> Option<VerdictKind> {
        let shard = beat.run.shard;
        let status = self.ledger.workflow(WorkflowKey::of(shard))?.status;
        let leaves = self.registry.is_draining(worker) || self.health.is_evicted(shard);
        let may = leaves && self.may_speak(cx);
        let is_confirmed = self.leases.lease(shard)?.was_confirmed();
        match status {
            WorkflowStatus::Dispatched | WorkflowStatus::Running if may && !is_confirmed => {
                self.pick(shard, &self.isolation())?;
                self.vacate_open_run(cx, shard, "its worker leaves");
                Some(VerdictKind::Hold)
            }
            WorkflowStatus::Running if may => match beat.state {
                RunState::Running | RunState::Parked => self.retire(cx, beat),
                RunState::Preparing
                | RunState::Prepared
                | RunState::Stopping
                | RunState::Ended
                | RunState::Refused => None,
            },
            WorkflowStatus::Pending
            | WorkflowStatus::Dispatched
            | WorkflowStatus::Running
            | WorkflowStatus::Cancelling
            | WorkflowStatus::Completed
            | WorkflowStatus::Failed
            | WorkflowStatus::Cancelled
            | WorkflowStatus::Skipped => None,
        }
    }

    fn retire(&mut self, cx: &mut Cx<'_>, beat: &RunBeat) -> Option<VerdictKind> {
        let shard = beat.run.shard;
        let Some(stage) = stage(self.leases.lease(shard)?, beat) else {
            self.disinherit(shard);
            return None;
        };
        let heir = self.dispatch.heirs.get(&shard).copied();
        if heir.is_none_or(|(worker, boot)| !self.registry.is_fit(worker, boot)) {
            self.disinherit(shard);
            let (worker, boot) = self.pick(shard, &self.isolation())?;
            self.registry.promise(worker, shard);
            self.dispatch.heirs.insert(shard, (worker, boot));
        }
        match stage {
            Stage::Finishing => {
                self.leases.freeze(shard, true);
                None
            }
            Stage::Ready => {
                cx.count(Stat::RunRevoked);
                Some(VerdictKind::Stop)
            }
        }
    }

    /// A run's end is proposed: if it was to be given away and stopped at `reached`, its heir's
    /// assignment follows.
    pub(super) fn inherit(&mut self, cx: &mut Cx<'_>, shard: ShardId, reached: Option<u64>) {
        let Some((worker, boot)) = self.dispatch.heirs.remove(&shard) else { return };
        let state = self.ledger.workflow(WorkflowKey::of(shard));
        let is_wanted = state.is_some_and(|state| state.status == WorkflowStatus::Running)
            && self.registry.is_fit(worker, boot);
        if let Some(first) = reached.filter(|_| is_wanted)
            && self.propose(cx, ManagerCommand::Assign { shard, worker, boot, first })
        {
            cx.count(Stat::RunHandedOver);
        } else {
            self.registry.settle(worker, shard);
        }
    }

    /// Nobody waits for the shard any more.
    pub(super) fn disinherit(&mut self, shard: ShardId) {
        self.leases.freeze(shard, false);
        if let Some((worker, _)) = self.dispatch.heirs.remove(&shard) {
            self.registry.settle(worker, shard);
        }
    }
}

/// How far a run is from being given away.
enum Stage {
    /// It does what it may before it is stopped.
    Finishing,
    /// It can be stopped.
    Ready,
}

/// `None`: it may do all that is left.
fn stage(lease: &Lease, beat: &RunBeat) -> Option<Stage> {
    let total = lease.executor.local_items(&lease.share);
    if total.is_some_and(|total| lease.given >= total) {
        return None;
    }
    let progress = beat.progress;
    match lease.executor {
        Executor::PerVuIterations { .. }
            if progress.next < lease.given || progress.ended < progress.started =>
        {
            Some(Stage::Finishing)
        }
        Executor::PerVuIterations { .. }
        | Executor::ConstantVus { .. }
        | Executor::SharedIterations { .. }
        | Executor::ConstantArrivalRate { .. } => Some(Stage::Ready),
    }
}
