//! The manager: runs the parts of its datacenter on its workers, as one of 1, 3 or 5 replicas.
//!
//! One replica leads; the others apply what is committed, take snapshots and keep what workers say.
//! Whoever asks one of them is told who leads. Everything but the ledger is the leader's, built
//! anew by each, and goes when it stands down.
//!
//! A router: fields and wiring only. Messages go through `handlers`, which propose commands;
//! everything durable is a command in the group's log, applied to the ledger when it is committed;
//! what is promised outward is said from there.
//!
//! | module | decides |
//! |---|---|
//! | `ledger`, `models` | what is committed; refuses what would break a promise |
//! | `workflow_lifecycle`, `progress` | what a part needs next |
//! | `placement` | what waits and gets cores, and which worker's |
//! | `dispatch` | getting a shard to run there |
//! | `leases`, `ceilings` | which run may issue, how far, until when |
//! | `registry`, `members`, `health` | who lives, who is doubted, whose runs get on |
//! | `handover` | what a worker that leaves gives to which peer |
//! | `endings`, `stats` | what a run and a workflow contributed, and what is declared missing |
//! | `sync`, `windows` | what gates are told |
//! | `pressure` | how often workers report |
//! | `cancellation` | ending runs |
//! | `expiry`, `gate_loss`, `timeouts` | giving up what no gate begins, or none watches |
//! | `leadership`, `early` | proposing, taking over, standing down, draining, snapshots |
//!
//! Does not do: elections and replication (`consensus`), discovery.

mod cancellation;
mod capacity;
mod ceilings;
mod dispatch;
mod early;
mod endings;
mod expiry;
mod gate_loss;
mod handlers;
mod handover;
mod health;
mod leadership;
mod leases;
mod ledger;
mod members;
pub mod models;
mod placement;
mod pressure;
mod progress;
mod registry;
mod stats;
mod sync;
mod timeouts;
mod view;
mod windows;
mod workflow_lifecycle;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

pub use ledger::{Applied, ManagerLedger};
pub use models::{ManagerCommand, RunOutcome};
pub use timeouts::TIMED_OUT;
pub use workflow_lifecycle::may_move;

use crate::config::ManagerConfig;
use crate::consensus::{Event, Group, Input as GroupInput};
use crate::digest;
use crate::ids::{Boot, JobId, LogIndex, Lsn, NodeId, PartId, RunId, WorkflowIx};
use crate::input::Input;
use crate::invariant::{Inv, Violation};
use crate::journal::{LedgerSnapshot, RecoverError, Recovered, Snapshot};
use crate::lease::{FOLLOWERS_HEAR_EVERY, grantor_wait};
use crate::limits;
use crate::machine::{Cx, Events, Machine, Role, Wake};
use crate::membership::{self, MemberRole, Membership};
use crate::plan::PlanTime;
use crate::report::WorkflowStatus;
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::{Message, NotOwner};

use dispatch::Dispatch;
use early::Early;
use expiry::Expiry;
use gate_loss::GateLoss;
use health::Health;
use leadership::Pending;
use leases::{Due, Leases};
use models::{Part, Run, WorkflowKey};
use pressure::Pressure;
use registry::Registry;
use sync::Sync;
use timeouts::Timeouts;

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
    pressure: Pressure,
    gate_loss: GateLoss,
    expiry: Expiry,
    timeouts: Timeouts,
    health: Health,
    pending: Pending,
    /// What the group told and is not routed yet.
    events: VecDeque<Event<ManagerCommand>>,
    early: Early,
    /// When the gate wants a job's load to start.
    not_before: BTreeMap<JobId, Instant>,
    applied_since_snapshot: u64,
    /// The newest entry that the ledger holds.
    applied: LogIndex,
    /// A member of the group needs the ledger.
    is_ledger_wanted: bool,
    has_started: bool,
    /// Between `Led` and `StoodDown`.
    led: bool,
    membership: Membership,
    is_draining: bool,
    /// When a draining leader tries again to hand over.
    transfer_at: Option<Instant>,
}

impl Machine for Manager {
    type Input = Input;
    type Event = Infallible;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Infallible> {
        if !self.has_started {
            self.has_started = true;
            self.on_group(cx, GroupInput::Start);
        }
        self.on_members(cx, membership::Input::Wake);
        match input {
            Input::Wake => self.on_wake(cx),
            Input::Durable(lsn) => self.on_group(cx, GroupInput::Durable(lsn)),
            Input::Received { from, msg } => self.on_received(cx, from, *msg),
            Input::Drain => self.on_drain(cx),
            Input::Unknown { .. } => cx.count(Stat::MessageUnknown),
            Input::Called { .. } | Input::Engine(_) | Input::Sampled(_) => {
                cx.count(Stat::InputForeign);
            }
        }
        self.settle(cx);
        if self.leads() && self.dispatch.is_waiting() {
            self.place(cx);
            self.settle(cx);
        }
        self.serve_group(cx);
        self.settle(cx);
        if self.is_drained() {
            self.on_members(cx, membership::Input::Leave);
        }
        Events::none()
    }

    fn next_wake(&self) -> Option<Wake> {
        let group = Wake::earliest(self.group.next_wake(), self.membership.next_wake());
        if !self.leads() {
            return group;
        }
        let transfer = self.transfer_at.map(|at| Wake { at, why: "hand leadership over again" });
        let wakes = [
            self.registry.next_wake(),
            self.dispatch.next_wake(),
            self.leases.next_wake(),
            self.sync.next_wake(),
            self.gate_loss.next_wake(),
            self.expiry.next_wake(),
            self.timeouts.next_wake(),
            transfer,
        ];
        wakes.into_iter().fold(group, Wake::earliest)
    }

    fn check(&self) -> Result<(), Violation> {
        self.group.check()?;
        self.membership.check()?;
        let bounds = [
            ("workers", self.registry.len(), limits::WORKERS_MAX),
            ("early heartbeats", self.early.len(), limits::WORKERS_MAX),
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
    fn on_group(&mut self, cx: &mut Cx<'_>, input: GroupInput<ManagerCommand>) {
        let events = self.group.handle(cx, input);
        self.events.extend(events);
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        self.on_group(cx, GroupInput::Wake);
        // Whether this node leads still is known once the group's events are routed.
        self.settle(cx);
        if !self.leads() {
            return;
        }
        if self.transfer_at.is_some_and(|at| at <= cx.now()) {
            self.transfer(cx);
        }
        for (worker, boot) in self.registry.on_wake(cx) {
            self.fail_unconfirmed(cx, worker, boot);
        }
        for due in self.leases.on_wake(cx.now()) {
            match due {
                Due::Lost(shard) => self.on_lease_lost(cx, shard),
                Due::Advance(key) => {
                    self.advance(cx, key);
                    self.review(cx, key);
                }
            }
        }
        while let Some(key) = self.dispatch.pop_due(cx.now()) {
            self.on_dispatch_due(cx, key);
        }
        while let Some(job) = self.sync.pop_due(cx.now()) {
            self.report_part(cx, job);
        }
        self.on_gates_silent(cx);
        self.on_expiries(cx);
        self.on_timeouts(cx);
    }

    fn on_received(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: Message) {
        self.on_heard(cx, from, &msg);
        match msg {
            Message::Swim(msg) => self.on_members(cx, membership::Input::Received { from, msg }),
            Message::Managers(msg) => {
                self.on_group(cx, GroupInput::Received { from, msg: Box::new(msg) });
            }
            msg if self.leads() => self.on_leader_received(cx, from, msg),
            Message::Heartbeat(beat) => self.early.keep(cx, from, beat),
            Message::Offer(_)
            | Message::Begin(_)
            | Message::CancelPart(_)
            | Message::Probe(_)
            | Message::Claim(_) => self.redirect(cx, from),
            Message::PartAck(_)
            | Message::PartReport(_)
            | Message::Capacity(_)
            | Message::Prepare(_)
            | Message::Confirm(_)
            | Message::Report(_)
            | Message::Final(_)
            | Message::Gates(_)
            | Message::NotLeader(_)
            | Message::NotOwner(_)
            | Message::SessionBeat(_)
            | Message::Pressure(_)
            | Message::SessionAck(_) => cx.count(Stat::MessageStale),
        }
    }

    fn on_leader_received(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: Message) {
        match msg {
            Message::Offer(offer) => self.on_offer(cx, from, offer),
            Message::Begin(begin) => self.on_begin(cx, from, begin),
            Message::CancelPart(cancel) => self.on_cancel(cx, from, cancel),
            Message::Probe(probe) => self.on_probe(cx, from, probe),
            Message::PartAck(ack) => self.on_part_ack(cx, ack),
            Message::Claim(claim) => self.on_claim(cx, claim.part, from, claim.fence),
            Message::NotOwner(NotOwner { part, owner: Some(owner), fence }) => {
                self.on_claim(cx, part, owner, fence);
            }
            Message::Heartbeat(beat) => self.on_heartbeat(cx, (from, cx.now()), &beat),
            Message::Report(report) => self.on_report(cx, from, report),
            Message::Final(end) => self.on_final(cx, from, end),
            Message::NotOwner(_) => cx.count(Stat::MessageStale),
            Message::PartReport(_)
            | Message::Capacity(_)
            | Message::Prepare(_)
            | Message::Gates(_)
            | Message::Managers(_)
            | Message::NotLeader(_)
            | Message::SessionBeat(_)
            | Message::SessionAck(_)
            | Message::Pressure(_)
            | Message::Swim(_)
            | Message::Confirm(_) => cx.count(Stat::MessageForeign),
        }
    }

    /// Routes what the group told until it has nothing more to tell.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let most = self.events.len().saturating_add(limits::SETTLE_MAX);
        for _ in 0..most {
            match self.events.pop_front() {
                None => return,
                Some(Event::Led { term }) => {
                    if self.group.leads() && self.group.term() == term {
                        self.on_led(cx);
                    }
                }
                Some(Event::Committed { index, command, .. }) => {
                    self.on_committed(cx, index, &command);
                }
                Some(Event::StoodDown) => self.on_stood_down(cx),
                Some(Event::Installed { index, ledger }) => self.on_installed(cx, index, *ledger),
                Some(Event::LedgerWanted) => self.is_ledger_wanted = true,
                Some(Event::Followed { .. } | Event::Readable { .. }) => {}
            }
        }
        crate::ensure!(cx, self.events.is_empty(), Inv::NodeSettles, "{}", self.events.len());
    }

    fn on_committed(&mut self, cx: &mut Cx<'_>, index: LogIndex, command: &ManagerCommand) {
        self.applied_since_snapshot = self.applied_since_snapshot.saturating_add(1);
        self.applied = index;
        let applied = self.ledger.apply(index, command);
        if !self.leads() {
            return;
        }
        self.settle_intent(command);
        let key = |part: &PartId, ix: &WorkflowIx| WorkflowKey { job: part.job, workflow: *ix };
        match command {
            ManagerCommand::Accept { part, gate, fence, .. }
            | ManagerCommand::Begin { part, gate, fence } => {
                self.on_wish_committed(cx, *gate, (*part, *fence));
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
            ManagerCommand::EndRun { run, outcome, until, totals, .. } => {
                if applied == Applied::Changed {
                    let now = self.leases.plan_time(WorkflowKey::of(run.shard), cx.now());
                    self.sync.end_run(run.shard, now.unwrap_or(*until).max(*until), totals);
                }
                self.on_run_ended(cx, (*run, outcome), applied);
                self.walk(cx, run.shard.job);
            }
            ManagerCommand::EndWorkflow { part, workflow, .. } => {
                if applied == Applied::Changed {
                    cx.count(Stat::WorkflowEnded);
                    self.leases.close_workflow(key(part, workflow));
                    self.dispatch.close_workflow(key(part, workflow));
                    self.sync.cuts.close(key(part, workflow));
                    self.report_part(cx, part.job);
                }
                self.walk(cx, part.job);
            }
            ManagerCommand::Claim { part, .. } => self.report_part(cx, part.job),
            ManagerCommand::Ran { .. } => {}
            ManagerCommand::Close { part } | ManagerCommand::Expire { part, .. } => {
                if self.ledger.of_job(part.job).is_none() {
                    self.sync.close(part.job);
                    self.not_before.remove(&part.job);
                    self.gate_loss.forget(part.job);
                    self.expiry.forget(part.job);
                    self.timeouts.forget(part.job);
                }
            }
        }
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
        let me = (config.node, MemberRole::Manager, boot.id);
        let peers = (config.consensus.peers.clone(), MemberRole::Manager);
        let membership = Membership::new(config.membership, me, peers);
        let beats = config.lease.heartbeat_interval() * FOLLOWERS_HEAR_EVERY;
        Ok(Self {
            membership: membership.with_beats(beats),
            registry: Registry::new(wait),
            dispatch: Dispatch::default(),
            leases: Leases::new(config.lease),
            sync: Sync::default(),
            pressure: Pressure::new(config.reports_per_second),
            gate_loss: GateLoss::new(),
            expiry: Expiry::default(),
            timeouts: Timeouts::default(),
            health: Health::new(),
            pending: Pending::default(),
            events: VecDeque::new(),
            early: Early::new(config.lease.ttl),
            not_before: BTreeMap::new(),
            applied_since_snapshot: 0,
            applied: group.committed(),
            is_ledger_wanted: false,
            has_started: false,
            led: false,
            is_draining: false,
            transfer_at: None,
            config,
            group,
            ledger,
        })
    }

    fn check_all(&self) -> Result<(), Violation> {
        self.check()?;
        self.ledger.check_all()?;
        self.check_isolation()?;
        self.check_leases()
    }

    fn durable_digest(&self) -> u64 {
        self.group.durable_digest()
    }

    fn ledger_digest(&self) -> (LogIndex, u64) {
        (self.applied, digest::of(&self.ledger))
    }

    fn is_drained(&self) -> bool {
        let leads = self.group.leader() == Some(self.config.node);
        self.is_draining && if self.has_peers() { !leads } else { self.is_idle() }
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
