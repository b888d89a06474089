//! The manager: runs the parts of its datacenter on its workers.
//!
//! A router: fields and wiring only. Messages go through `handlers`, which propose commands;
//! everything durable is a command in the group's log, applied to the ledger when it is committed;
//! what is promised outward is said from there.
//!
//! | module | decides |
//! |---|---|
//! | `ledger`, `models` | what is committed; refuses what would break a promise |
//! | `workflow_lifecycle`, `progress` | what a part needs next |
//! | `dispatch` | which worker runs which shard |
//! | `leases`, `ceilings` | which run may issue, how far, until when |
//! | `registry` | who lives |
//! | `endings`, `stats` | what a run and a workflow contributed, and what is declared missing |
//! | `sync` | what gates are told |
//! | `cancellation` | ending runs |
//! | `leadership` | proposing, taking over from an earlier life, snapshots |
//!
//! Does not do: elections (its group has one voter), discovery and health beyond silence.

mod cancellation;
mod ceilings;
mod dispatch;
mod endings;
mod gate_loss;
mod handlers;
mod leadership;
mod leases;
mod ledger;
pub mod models;
mod progress;
mod registry;
mod stats;
mod sync;
mod workflow_lifecycle;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

pub use ledger::{Applied, ManagerLedger};
pub use models::{ManagerCommand, RunOutcome};
pub use workflow_lifecycle::may_move;

use crate::config::ManagerConfig;
use crate::consensus::{Event, Group, Input as GroupInput};
use crate::digest;
use crate::ids::{Boot, JobId, LogIndex, Lsn, NodeId, PartId, RunId, WorkflowIx};
use crate::input::Input;
use crate::invariant::{Inv, Violation};
use crate::journal::{LedgerSnapshot, RecoverError, Recovered, Snapshot};
use crate::lease::grantor_wait;
use crate::limits;
use crate::machine::{Cx, Events, Machine, Role, Wake};
use crate::plan::PlanTime;
use crate::report::WorkflowStatus;
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::{Heartbeat, Message};

use dispatch::Dispatch;
use gate_loss::GateLoss;
use leadership::Pending;
use leases::{Due, Leases};
use models::{Part, Run, WorkflowKey};
use registry::Registry;
use sync::Sync;

/// The manager of a datacenter.
#[derive(Debug)]
pub struct Manager {
    config: ManagerConfig,
    group: Group<ManagerCommand>,
    ledger: ManagerLedger,
    registry: Registry,
    dispatch: Dispatch,
    leases: Leases,
    sync: Sync,
    gate_loss: GateLoss,
    pending: Pending,
    /// What the group told and is not routed yet.
    events: VecDeque<Event<ManagerCommand>>,
    /// The newest heartbeat of each worker that was heard before this life leads; taken when it
    /// does.
    early: BTreeMap<NodeId, Heartbeat>,
    /// When the gate wants a job's load to start.
    not_before: BTreeMap<JobId, Instant>,
    applied_since_snapshot: u64,
    /// The newest entry that the ledger holds.
    applied: LogIndex,
    has_started: bool,
    led: bool,
    is_draining: bool,
}

impl Machine for Manager {
    type Input = Input;
    type Event = Infallible;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Infallible> {
        if !self.has_started {
            self.has_started = true;
            let events = self.group.handle(cx, GroupInput::Start);
            self.events.extend(events);
        }
        match input {
            Input::Wake => self.on_wake(cx),
            Input::Durable(lsn) => {
                let events = self.group.handle(cx, GroupInput::Durable(lsn));
                self.events.extend(events);
            }
            Input::Received { from, msg } => self.on_received(cx, from, *msg),
            Input::Drain => self.is_draining = true,
            Input::Called { .. } | Input::Engine(_) => cx.count(Stat::InputForeign),
        }
        self.settle(cx);
        if self.leads() {
            if self.dispatch.is_waiting() {
                self.place(cx);
                self.settle(cx);
            }
            self.checkpoint_if_due(cx);
        }
        Events::none()
    }

    fn next_wake(&self) -> Option<Wake> {
        let wakes = [
            self.registry.next_wake(),
            self.dispatch.next_wake(),
            self.leases.next_wake(),
            self.sync.next_wake(),
            self.gate_loss.next_wake(),
        ];
        wakes.into_iter().fold(None, Wake::earliest)
    }

    fn check(&self) -> Result<(), Violation> {
        self.group.check()?;
        let bounds = [
            ("workers", self.registry.len(), limits::WORKERS_MAX),
            ("intents in flight", self.pending.len(), limits::PARTS_MAX * limits::SHARDS_MAX * 8),
        ];
        for (what, found, max) in bounds {
            if found > max {
                return Err(Violation::new(Inv::Bounded, format!("{found} {what}, at most {max}")));
            }
        }
        Ok(())
    }
}

impl Manager {
    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        if !self.leads() {
            return;
        }
        for (worker, boot) in self.registry.on_wake(cx) {
            self.fail_unconfirmed(cx, worker, boot);
        }
        for due in self.leases.on_wake(cx.now()) {
            match due {
                Due::Lost(shard) => self.on_lease_lost(cx, shard),
                Due::Advance(key) => self.advance(cx, key),
            }
        }
        while let Some(key) = self.dispatch.pop_due(cx.now()) {
            self.on_dispatch_due(cx, key);
        }
        while let Some(job) = self.sync.pop_due(cx.now()) {
            self.report_part(cx, job);
        }
        self.on_gates_silent(cx);
    }

    fn on_received(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: Message) {
        if !self.leads() {
            if let Message::Heartbeat(beat) = msg
                && self.early.len() < limits::WORKERS_MAX
            {
                self.early.insert(from, beat);
            } else {
                cx.count(Stat::MessageStale);
            }
            return;
        }
        match msg {
            Message::Offer(offer) => self.on_offer(cx, from, offer),
            Message::Begin(begin) => self.on_begin(cx, from, begin),
            Message::CancelPart(cancel) => self.on_cancel(cx, from, cancel),
            Message::Probe(_) => {
                self.gate_loss.on_probe(cx.now());
                cx.out.send_volatile(from, self.registry.capacity());
            }
            Message::PartAck(ack) => self.on_part_ack(cx, ack),
            Message::Heartbeat(beat) => self.on_heartbeat(cx, from, &beat),
            Message::Report(report) => self.on_report(cx, from, report),
            Message::Final(end) => self.on_final(cx, from, end),
            Message::PartReport(_)
            | Message::Capacity(_)
            | Message::Prepare(_)
            | Message::Gates(_)
            | Message::Managers(_)
            | Message::NotLeader(_)
            | Message::Claim(_)
            | Message::NotOwner(_)
            | Message::SessionBeat(_)
            | Message::SessionAck(_)
            | Message::Confirm(_) => cx.count(Stat::MessageForeign),
        }
    }

    /// Routes what the group told until it has nothing more to tell.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let most = self.events.len().saturating_add(limits::SETTLE_MAX);
        for _ in 0..most {
            match self.events.pop_front() {
                None => return,
                Some(Event::Led { .. }) => {
                    self.on_led(cx);
                    for (from, beat) in std::mem::take(&mut self.early) {
                        self.on_heartbeat(cx, from, &beat);
                    }
                }
                Some(Event::Committed { index, command, .. }) => {
                    self.on_committed(cx, index, &command);
                }
                Some(Event::StoodDown) => self.led = false,
                Some(
                    Event::Followed { .. }
                    | Event::Installed { .. }
                    | Event::Readable { .. }
                    | Event::LedgerWanted,
                ) => {}
            }
        }
        crate::ensure!(cx, self.events.is_empty(), Inv::NodeSettles, "{}", self.events.len());
    }

    fn on_committed(&mut self, cx: &mut Cx<'_>, index: LogIndex, command: &ManagerCommand) {
        self.applied_since_snapshot = self.applied_since_snapshot.saturating_add(1);
        self.applied = index;
        let applied = self.ledger.apply(index, command);
        if !self.led {
            return;
        }
        self.settle_intent(command);
        let key = |part: &PartId, ix: &WorkflowIx| WorkflowKey { job: part.job, workflow: *ix };
        match command {
            ManagerCommand::Accept { part, gate, fence, .. }
            | ManagerCommand::Begin { part, gate, fence } => {
                self.on_wish_committed(cx, *gate, (*part, *fence));
                if let Some(part) = self.ledger.part(*part) {
                    self.gate_loss.watch(cx.now(), part);
                }
                self.walk(cx, part.job);
            }
            ManagerCommand::Cancel { part, gate, fence, .. } => {
                self.on_wish_committed(cx, *gate, (*part, *fence));
                self.stop_part(cx, part.job);
            }
            ManagerCommand::Fail { part, .. } => self.stop_part(cx, part.job),
            ManagerCommand::Split { part, .. } | ManagerCommand::Started { part, .. } => {
                self.report_part(cx, part.job);
                self.walk(cx, part.job);
            }
            ManagerCommand::Assign { shard, worker, .. } => {
                self.on_assigned(cx, index, (*shard, *worker), applied);
                if applied == Applied::Ignored {
                    self.walk(cx, shard.job);
                }
            }
            ManagerCommand::Advanced { part, workflow, plan_time, .. } => {
                self.on_advanced(cx, key(part, workflow), *plan_time);
            }
            ManagerCommand::EndRun { run, outcome, .. } => {
                self.on_run_ended(cx, (*run, outcome), applied);
                self.walk(cx, run.shard.job);
            }
            ManagerCommand::EndWorkflow { part, workflow, .. } => {
                if applied == Applied::Changed {
                    cx.count(Stat::WorkflowEnded);
                    self.leases.close_workflow(key(part, workflow));
                    self.dispatch.close_workflow(key(part, workflow));
                    self.report_part(cx, part.job);
                }
                self.walk(cx, part.job);
            }
            ManagerCommand::Close { part } => {
                self.sync.close(part.job);
                self.not_before.remove(&part.job);
                self.gate_loss.forget(part.job);
            }
        }
    }

    /// A cancel or a failure is committed.
    fn stop_part(&mut self, cx: &mut Cx<'_>, job: JobId) {
        let stopped = self.ledger.of_job(job).map(|part| {
            let stopped = |status: WorkflowStatus| match status {
                WorkflowStatus::Pending | WorkflowStatus::Dispatched | WorkflowStatus::Running => {
                    false
                }
                WorkflowStatus::Cancelling
                | WorkflowStatus::Completed
                | WorkflowStatus::Failed
                | WorkflowStatus::Cancelled
                | WorkflowStatus::Skipped => true,
            };
            part.states().filter(|(_, s)| stopped(s.status)).map(|(ix, _)| ix).collect::<Vec<_>>()
        });
        for workflow in stopped.unwrap_or_default() {
            self.dispatch.close_workflow(WorkflowKey { job, workflow });
        }
        self.stop_runs(cx, job);
        self.walk(cx, job);
    }
}

impl Role for Manager {
    type Config = ManagerConfig;

    fn recover(config: ManagerConfig, boot: Boot, disk: Recovered) -> Result<Self, RecoverError> {
        let mut group = Group::new(config.node, config.consensus.clone(), boot);
        let mut ledger = ManagerLedger::default();
        if let Some((lsn, Snapshot { head, ledger: held })) = disk.snapshot {
            ledger = *of_managers(lsn, held)?;
            group.replay_snapshot(head);
        }
        for (lsn, record) in &disk.records {
            let record = record.of_managers().ok_or_else(|| foreign(*lsn))?;
            if let Some(installed) = group.replay(*lsn, record)? {
                ledger = *of_managers(*lsn, *installed)?;
            }
        }
        let wait = grantor_wait(config.lease.ttl, config.lease.drift_ppm);
        Ok(Self {
            registry: Registry::new(wait),
            dispatch: Dispatch::default(),
            leases: Leases::new(config.lease),
            sync: Sync::default(),
            gate_loss: GateLoss::new(),
            pending: Pending::default(),
            events: VecDeque::new(),
            early: BTreeMap::new(),
            not_before: BTreeMap::new(),
            applied_since_snapshot: 0,
            applied: group.committed(),
            has_started: false,
            led: false,
            is_draining: false,
            config,
            group,
            ledger,
        })
    }

    fn check_all(&self) -> Result<(), Violation> {
        self.check()?;
        self.ledger.check_all()?;
        if self.leads() { self.check_leases() } else { Ok(()) }
    }

    fn durable_digest(&self) -> u64 {
        self.group.durable_digest()
    }

    fn ledger_digest(&self) -> (LogIndex, u64) {
        (self.applied, digest::of(&self.ledger))
    }

    fn is_drained(&self) -> bool {
        self.is_draining && self.is_idle()
    }
}

fn of_managers(lsn: Lsn, ledger: LedgerSnapshot) -> Result<Box<ManagerLedger>, RecoverError> {
    match ledger {
        LedgerSnapshot::Manager(held) => Ok(held),
        LedgerSnapshot::Gate(_) => Err(foreign(lsn)),
    }
}

fn foreign(lsn: Lsn) -> RecoverError {
    RecoverError::ForeignRecord { lsn, found: "gate", role: "manager" }
}

/// Read-only views, for oracles.
impl Manager {
    /// Every part of the ledger.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.ledger.parts()
    }

    /// The ledger.
    pub fn ledger(&self) -> &ManagerLedger {
        &self.ledger
    }

    /// A workflow's status.
    pub fn workflow_status(&self, part: PartId, workflow: WorkflowIx) -> Option<WorkflowStatus> {
        self.ledger.part(part)?.status(workflow)
    }

    /// The latest run of every shard, with what the ledger says of it.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, &Run)> {
        self.ledger
            .runs()
            .map(|(shard, run)| (RunId { shard, fence: self.group.fence(run.index) }, run))
    }

    /// Plan time of a running workflow.
    pub fn plan_time(&self, part: PartId, workflow: WorkflowIx, now: Instant) -> Option<PlanTime> {
        self.leases.plan_time(WorkflowKey { job: part.job, workflow }, now)
    }

    /// Every open run that this life may have confirmed, or takes to be: with the highest ceiling
    /// it was given.
    pub fn ceilings(&self) -> impl Iterator<Item = (RunId, u64)> {
        let confirmed = self.leases.iter().filter(|lease| lease.was_confirmed());
        confirmed.map(|lease| (lease.run, lease.given))
    }

    /// Whether an entry of this life's term is committed.
    pub fn leads(&self) -> bool {
        self.led && self.group.leads()
    }

    /// The group, read-only.
    pub fn group(&self) -> &Group<ManagerCommand> {
        &self.group
    }

    /// Whether nothing of any job is held but tombstones.
    pub fn is_idle(&self) -> bool {
        self.ledger.parts().next().is_none()
            && self.leases.is_empty()
            && self.dispatch.is_empty()
            && self.sync.is_empty()
            && self.pending.len() == 0
            && self.not_before.is_empty()
            && self.registry.promised() == 0
    }

    /// Leases and the ledger's open runs are the same, and nothing is confirmed beyond its
    /// reservation.
    fn check_leases(&self) -> Result<(), Violation> {
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
