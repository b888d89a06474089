//! Getting a shard a worker: what waits, preparing runs, replacing them.
//!
//! Spread: the worker with the most spare cores first, ties by id, workers that failed this shard
//! last. What goes before what is `placement`'s.
//! `Prepare` is sent again until a heartbeat lists the run; a run that is not ready in time goes to
//! another worker. A shard without a worker waits `replace_wait` for a core, then its rest is given
//! up; a ready workflow waits `cores_wait`.
//!
//! Invariants: shares-exact (every shard of a split has its share by the plan), route-sane (nothing
//! goes to a silent or draining worker), fence-monotonic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Manager;
use super::endings::Open;
use super::leadership::Intent;
use super::ledger::Applied;
use super::models::{ManagerCommand, WorkflowKey};
use super::progress::{Decision, View, decide};
use super::stats::Losses;
use crate::bounded::BoundedVec;
use crate::config::ManagerConfig;
use crate::flow::retry::Backoff;
use crate::ids::{BootId, JobId, LogIndex, NodeId, RunId, ShardId};
use crate::limits;
use crate::machine::{Cx, Wake};
use crate::plan::{PlanTime, Slice, shares};
use crate::report::WorkflowStatus;
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;
use crate::wire::Prepare;

/// A shard that failed waits so long before it is given away again.
const RETRY: Backoff =
    Backoff { first: Duration::from_millis(100), most: Duration::from_millis(3_200) };

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    /// A ready workflow found no core.
    Cores(WorkflowKey),
    /// A shard found no worker.
    Replace(ShardId),
    /// Send `Prepare` again.
    Resend(ShardId),
    /// A run is not ready.
    Ready(ShardId),
    /// A shard that failed may be given away again.
    Rest(ShardId),
}

/// What waits for a worker, and what a worker was asked to prepare. Volatile: derived anew from the
/// ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Dispatch {
    /// Since when.
    pub(super) ready: BTreeMap<WorkflowKey, Instant>,
    pub(super) vacant: BTreeSet<ShardId>,
    /// An exclusive workflow that is first and found no idle worker.
    pub(super) claimant: Option<WorkflowKey>,
    pub(super) given_up: BTreeSet<ShardId>,
    /// Who gets the shard of a run that its worker gives away; a core is promised.
    pub(super) heirs: BTreeMap<ShardId, (NodeId, BootId)>,
    pub(super) failures: BTreeMap<(ShardId, NodeId), u32>,
    pub(super) timers: Timers<Key>,
}

impl Dispatch {
    /// A run that was never confirmed has so long to become ready.
    pub(super) fn await_ready(&mut self, now: Instant, shard: ShardId, config: &ManagerConfig) {
        self.timers.set(Key::Resend(shard), now.after(config.resend_after));
        self.timers.set(Key::Ready(shard), now.after(config.prepare_timeout));
    }

    /// A heartbeat lists the shard's run; `ready`: it can be confirmed.
    pub(super) fn on_listed(&mut self, shard: ShardId, ready: bool) {
        self.timers.cancel(&Key::Resend(shard));
        if ready {
            self.timers.cancel(&Key::Ready(shard));
        }
    }

    /// The shard's run ended.
    pub(super) fn close_run(&mut self, shard: ShardId) {
        self.timers.cancel(&Key::Resend(shard));
        self.timers.cancel(&Key::Ready(shard));
    }

    /// A worker could not run the shard.
    pub(super) fn on_failed(&mut self, shard: ShardId, worker: NodeId) {
        let failures = self.failures.entry((shard, worker)).or_insert(0);
        *failures = failures.saturating_add(1);
    }

    /// The workflow ended or is being ended: nothing of it waits any more.
    pub(super) fn close_workflow(&mut self, key: WorkflowKey) {
        self.ready.remove(&key);
        self.claimant.take_if(|claimant| *claimant == key);
        self.timers.cancel(&Key::Cores(key));
        let range = key.shards();
        let in_range = |shard: &ShardId| range.contains(shard);
        for shard in self.vacant.range(key.shards()) {
            self.timers.cancel(&Key::Replace(*shard));
        }
        let resting = self.timers.iter().filter_map(|(key, _)| match key {
            Key::Rest(shard) if in_range(shard) => Some(*key),
            Key::Rest(_) | Key::Cores(_) | Key::Replace(_) | Key::Resend(_) | Key::Ready(_) => None,
        });
        for key in resting.collect::<Vec<_>>() {
            self.timers.cancel(&key);
        }
        self.vacant.retain(|shard| !in_range(shard));
        self.given_up.retain(|shard| !in_range(shard));
        self.failures.retain(|(shard, _), _| !in_range(shard));
    }

    /// Whether something waits for a core.
    pub(super) fn is_waiting(&self) -> bool {
        !self.ready.is_empty() || !self.vacant.is_empty()
    }

    /// Workflows that wait for their first core.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len()
    }

    /// The next deadline that has passed.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        self.timers.pop_due(now)
    }

    /// When the next deadline passes.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, key)| {
            let why = match key {
                Key::Cores(_) => "a workflow waits for cores",
                Key::Replace(_) => "a shard waits for a worker",
                Key::Resend(_) => "send prepare again",
                Key::Ready(_) => "a run is not ready",
                Key::Rest(_) => "a shard is tried again",
            };
            Wake { at, why }
        })
    }

    /// Whether nothing of any job is held.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_waiting()
            && self.given_up.is_empty()
            && self.heirs.is_empty()
            && self.failures.is_empty()
            && self.timers.is_empty()
    }
}

impl Manager {
    /// Carries out what a job's part needs next.
    pub(super) fn walk(&mut self, cx: &mut Cx<'_>, job: JobId) {
        let Some(part) = self.ledger.of_job(job) else { return };
        let view = View {
            now: cx.now(),
            pending: &self.pending,
            leases: &self.leases,
            given_up: &self.dispatch.given_up,
            cuts: &self.sync.cuts,
            assigns_max: self.config.assigns_max,
        };
        for decision in decide(part, view) {
            self.carry_out(cx, decision);
        }
    }

    fn carry_out(&mut self, cx: &mut Cx<'_>, decision: Decision) {
        match decision {
            Decision::Ready(key) => self.await_cores(cx, key),
            Decision::Vacant(shard) => {
                let rests = self.dispatch.timers.deadline(&Key::Rest(shard)).is_some();
                if !rests && self.dispatch.vacant.insert(shard) {
                    let at = cx.now().after(self.config.replace_wait);
                    self.dispatch.timers.set(Key::Replace(shard), at);
                }
            }
            Decision::GiveUp(shard) => self.give_up(cx, shard),
            Decision::Exhausted => cx.count(Stat::RetryExhausted),
            Decision::Start(key) => self.start_workflow(cx, key),
            Decision::Propose(command) => {
                self.propose(cx, command);
            }
        }
    }

    fn give_up(&mut self, cx: &mut Cx<'_>, shard: ShardId) {
        self.dispatch.vacant.remove(&shard);
        self.dispatch.timers.cancel(&Key::Replace(shard));
        if self.dispatch.given_up.insert(shard) {
            self.walk(cx, shard.job);
        }
    }

    /// Whether the assignment went into the log.
    pub(super) fn assign(
        &mut self,
        cx: &mut Cx<'_>,
        shard: ShardId,
        worker: NodeId,
        boot: BootId,
    ) -> bool {
        let key = WorkflowKey::of(shard);
        let ended = self.ledger.shard(shard).and_then(|shard| shard.ended());
        let ceiling = ended.map(|ended| ended.ceiling);
        let mut first = 0;
        if let Some(ceiling) = ceiling {
            first = ceiling.max(self.due_by_now(shard, cx.now()));
            self.advance(cx, key);
        }
        let is_in = self.propose(cx, ManagerCommand::Assign { shard, worker, boot, first });
        if is_in {
            let again = ceiling.is_some();
            cx.count(if again { Stat::ShardReassigned } else { Stat::ShardAssigned });
            self.registry.promise(worker, shard);
        }
        is_in
    }

    /// Arrivals of a shard that are due already: nobody catches up.
    fn due_by_now(&self, shard: ShardId, now: Instant) -> u64 {
        let key = WorkflowKey::of(shard);
        let (executor, share) = (self.ledger.executor(key), self.share(shard));
        let at = self.leases.plan_time(key, now);
        let due = executor.zip(share).zip(at);
        due.map_or(0, |((executor, share), at)| executor.local_items_due_by(&share, at))
    }

    /// An assignment is committed: the worker is asked to get ready.
    pub(super) fn on_assigned(
        &mut self,
        cx: &mut Cx<'_>,
        index: LogIndex,
        (shard, worker): (ShardId, NodeId),
        applied: Applied,
    ) {
        let key = WorkflowKey::of(shard);
        let opened = self.ledger.shard(shard).and_then(|shard| shard.open());
        let share = self.share(shard);
        let (Applied::Changed, Some(run), Some(executor), Some(share)) =
            (applied, opened, self.ledger.executor(key), share)
        else {
            self.registry.settle(worker, shard);
            return;
        };
        let id = RunId { shard, fence: self.group.fence(index) };
        self.leases.open(id, run, *executor, share);
        self.dispatch.await_ready(cx.now(), shard, &self.config);
        self.send_prepare(cx, shard);
    }

    /// The share of a shard.
    pub(super) fn share(&self, shard: ShardId) -> Option<crate::plan::Share> {
        let key = WorkflowKey::of(shard);
        let count = u16::try_from(self.ledger.workflow(key)?.shards.len()).ok()?;
        let part = self.ledger.of_job(key.job)?.share(key.workflow)?;
        let shares = shares(self.ledger.executor(key)?, &part, count);
        shares.get(usize::from(shard.shard.get())).copied()
    }

    fn send_prepare(&mut self, cx: &mut Cx<'_>, shard: ShardId) {
        if !self.may_speak(cx) {
            return;
        }
        let Some(lease) = self.leases.lease(shard) else { return };
        let Some(part) = self.ledger.of_job(shard.job) else { return };
        let Some(workflow) = part.planned(shard.workflow) else { return };
        let slice = Slice {
            workflow_ix: shard.workflow,
            workflow: workflow.clone(),
            share: lease.share,
            first: lease.given,
            base_url: part.plan.base_url.clone(),
            data: part.plan.data.clone(),
            seed: part.plan.seed,
            index_header: part.plan.index_header,
            late_max: self.config.late_max,
        };
        let prepare = Prepare { boot: lease.boot, run: lease.run, slice: Box::new(slice) };
        cx.out.send_resting_on(self.group.committed_lsn(), lease.worker, prepare);
    }

    /// A deadline of a waiting workflow or shard, or of a run that is getting ready, has passed.
    pub(super) fn on_dispatch_due(&mut self, cx: &mut Cx<'_>, key: Key) {
        match key {
            Key::Resend(shard) => {
                cx.count(Stat::Resent);
                let at = cx.now().after(self.config.resend_after);
                self.dispatch.timers.set(key, at);
                self.send_prepare(cx, shard);
            }
            Key::Ready(shard) => self.fail_open_run(cx, shard, "not ready in time"),
            Key::Replace(shard) => self.give_up(cx, shard),
            Key::Rest(shard) => self.walk(cx, shard.job),
            Key::Cores(workflow) => self.fail_unsplit(cx, workflow),
        }
    }

    fn fail_unsplit(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        self.dispatch.ready.remove(&key);
        let is_claimant = self.dispatch.claimant.take_if(|claimant| *claimant == key).is_some();
        let reason = if is_claimant {
            "no worker became free to run it alone"
        } else {
            "no worker has a free core"
        };
        let Some(part) = self.ledger.of_job(key.job).map(|part| part.id) else { return };
        let command = ManagerCommand::EndWorkflow {
            part,
            workflow: key.workflow,
            status: WorkflowStatus::Failed,
            reason: reason.to_owned(),
            plan_time: PlanTime::ZERO,
            start_skew_ns: 0,
            losses: Losses::new(),
        };
        self.propose(cx, command);
    }

    /// Ends a run that was never confirmed; one that may have been ends by its lease only.
    pub(super) fn fail_open_run(&mut self, cx: &mut Cx<'_>, shard: ShardId, reason: &str) {
        let Some(command) =
            self.open_run(shard, |open| (!open.confirmed).then(|| open.failed(reason)))
        else {
            return;
        };
        self.propose(cx, command);
    }

    /// Ends a run that was never confirmed because its worker was lost or leaves.
    pub(super) fn vacate_open_run(&mut self, cx: &mut Cx<'_>, shard: ShardId, reason: &str) {
        let open = |open: Open<'_>| (!open.confirmed).then(|| open.vacated(reason));
        if let Some(command) = self.open_run(shard, open) {
            self.propose(cx, command);
        }
    }

    /// A shard failed: it waits a little before it is given away again.
    pub(super) fn rest(&mut self, cx: &mut Cx<'_>, shard: ShardId) {
        let failures = self.ledger.shard(shard).map_or(0, |shard| shard.assigns);
        let wait = RETRY.wait(failures, cx.rng(Stream::Backoff));
        self.dispatch.timers.set(Key::Rest(shard), cx.now().after(wait));
    }

    /// Builds something from a shard's open run.
    pub(super) fn open_run<T>(
        &self,
        shard: ShardId,
        build: impl FnOnce(Open<'_>) -> Option<T>,
    ) -> Option<T> {
        let lease = self.leases.lease(shard)?;
        let run = self.ledger.shard(shard)?.open()?;
        build(Open {
            part: self.ledger.of_job(shard.job)?.id.part,
            id: lease.run,
            run,
            executor: &lease.executor,
            share: &lease.share,
            given: lease.given,
            confirmed: lease.was_confirmed(),
            seen_from: lease.seen_from,
            late_max: self.config.late_max,
        })
    }

    /// Every run is ready: the workflow starts, with its plan time and the first reservations.
    fn start_workflow(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        let Some(part) = self.ledger.of_job(key.job).map(|part| part.id) else { return };
        let command = ManagerCommand::Started { part, workflow: key.workflow };
        if self.propose(cx, command) {
            cx.count(Stat::WorkflowStarted);
            self.fix_plan_time(cx, key);
        }
    }

    /// Proposes when plan time starts: `start_delay` from here, or when the gate asked for, if that
    /// is later.
    pub(super) fn fix_plan_time(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        let wanted = self.not_before.get(&key.job).map(|at| at.since(cx.now()));
        let delay = self.config.start_delay.max(wanted.unwrap_or_default());
        self.reserve(cx, key, PlanTime::ZERO.before(delay));
    }

    /// Proposes plan time and longer reservations for every open run of a running workflow.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        if let Some(plan_time) = self.leases.plan_time(key, cx.now()) {
            self.reserve(cx, key, plan_time);
        }
    }

    fn reserve(&mut self, cx: &mut Cx<'_>, key: WorkflowKey, plan_time: PlanTime) {
        if self.pending.holds(&Intent::Advanced(key)) {
            return;
        }
        let Some(part) = self.ledger.of_job(key.job) else { return };
        let mut ceilings: BoundedVec<_, { limits::SHARDS_MAX }> = BoundedVec::new();
        for lease in self.leases.of_workflow(key) {
            let shard = lease.run.shard;
            let Some(run) = self.ledger.shard(shard).and_then(|known| known.open()) else {
                continue;
            };
            if !lease.may_be_confirmed() || self.pending.ends(part.id, lease.run) {
                continue;
            }
            let reserve = self.leases.reserve(shard, run, plan_time);
            if let Some(reserve) = reserve.filter(|reserve| *reserve > run.reserved)
                && ceilings.push((lease.run, reserve)).is_ok()
            {
                cx.count(Stat::CeilingReserved);
            }
        }
        let (part, workflow) = (part.id, key.workflow);
        self.propose(cx, ManagerCommand::Advanced { part, workflow, plan_time, ceilings });
    }
}
