//! The worker: executes runs while it holds unexpired confirmations.
//!
//! In: `Prepare` and `Confirm` from the managers, the engine's events, wakes, a drain. Out:
//! `Start`, `Permit` and `Stop` for the engine; heartbeats, reports and last words to every known
//! manager. A step that changes a run ends with a heartbeat.
//!
//! A worker is in no quorum and has no journal: a restarted one is a new boot that holds nothing,
//! whatever the one before held. It decides nothing about load; it hands on what it was granted,
//! counted from the send of the heartbeat that was answered. Draining, it takes no new run and goes
//! on with those it has; it is drained when none is left and every last word was acknowledged.
//!
//! A worker whose machine is at its limits takes no new run, and ends the newest when memory is
//! about to run out (`guard`).
//!
//! Who hears what: the handlers check what came and give it to `execution`; its events go to
//! `sync` (last words) and `registry` (a heartbeat is due); what `sync` wants told goes through
//! `registry`, which knows the managers.

mod backpressure;
mod cancellation;
mod execution;
mod guard;
mod handlers;
mod models;
mod registry;
#[cfg(test)]
mod samples;
mod sync;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

pub use guard::Level;
pub use models::{RunView, may_go};

use crate::config::WorkerConfig;
use crate::ids::{Boot, BootId, LogIndex};
use crate::input::Input;
use crate::invariant::{Inv, Violation};
use crate::journal::{RecoverError, Recovered};
use crate::machine::{Cx, Events, Machine, Role, Wake};
use crate::membership::{self, MemberRole, Membership};
use crate::stat::Stat;
use backpressure::Backpressure;
use execution::Execution;
use guard::Guard;
use registry::{Beat, Registry};
use sync::Sync;

/// A worker.
#[derive(Debug)]
pub struct Worker {
    registry: Registry,
    execution: Execution,
    sync: Sync,
    backpressure: Backpressure,
    guard: Guard,
    membership: Membership,
}

impl Worker {
    /// This life.
    #[must_use]
    pub const fn boot(&self) -> BootId {
        self.registry.boot()
    }

    /// Every run held, until it is told to forget it.
    pub fn runs(&self) -> impl Iterator<Item = RunView> {
        self.execution.views()
    }

    /// How many cores no run holds.
    #[must_use]
    pub fn cores_free(&self) -> u16 {
        self.execution.cores.free_count()
    }

    /// How near the machine is to its limits.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.guard.level()
    }

    /// The datacenter's managers and workers as members, read-only.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    fn on_members(&mut self, cx: &mut Cx<'_>, input: membership::Input) {
        for event in self.membership.handle(cx, input) {
            tracing::info!(?event, "membership");
        }
    }

    fn execute(&mut self, cx: &mut Cx<'_>, input: execution::Input) {
        for event in self.execution.handle(cx, input) {
            match event {
                execution::Event::Changed => self.registry.hasten(),
                execution::Event::Finished(last_word) => {
                    self.sync(cx, sync::Input::Finished(last_word));
                }
                execution::Event::Dropped(run) => self.sync(cx, sync::Input::Dropped(run)),
            }
        }
    }

    fn sync(&mut self, cx: &mut Cx<'_>, input: sync::Input) {
        for event in self.sync.handle(cx, input) {
            match event {
                sync::Event::Tell(msg) => self.registry.tell(cx, &msg),
            }
        }
    }

    fn guard(&mut self, cx: &mut Cx<'_>, input: guard::Input) {
        for event in self.guard.handle(cx, input) {
            match event {
                guard::Event::Throttle(on) => self.execute(cx, execution::Input::Throttle(on)),
                guard::Event::EndNewest => self.execute(cx, execution::Input::EndNewest),
            }
        }
    }

    fn beat(&mut self, cx: &mut Cx<'_>) {
        if !self.registry.is_due(cx.now()) {
            return;
        }
        let free = if self.execution.is_throttled() { 0 } else { self.cores_free() };
        let beat = Beat {
            cores: self.execution.cores.count(),
            free,
            draining: self.execution.is_draining(),
            runs: self.execution.beats(cx.now()),
        };
        self.registry.beat(cx, beat);
    }
}

impl Machine for Worker {
    type Input = Input;
    type Event = Infallible;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Infallible> {
        self.execution.begin_step();
        // What ended before this input arrived must have ended when it is looked at.
        self.execute(cx, execution::Input::Wake);
        self.on_members(cx, membership::Input::Wake);
        match input {
            Input::Wake => {}
            Input::Received { from, msg } => self.on_message(cx, from, *msg),
            Input::Engine(event) => self.on_engine(cx, *event),
            Input::Drain => self.execute(cx, execution::Input::Drain),
            Input::Sampled(sample) => self.guard(cx, guard::Input::Sampled(sample)),
            Input::Unknown { .. } => cx.count(Stat::MessageUnknown),
            Input::Durable(_) | Input::Called { .. } => cx.count(Stat::InputForeign),
        }
        self.guard(cx, guard::Input::Wake);
        self.sync(cx, sync::Input::Wake);
        self.beat(cx);
        if self.is_drained() {
            self.on_members(cx, membership::Input::Leave);
        }
        if let Err(violation) = self.check() {
            cx.out.halt(violation);
        }
        Events::none()
    }

    fn next_wake(&self) -> Option<Wake> {
        let results = Wake::earliest(self.sync.next_wake(), self.registry.next_wake());
        let results = Wake::earliest(results, self.membership.next_wake());
        let runs = Wake::earliest(self.execution.next_wake(), self.guard.next_wake());
        Wake::earliest(runs, results)
    }

    fn check(&self) -> Result<(), Violation> {
        self.execution.check()?;
        self.sync.check()?;
        self.guard.check()?;
        self.membership.check()?;
        self.registry.check()
    }
}

impl Role for Worker {
    type Config = WorkerConfig;

    fn recover(config: WorkerConfig, boot: Boot, disk: Recovered) -> Result<Self, RecoverError> {
        let record = disk.records.first().map(|(lsn, _)| (*lsn, "journal"));
        let snapshot = disk.snapshot.as_ref().map(|(lsn, _)| (*lsn, "snapshot"));
        if let Some((lsn, found)) = snapshot.or(record) {
            return Err(RecoverError::ForeignRecord { lsn, found, role: "worker" });
        }
        let me = (config.node, MemberRole::Worker, boot.id);
        let managers = (config.managers.clone(), MemberRole::Manager);
        Ok(Self {
            membership: Membership::new(config.membership, me, managers),
            registry: Registry::new(&config, boot.id),
            execution: Execution::new(&config, boot.id),
            sync: Sync::new(&config, boot.id),
            backpressure: Backpressure::default(),
            guard: Guard::default(),
        })
    }

    fn check_all(&self) -> Result<(), Violation> {
        self.check()?;
        self.execution.check_all()?;
        let strays = self.sync.finals().filter(|run| self.execution.is_live(*run)).count();
        let ended = self.runs().filter(|view| view.state == crate::wire::RunState::Ended);
        let silent = ended.filter(|view| !self.sync.has_final(view.run)).count();
        if strays + silent > 0 {
            let detail = format!("{strays} last words of live runs, {silent} ended without one");
            return Err(Violation::new(Inv::LifecycleLegal, detail));
        }
        Ok(())
    }

    fn durable_digest(&self) -> u64 {
        0
    }

    fn ledger_digest(&self) -> (LogIndex, u64) {
        (LogIndex::default(), 0)
    }

    fn is_drained(&self) -> bool {
        self.execution.is_draining() && self.execution.is_idle()
    }
}
