//! Leading and not leading: putting commands into the group's log, taking up what an earlier leader
//! left, letting go of it all.
//!
//! A command is in flight at most once: its intent stays pending from its append to its commit.
//! That also closes hole 5: from the append of an entry that ends, cancels or moves a run, the run
//! is not confirmed any more. A command is a decision of this leadership: it is gone if that is
//! lost before the commit, and whoever leads then decides anew from the ledger.
//!
//! Before an entry of its own term is committed a leader confirms, answers and decides nothing. At
//! that instant it counts every open run that may have been confirmed as confirmed just now, up to
//! its reservation, and goes on. An earlier leader confirmed nothing after its lease, which ended
//! before this one was elected, and nothing beyond the reservations, which are in this one's log:
//! so what arrives of it late grants nothing that is not counted, and a confirmation needs to name
//! no term. Nor does it need one to be refused: it is for a run by its fence, and for a heartbeat
//! by its boot and number, from whose send the holder counts.
//!
//! Without the leader's lease nothing is sent, although work goes on: that is how a leader that is
//! cut off falls silent before another speaks. On standing down everything but the ledger is
//! dropped.

use std::collections::BTreeSet;

use super::Manager;
use super::dispatch::Dispatch;
use super::expiry::Expiry;
use super::gate_loss::GateLoss;
use super::health::Health;
use super::leases::Leases;
use super::models::{ManagerCommand, WorkflowKey};
use super::pressure::Pressure;
use super::registry::Registry;
use super::sync::Sync;
use super::timeouts::Timeouts;
use crate::consensus::Input as GroupInput;
use crate::ids::{JobId, LogIndex, NodeId, PartId, RunId, ShardId, WorkflowIx};
use crate::invariant::{Inv, Violation};
use crate::journal::{LedgerSnapshot, Snapshot};
use crate::lease::grantor_wait;
use crate::machine::{Cx, Machine as _};
use crate::plan::shares;
use crate::report::WorkflowStatus;
use crate::stat::Stat;
use crate::wire::NotLeader;

/// What a command is about; two commands of one intent are never in flight together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Intent {
    Accept(JobId),
    Begin(JobId),
    Cancel(PartId, Option<WorkflowIx>),
    Split(WorkflowKey),
    Assign(ShardId),
    Started(WorkflowKey),
    Advanced(WorkflowKey),
    EndRun(ShardId),
    EndWorkflow(WorkflowKey),
    Close(JobId),
    Fail(JobId, Option<WorkflowIx>),
    Claim(JobId),
    Expire(PartId),
    Ran(JobId),
}

impl Intent {
    /// The intent of a command.
    pub(super) fn of(command: &ManagerCommand) -> Self {
        let key = |part: &PartId, workflow: &WorkflowIx| WorkflowKey {
            job: part.job,
            workflow: *workflow,
        };
        match command {
            ManagerCommand::Accept { part, .. } => Self::Accept(part.job),
            ManagerCommand::Begin { part, .. } => Self::Begin(part.job),
            ManagerCommand::Cancel { part, workflow, .. } => Self::Cancel(*part, *workflow),
            ManagerCommand::Split { part, workflow, .. } => Self::Split(key(part, workflow)),
            ManagerCommand::Assign { shard, .. } => Self::Assign(*shard),
            ManagerCommand::Started { part, workflow } => Self::Started(key(part, workflow)),
            ManagerCommand::Advanced { part, workflow, .. } => Self::Advanced(key(part, workflow)),
            ManagerCommand::EndRun { run, .. } => Self::EndRun(run.shard),
            ManagerCommand::EndWorkflow { part, workflow, .. } => {
                Self::EndWorkflow(key(part, workflow))
            }
            ManagerCommand::Close { part } => Self::Close(part.job),
            ManagerCommand::Fail { part, workflow, .. } => Self::Fail(part.job, *workflow),
            ManagerCommand::Claim { part, .. } => Self::Claim(part.job),
            ManagerCommand::Expire { part, .. } => Self::Expire(*part),
            ManagerCommand::Ran { part, .. } => Self::Ran(part.job),
        }
    }
}

/// Intents of commands that are appended and not committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(BTreeSet<Intent>);

impl Pending {
    /// Whether such a command is in flight.
    pub(super) fn holds(&self, intent: &Intent) -> bool {
        self.0.contains(intent)
    }

    /// Whether a command in flight ends, cancels or moves the run.
    pub(super) fn ends(&self, part: PartId, run: RunId) -> bool {
        let workflow = Some(run.shard.workflow);
        !self.0.is_empty()
            && (self.holds(&Intent::EndRun(run.shard))
                || self.holds(&Intent::Cancel(part, None))
                || self.holds(&Intent::Cancel(part, workflow))
                || self.holds(&Intent::Fail(part.job, None))
                || self.holds(&Intent::Fail(part.job, workflow)))
    }

    /// How many commands are in flight.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Manager {
    /// Puts a command into the log unless one of its intent is in flight. Whether it went in.
    pub(super) fn propose(&mut self, cx: &mut Cx<'_>, command: ManagerCommand) -> bool {
        let intent = Intent::of(&command);
        if self.pending.holds(&intent) {
            return false;
        }
        let place = self.group.next_index();
        let events = self.group.handle(cx, GroupInput::Propose(command));
        self.events.extend(events);
        // A group that hands leadership over takes nothing.
        let went_in = self.group.next_index() > place;
        if went_in {
            self.pending.0.insert(intent);
        }
        went_in
    }

    /// Whether this node leads and nobody else can at this instant: it may confirm and answer.
    pub(super) fn may_speak(&self, cx: &Cx<'_>) -> bool {
        self.leads() && self.group.leads_at(cx.now())
    }

    /// Whether another node votes in the group.
    pub(super) fn has_peers(&self) -> bool {
        self.group.membership().voters.iter().any(|voter| voter.node != self.config.node)
    }

    /// A command left the flight.
    pub(super) fn settle_intent(&mut self, command: &ManagerCommand) {
        self.pending.0.remove(&Intent::of(command));
    }

    /// This node leads: every open run counts as confirmed now, plan time goes on, gates are told,
    /// and workers that were heard lately are answered.
    pub(super) fn on_led(&mut self, cx: &mut Cx<'_>) {
        self.led = true;
        self.expect_beats(cx);
        let now = cx.now();
        let mut unstarted = Vec::new();
        for part in self.ledger.parts() {
            for (workflow, state) in part.states() {
                let key = WorkflowKey { job: part.id.job, workflow };
                match state.plan_time {
                    Some(_) if state.status.is_terminal() => {}
                    Some(plan) => self.leases.recover_clock(now, key, plan),
                    None if state.status == WorkflowStatus::Running => unstarted.push(key),
                    None => {}
                }
                let planned = part.planned(workflow).map(|planned| planned.executor);
                let Some((executor, share)) = planned.zip(part.share(workflow)) else { continue };
                let count = u16::try_from(state.shards.len()).unwrap_or(u16::MAX);
                let shares = if count == 0 { Vec::new() } else { shares(&executor, &share, count) };
                for ((id, shard), share) in super::ledger::shards_of(key, state).zip(shares) {
                    let Some(run) = shard.open() else { continue };
                    let run_id = RunId { shard: id, fence: self.group.fence(run.index) };
                    self.leases.recover(cx, run_id, run, (executor, share));
                    if !run.may_have_issued() {
                        self.dispatch.await_ready(now, id, &self.config);
                    }
                }
            }
        }
        for key in unstarted {
            self.fix_plan_time(cx, key);
        }
        let jobs = self.ledger.parts().map(|part| part.id.job).collect::<Vec<_>>();
        for job in jobs {
            self.watch_part(cx, job);
            self.stop_runs(cx, job);
            self.report_part(cx, job);
            self.walk(cx, job);
        }
        for (from, at, beat) in self.early.take(now) {
            self.on_heartbeat(cx, (from, at), &beat);
        }
        self.transfer(cx);
    }

    /// Another node may lead from here on: nothing that this one decided and did not commit holds,
    /// and it knows of no worker and no lease.
    pub(super) fn on_stood_down(&mut self, cx: &mut Cx<'_>) {
        let wait = grantor_wait(self.config.lease.ttl, self.config.lease.drift_ppm);
        self.led = false;
        self.expect_beats(cx);
        self.registry = Registry::new(wait);
        self.dispatch = Dispatch::default();
        self.leases = Leases::new(self.config.lease);
        self.sync = Sync::default();
        self.pressure = Pressure::new(self.config.reports_per_second);
        self.gate_loss = GateLoss::new();
        self.expiry = Expiry::default();
        self.timeouts = Timeouts::default();
        self.health = Health::new();
        self.pending = Pending::default();
        self.not_before.clear();
        self.transfer_at = None;
    }

    /// A snapshot of another node replaces the ledger. One of this node follows, so that its
    /// journal need not keep what came before.
    pub(super) fn on_installed(
        &mut self,
        cx: &mut Cx<'_>,
        index: LogIndex,
        ledger: LedgerSnapshot,
    ) {
        match ledger {
            LedgerSnapshot::Manager(held) => {
                self.ledger = *held;
                self.applied = index;
                self.applied_since_snapshot = self.config.checkpoint_entries;
            }
            LedgerSnapshot::Gate(_) => {
                crate::ensure!(cx, false, Inv::RecoverEqual, "{index}: a ledger of gates");
            }
        }
    }

    /// Takes no new part, and hands leadership to another voter.
    pub(super) fn on_drain(&mut self, cx: &mut Cx<'_>) {
        self.is_draining = true;
        self.transfer(cx);
    }

    /// A draining leader hands over, again and again until another leads.
    pub(super) fn transfer(&mut self, cx: &mut Cx<'_>) {
        if !self.is_draining || !self.leads() || !self.has_peers() {
            return;
        }
        self.transfer_at = Some(cx.now().after(self.config.consensus.election_max * 2));
        let events = self.group.handle(cx, GroupInput::Transfer);
        self.events.extend(events);
    }

    /// Whoever takes this node for the leader hears who is; a node that is about to lead says
    /// nothing.
    pub(super) fn redirect(&self, cx: &mut Cx<'_>, to: NodeId) {
        cx.count(Stat::MessageStale);
        let leader = self.group.leader();
        if self.has_peers() && leader != Some(self.config.node) {
            cx.out.send_volatile(to, NotLeader { term: self.group.term(), leader });
        }
    }

    /// What the group asked for, once the ledger is the one at its last committed entry.
    pub(super) fn serve_group(&mut self, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.is_ledger_wanted) {
            let ledger = LedgerSnapshot::Manager(Box::new(self.ledger.clone()));
            let events = self.group.handle(cx, GroupInput::Ledger(Box::new(ledger)));
            self.events.extend(events);
        }
        self.checkpoint_if_due(cx);
    }

    /// Writes a snapshot once enough entries were applied since the last.
    fn checkpoint_if_due(&mut self, cx: &mut Cx<'_>) {
        if self.applied_since_snapshot < self.config.checkpoint_entries {
            return;
        }
        self.applied_since_snapshot = 0;
        cx.count(Stat::Checkpointed);
        let ledger = LedgerSnapshot::Manager(Box::new(self.ledger.clone()));
        let (upto, head) = self.group.snapshot();
        cx.out.checkpoint(upto, Snapshot { head, ledger });
    }

    /// Leases and the ledger's open runs are the same, and nothing is confirmed beyond its
    /// reservation.
    pub(super) fn check_leases(&self) -> Result<(), Violation> {
        if !self.led {
            let detail = "it holds runs and does not lead".to_owned();
            let broken = Violation::new(Inv::RunExclusive, detail);
            return if self.holds_nothing() { Ok(()) } else { Err(broken) };
        }
        for (shard, run) in self.ledger.runs() {
            if run.ended.is_none() && self.leases.lease(shard).is_none() {
                let detail = format!("{shard:?} of {} has no lease", run.worker);
                return Err(Violation::new(Inv::RunExclusive, detail));
            }
        }
        for lease in self.leases.iter() {
            let shard = lease.run.shard;
            let Some(run) = self.ledger.shard(shard).and_then(|shard| shard.open()) else {
                let detail = format!("{:?} is leased and not open", lease.run);
                return Err(Violation::new(Inv::RunExclusive, detail));
            };
            if run.index != lease.run.fence.index || lease.given > run.reserved {
                let detail = format!("{:?} given {} of {run:?}", lease.run, lease.given);
                return Err(Violation::new(Inv::PlanCeiling, detail));
            }
        }
        Ok(())
    }
}
