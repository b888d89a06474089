//! The gate: takes jobs from clients and has datacenters run them.
//!
//! A router: it holds the group and the ledger, and says who hears what. Decisions live in the
//! modules: `registry` (admission, keys), `cancellation`, `dispatch` (what a live job needs next),
//! `sync` (judging reports), `health` (datacenters), `stats` (views, results, thresholds), `watch`
//! (updates), `leadership` (boot, snapshots).
//!
//! Inputs: calls from clients, `PartReport` and `Capacity` from managers. Clients hear committed
//! facts only: job-once, job-durable, job-terminal and cancel-beats hold because each is decided by
//! the order of the log. Managers hear what is committed: an `Offer`, `Begin` or `CancelPart` names
//! its entry as fence, and a `PartAck` follows a committed end.
//! Does not do: several gates (ownership, sessions), routing by score.

mod cancellation;
mod dispatch;
mod errand;
mod handlers;
mod health;
mod leadership;
mod ledger;
mod merge;
pub mod models;
mod registry;
mod state;
mod stats;
mod sync;
mod watch;

use std::collections::VecDeque;

use crate::config::GateConfig;
use crate::consensus::{self, Event, Group};
use crate::digest::Digest;
use crate::ensure;
use crate::ids::{Boot, JobId, LogIndex, PartId, WorkflowIx};
use crate::input::Input;
use crate::invariant::{Inv, Violation};
use crate::journal::{RecoverError, Recovered};
use crate::limits::SETTLE_MAX;
use crate::machine::{Cx, Events, Machine, Role, Wake};
use crate::stat::Stat;

use cancellation::Cancellation;
use dispatch::Dispatch;
use errand::Wish;
use health::Health;
use leadership::Leadership;
pub use ledger::{Applied, GateLedger, Key};
pub use models::GateCommand;
use models::{Next, PartEnd};
use registry::Registry;
use state::Committed;
use sync::Sync;
use watch::Watch;

/// A gate.
#[derive(Debug)]
pub struct Gate {
    config: GateConfig,
    group: Group<GateCommand>,
    ledger: GateLedger,
    applied: LogIndex,
    leadership: Leadership,
    registry: Registry,
    cancellation: Cancellation,
    dispatch: Dispatch,
    sync: Sync,
    health: Health,
    watch: Watch,
    draining: bool,
    news: VecDeque<Event<GateCommand>>,
    touched: Vec<JobId>,
}

impl Gate {
    /// The committed state.
    pub fn ledger(&self) -> &GateLedger {
        &self.ledger
    }

    /// The committed jobs, oldest first.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = (JobId, &models::Job)> {
        self.ledger.jobs()
    }

    /// Whether this gate commits and answers.
    pub fn leads(&self) -> bool {
        self.group.leads()
    }

    /// Whether every job has ended and nothing but history is kept about any.
    pub fn is_idle(&self) -> bool {
        self.leads()
            && self.ledger.live_count() == 0
            && self.registry.is_idle()
            && self.cancellation.is_idle()
            && self.dispatch.is_idle()
            && self.sync.is_idle()
    }

    fn committed(&self) -> Committed<'_> {
        Committed::of(&self.group, &self.ledger, self.applied)
    }

    fn tell_group(&mut self, cx: &mut Cx<'_>, input: consensus::Input<GateCommand>) {
        self.news.extend(self.group.handle(cx, input));
    }

    fn propose(&mut self, cx: &mut Cx<'_>, command: GateCommand) -> LogIndex {
        let index = self.group.next_index();
        self.tell_group(cx, consensus::Input::Propose(command));
        index
    }

    fn settle(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..SETTLE_MAX {
            match self.news.pop_front() {
                None => return self.on_settled(cx),
                Some(Event::Led { .. }) => self.on_led(cx),
                Some(Event::Committed { index, command }) => {
                    self.on_committed(cx, index, &command);
                }
            }
        }
        ensure!(cx, self.news.is_empty(), Inv::NodeSettles, "{} events left", self.news.len());
    }

    fn on_settled(&mut self, cx: &mut Cx<'_>) {
        self.applied = self.group.committed();
        self.leadership.on_applied(cx, self.config.checkpoint_entries, &self.group, &self.ledger);
    }

    fn on_led(&mut self, cx: &mut Cx<'_>) {
        self.registry.on_keys(cx.now(), &self.ledger, self.group.committed());
        let live: Vec<_> = self.ledger.live().map(|(id, _)| id).collect();
        for job in live {
            self.pursue(cx, job);
        }
    }

    fn on_committed(&mut self, cx: &mut Cx<'_>, index: LogIndex, command: &GateCommand) {
        let applied = self.ledger.apply(index, command);
        self.applied = index;
        let job = match command {
            GateCommand::Create { key, plan_digest, .. } => {
                self.registry.on_committed(cx, index, (key, *plan_digest), applied);
                self.registry.on_keys(cx.now(), &self.ledger, index);
                JobId::new(index.get())
            }
            GateCommand::Cancel { job, workflow, .. } => {
                self.cancellation.on_committed(cx, index, (*job, *workflow), applied);
                if let Some(workflow) = workflow {
                    self.on_stopped(cx, index, *job, *workflow);
                }
                *job
            }
            GateCommand::EndPart { part, .. } => {
                if applied == Applied::PartEnded(part.job) {
                    self.acknowledge(cx, *part);
                }
                part.job
            }
            GateCommand::Place { part, .. } => part.job,
            GateCommand::Begin { job, .. } | GateCommand::EndJob { job, .. } => *job,
            GateCommand::Forget { .. } => {
                self.registry.on_keys(cx.now(), &self.ledger, index);
                JobId::default()
            }
        };
        self.touched.push(job);
        self.on_applied(cx, index, applied);
        self.pursue(cx, job);
    }

    fn on_applied(&mut self, cx: &mut Cx<'_>, index: LogIndex, applied: Applied) {
        match applied {
            Applied::Overtaken
            | Applied::Full
            | Applied::Known(_)
            | Applied::AlreadyEnded(_)
            | Applied::Forgot => {}
            Applied::Created(job) => {
                self.watch.on_created(job, self.group.term());
                self.publish(cx, job);
            }
            Applied::Placed(job) => {
                cx.count(Stat::PartOffered);
                self.publish(cx, job);
            }
            Applied::Begun(job) => {
                let parts = self.ledger.job(job).map_or(0, |job| job.parts.len());
                cx.count_many(Stat::PartBegun, u64::try_from(parts).unwrap_or(u64::MAX));
                self.dispatch.on_begun(cx.now(), job);
                self.publish(cx, job);
            }
            Applied::Cancelling(job) => self.on_cancelling(cx, index, job),
            Applied::PartEnded(job) => {
                cx.count(Stat::PartEnded);
                let ends = |job: &models::Job| job.next() == Next::End;
                if !self.ledger.job(job).is_some_and(ends) {
                    self.publish(cx, job);
                }
            }
            Applied::JobEnded(job) => {
                cx.count(Stat::JobEnded);
                self.publish(cx, job);
                self.sync.forget(job);
                self.watch.retain(|job| self.ledger.job(job).is_some());
            }
        }
    }

    fn on_cancelling(&mut self, cx: &mut Cx<'_>, index: LogIndex, id: JobId) {
        let cancel = self.ledger.job(id).and_then(|job| job.cancel.as_ref());
        if cancel.is_some_and(|cancel| cancel.at == index) {
            cx.count(Stat::JobCancelled);
            self.publish(cx, id);
        }
    }

    fn on_stopped(&mut self, cx: &mut Cx<'_>, index: LogIndex, job: JobId, workflow: WorkflowIx) {
        let stopped = self.ledger.job(job).map(|job| job.stopped.iter());
        if !stopped.into_iter().flatten().any(|stopped| stopped.at == index) {
            return;
        }
        cx.count(Stat::WorkflowCancelled);
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.on_stopped(committed, job, workflow);
        self.fulfil(cx, wishes);
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>, id: PartId) {
        let part = self.ledger.job(id.job).and_then(|job| job.part(id.part));
        let reported = part.filter(|part| part.end == Some(PartEnd::Reported));
        if let Some(to) = reported.and_then(|part| self.health.manager(&part.datacenter, 0)) {
            let ack = crate::wire::PartAck { part: id };
            cx.out.send_resting_on(self.group.committed_lsn(), to, ack);
        }
    }

    fn publish(&mut self, cx: &mut Cx<'_>, id: JobId) {
        if let Some(job) = self.ledger.job(id) {
            let view = stats::view(id, job, &merge::live(id, job, &self.sync));
            self.watch.publish(cx, self.group.term(), view);
        }
    }

    fn pursue(&mut self, cx: &mut Cx<'_>, job: JobId) {
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.pursue(cx, committed, job);
        self.fulfil(cx, wishes);
    }

    fn fulfil(&mut self, cx: &mut Cx<'_>, wishes: Events<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Place { part, otherwise } => self.place(cx, part, otherwise),
                Wish::Propose { job, part, command } => {
                    let index = self.propose(cx, command);
                    self.dispatch.on_proposed(job, part, index);
                }
                Wish::End(job) => self.end(cx, job),
                Wish::Deliver { datacenter, attempt, msg } => {
                    if let Some(to) = self.health.manager(&datacenter, attempt) {
                        cx.out.send_resting_on(self.group.committed_lsn(), to, *msg);
                    }
                }
            }
        }
    }

    fn place(&mut self, cx: &mut Cx<'_>, id: PartId, otherwise: GateCommand) {
        let Some(job) = self.ledger.job(id.job) else { return };
        let tried = job.tried.iter().chain(job.parts.iter().map(|part| &part.datacenter));
        let tried: Vec<_> = tried.map(String::as_str).collect();
        let command = match self.health.choose(cx.now(), &tried) {
            Some(found) => GateCommand::Place { part: id, datacenter: found.to_owned() },
            None => otherwise,
        };
        let whole = matches!(command, GateCommand::Cancel { .. });
        let index = self.propose(cx, command);
        self.dispatch.on_proposed(id.job, (!whole).then_some(id.part), index);
    }

    fn end(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.ledger.job(id) else { return };
        let Some((status, reason)) = job.verdict() else { return };
        let thresholds = merge::outcomes(job);
        let command = GateCommand::EndJob { job: id, status, reason, thresholds };
        let index = self.propose(cx, command);
        self.dispatch.on_proposed(id, None, index);
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        self.health.on_wake(cx);
        if !self.leads() {
            return;
        }
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.on_wake(cx, committed);
        self.fulfil(cx, wishes);
        if let Some(command) = self.registry.on_wake(cx.now()) {
            self.propose(cx, command);
        }
    }
}

impl Machine for Gate {
    type Input = Input;
    type Event = std::convert::Infallible;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Self::Event> {
        self.touched.clear();
        if self.leadership.begin() {
            self.tell_group(cx, consensus::Input::Start);
        }
        match input {
            Input::Wake => self.on_wake(cx),
            Input::Durable(lsn) => self.tell_group(cx, consensus::Input::Durable(lsn)),
            Input::Received { from, msg } => self.on_message(cx, from, *msg),
            Input::Called { call, command } => self.on_called(cx, call, *command),
            Input::Engine(_) => cx.count(Stat::InputForeign),
            Input::Drain => self.draining = true,
        }
        self.settle(cx);
        Events::none()
    }

    fn next_wake(&self) -> Option<Wake> {
        let work = Wake::earliest(self.dispatch.next_wake(), self.registry.next_wake());
        let work = Wake::earliest(self.health.next_wake(), work);
        Wake::earliest(self.leadership.next_wake(), work)
    }

    fn check(&self) -> Result<(), Violation> {
        self.group.check()?;
        self.touched.iter().try_for_each(|job| self.ledger.check_job(*job))
    }
}

impl Role for Gate {
    type Config = GateConfig;

    fn recover(config: GateConfig, _: Boot, disk: Recovered) -> Result<Self, RecoverError> {
        let (group, ledger, above) = leadership::fold(disk)?;
        Ok(Self {
            applied: group.committed(),
            group,
            ledger,
            leadership: Leadership::above(above),
            registry: Registry::default(),
            cancellation: Cancellation::default(),
            dispatch: Dispatch::new(&config),
            sync: Sync::default(),
            health: Health::new(&config.datacenters),
            watch: Watch::default(),
            draining: false,
            news: VecDeque::new(),
            touched: Vec::new(),
            config,
        })
    }

    fn check_all(&self) -> Result<(), Violation> {
        self.group.check()?;
        self.ledger.check_all()?;
        self.watch.check()?;
        self.dispatch.check_all(self.committed())
    }

    fn durable_digest(&self) -> u64 {
        let mut digest = Digest::new();
        digest.u64(self.applied.get());
        digest.value(&self.ledger);
        digest.finish()
    }
}
