//! From a worker: heartbeats that list its runs, reports and finals. A heartbeat is answered with a
//! verdict on every run that it lists; a run that is not open in the ledger, or not this life's of
//! this worker, is ended or forgotten. A worker without runs hears that this node leads when it is
//! new to it, and now and then.
//!
//! Invariants: run-exclusive, counted-once (only an open run's final is committed), cancel-bounded.

use std::collections::BTreeSet;

use crate::ids::{BootId, JobId, NodeId, RunId};
use crate::lease::IDLE_ANSWERED_EVERY;
use crate::machine::Cx;
use crate::manager::Manager;
use crate::manager::leadership::Intent;
use crate::manager::ledger::Applied;
use crate::manager::models::{ManagerCommand, Run, RunOutcome, WorkflowKey};
use crate::manager::registry::Heard;
use crate::plan::PlanTime;
use crate::report::WorkflowStatus;
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::{Final, Heartbeat, Report, RunBeat, RunEnd, RunState, Verdict, VerdictKind};

/// A heartbeat that arrived at an instant, and what it makes necessary beyond its answer.
#[derive(Debug)]
struct Hearing {
    at: Instant,
    short: BTreeSet<WorkflowKey>,
    ready: BTreeSet<JobId>,
}

impl Manager {
    pub(in crate::manager) fn on_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        (from, at): (NodeId, Instant),
        beat: &Heartbeat,
    ) {
        let heard = self.registry.on_heartbeat(cx, (from, at), beat);
        match heard {
            Heard::Dropped => return,
            Heard::Replaced(boot) => self.fail_unconfirmed(cx, from, boot),
            Heard::Fresh | Heard::First => {}
        }
        let mut hearing = Hearing { at, short: BTreeSet::new(), ready: BTreeSet::new() };
        let mut verdicts = Vec::new();
        for run in &beat.runs {
            if let Some(kind) = self.judge(cx, (from, beat.boot), run, &mut hearing) {
                verdicts.push(Verdict { run: run.run, kind });
            }
        }
        if !beat.runs.is_empty() {
            self.press(cx, from, beat.boot);
        }
        let is_answered =
            !beat.runs.is_empty() || beat.seq.is_multiple_of(u64::from(IDLE_ANSWERED_EVERY));
        if is_answered || heard != Heard::Fresh {
            self.confirm(cx, from, (beat.boot, beat.seq), verdicts);
        }
        for key in hearing.short {
            self.advance(cx, key);
        }
        for job in hearing.ready {
            self.walk(cx, job);
        }
    }

    fn judge(
        &mut self,
        cx: &mut Cx<'_>,
        holder: (NodeId, BootId),
        beat: &RunBeat,
        hearing: &mut Hearing,
    ) -> Option<VerdictKind> {
        let shard = beat.run.shard;
        let key = WorkflowKey::of(shard);
        if self.is_later(beat.run) {
            cx.count(Stat::MessageStale);
            return None;
        }
        if !self.is_open(holder, beat.run) {
            return Some(match beat.state {
                RunState::Ended | RunState::Refused => VerdictKind::Forget,
                RunState::Preparing
                | RunState::Prepared
                | RunState::Running
                | RunState::Parked
                | RunState::Stopping => VerdictKind::Stop,
            });
        }
        let was_ready = self.leases.lease(shard).is_some_and(|lease| lease.may_be_confirmed());
        self.leases.on_listed(cx.now(), hearing.at, beat);
        let is_ready = self.leases.lease(shard).is_some_and(|lease| lease.may_be_confirmed());
        self.registry.settle(holder.0, shard);
        self.dispatch.on_listed(shard, is_ready);
        if beat.state == RunState::Refused {
            self.fail_open_run(cx, shard, "its worker refused it");
        }
        let part = self.ledger.of_job(shard.job)?;
        if self.pending.ends(part.id, beat.run) {
            return None;
        }
        let status = part.status(shard.workflow)?;
        if let Some(kind) = self.hand_over(cx, holder.0, beat) {
            return Some(kind);
        }
        match status {
            WorkflowStatus::Cancelling => (beat.state != RunState::Ended).then(|| {
                cx.count(Stat::RunRevoked);
                VerdictKind::Stop
            }),
            WorkflowStatus::Dispatched => {
                if is_ready && !was_ready {
                    hearing.ready.insert(shard.job);
                }
                Some(VerdictKind::Hold)
            }
            WorkflowStatus::Running if is_ready => {
                if !self.may_speak(cx) {
                    return None;
                }
                let run = self.ledger.shard(shard)?.open()?;
                if self.leases.is_short(shard, run, cx.now()) {
                    hearing.short.insert(key);
                }
                self.leases.grant(cx, shard, run).or(Some(VerdictKind::Hold))
            }
            WorkflowStatus::Running if beat.state == RunState::Preparing => Some(VerdictKind::Hold),
            WorkflowStatus::Running
            | WorkflowStatus::Pending
            | WorkflowStatus::Completed
            | WorkflowStatus::Failed
            | WorkflowStatus::Cancelled
            | WorkflowStatus::Skipped => None,
        }
    }

    /// Whether the run was assigned by an entry that is not committed here: another leads by now,
    /// whatever this node's clock says, and the run is not for this one to judge.
    fn is_later(&self, run: RunId) -> bool {
        run.fence.group == self.group.id() && run.fence.index > self.group.committed()
    }

    /// Whether the run is open in the ledger and given to this life of this worker.
    fn is_open(&self, (worker, boot): (NodeId, BootId), run: RunId) -> bool {
        run.fence.group == self.group.id()
            && self.ledger.shard(run.shard).and_then(|shard| shard.open()).is_some_and(|open| {
                open.index == run.fence.index && open.worker == worker && open.boot == boot
            })
    }

    /// Runs of this life of a worker that were never confirmed have issued nothing and will not:
    /// they end at once.
    pub(in crate::manager) fn fail_unconfirmed(
        &mut self,
        cx: &mut Cx<'_>,
        worker: NodeId,
        boot: BootId,
    ) {
        let held = |lease: &&crate::manager::leases::Lease| {
            lease.worker == worker && lease.boot == boot && !lease.was_confirmed()
        };
        let shards = self.leases.iter().filter(held).map(|l| l.run.shard).collect::<Vec<_>>();
        for shard in shards {
            self.vacate_open_run(cx, shard, "its worker was lost before it started");
        }
    }

    pub(in crate::manager) fn on_report(&mut self, cx: &mut Cx<'_>, from: NodeId, report: Report) {
        let shard = report.run.shard;
        // What is about to be committed of a run stays as it was proposed.
        let is_ending = self.pending.holds(&Intent::EndRun(shard));
        if is_ending || !self.is_open((from, report.boot), report.run) {
            cx.count(Stat::ReportStale);
            return;
        }
        let key = WorkflowKey::of(shard);
        self.pressure.on_report(cx);
        self.cut(cx, key);
        self.sync.on_report(cx, report);
        self.cut(cx, key);
    }

    pub(in crate::manager) fn on_final(&mut self, cx: &mut Cx<'_>, from: NodeId, end: Final) {
        let (boot, run) = (end.boot, end.run);
        if self.is_later(run) {
            return cx.count(Stat::MessageStale);
        }
        if !self.is_open((from, boot), run) {
            cx.count(Stat::ReportStale);
            self.push(cx, vec![(from, boot, run, VerdictKind::Forget)]);
            return;
        }
        if self.pending.holds(&Intent::EndRun(run.shard)) {
            return;
        }
        let state = self.ledger.workflow(WorkflowKey::of(run.shard));
        let wanted = state.is_some_and(|state| state.status != WorkflowStatus::Cancelling);
        let is_stopped = end.end == RunEnd::Stopped;
        let ended_at = end.plan_time;
        let command = self.open_run(run.shard, |open| Some(open.finished(end, wanted)));
        let Some(command @ ManagerCommand::EndRun { ceiling, .. }) = command else { return };
        if self.propose(cx, command) {
            self.sync.on_last_word(run.shard, ended_at);
            self.inherit(cx, run.shard, is_stopped.then_some(ceiling));
        }
    }

    /// The last confirmation of a shard's open run has expired and its worker is silent about it.
    pub(in crate::manager) fn on_lease_lost(
        &mut self,
        cx: &mut Cx<'_>,
        shard: crate::ids::ShardId,
    ) {
        let key = WorkflowKey::of(shard);
        let replicated = self.ledger.workflow(key).and_then(|state| state.plan_time);
        let at = self.leases.plan_time(key, cx.now()).or(replicated).unwrap_or_default();
        let at = at.max(PlanTime::ZERO);
        let last = self.sync.reported(shard);
        if let Some(command) = self.open_run(shard, |open| Some(open.lost(last, at))) {
            self.propose(cx, command);
        }
    }

    /// A run's end is committed, or was already.
    pub(in crate::manager) fn on_run_ended(
        &mut self,
        cx: &mut Cx<'_>,
        (id, outcome): (RunId, &RunOutcome),
        applied: Applied,
    ) {
        if applied == Applied::Ignored {
            return;
        }
        let shard = id.shard;
        self.sync.close_run(shard);
        self.dispatch.close_run(shard);
        self.health.forget(shard);
        self.disinherit(shard);
        let Some(lease) = self.leases.close(shard) else { return };
        self.registry.settle(lease.worker, shard);
        match outcome {
            RunOutcome::Completed | RunOutcome::Stopped => {
                cx.count(Stat::RunFinal);
                self.push(cx, vec![(lease.worker, lease.boot, id, VerdictKind::Forget)]);
            }
            RunOutcome::Failed { .. } => {
                self.dispatch.on_failed(shard, lease.worker);
                self.rest(cx, shard);
            }
            RunOutcome::Vacated { .. } => self.dispatch.on_failed(shard, lease.worker),
            RunOutcome::Lost => cx.count(Stat::RunLost),
        }
    }

    /// Longer reservations are committed: runs that wait for them are confirmed without waiting for
    /// a heartbeat.
    pub(in crate::manager) fn on_advanced(
        &mut self,
        cx: &mut Cx<'_>,
        key: WorkflowKey,
        plan_time: PlanTime,
    ) {
        let Some(part) = self.ledger.of_job(key.job) else { return };
        if part.status(key.workflow) != Some(WorkflowStatus::Running) {
            return;
        }
        let part = part.id;
        if self.leases.plan_time(key, cx.now()).is_none() {
            self.leases.start_clock(cx.now(), key, plan_time);
        }
        if !self.may_speak(cx) {
            return;
        }
        let wanting = |lease: &&crate::manager::leases::Lease| {
            self.leases.is_wanting(lease.run.shard) && !self.pending.ends(part, lease.run)
        };
        let runs = self.leases.of_workflow(key).filter(wanting);
        let runs = runs.map(|lease| (lease.worker, lease.boot, lease.run)).collect::<Vec<_>>();
        let mut verdicts = Vec::new();
        for (worker, boot, id) in runs {
            let Some(run): Option<&Run> = self.ledger.shard(id.shard).and_then(|s| s.open()) else {
                continue;
            };
            if let Some(kind) = self.leases.grant(cx, id.shard, run) {
                verdicts.push((worker, boot, id, kind));
            }
        }
        self.push(cx, verdicts);
    }
}
