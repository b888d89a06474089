//! A gate: takes jobs from clients and has datacenters run them.
//!
//! A router: it holds the group and the ledger, and says who hears what. Decisions live in the
//! modules: `flow` (which calls are taken), `calls` (answers in time), `registry` (keys), `queue`
//! (whose turn it is), `sessions` (who lives), `ownership` (which jobs this gate acts for),
//! `claims` (where parts report), `cancellation`, `dispatch` (what a job needs next), `timeouts`,
//! `sync` (judging reports), `health` (datacenters), `routing` and `placing` (which of them),
//! `stats` (views), `windows` (over plan time), `watch` (updates), `leadership` (boot).
//!
//! Inputs: calls from clients, the group's messages and session beats from gates, `PartReport`,
//! `Capacity` and `NotLeader` from managers. Clients hear committed facts only: job-once,
//! job-durable, job-terminal and cancel-beats hold because each is decided by the order of the log.
//! Managers hear what is committed: an `Offer`, `Begin` or `CancelPart` names its entry as fence.
//! Every gate applies every entry. The gate that owns a job decides about it, while its session
//! lasts, under the fence that gave it the job (owner-single). Sessions, owners and the age of keys
//! are the leader's: it proposes them in its term.

mod admission;
mod calls;
mod cancellation;
mod claims;
mod dispatch;
mod errand;
mod handlers;
mod health;
mod leadership;
mod ledger;
mod members;
mod merge;
pub mod models;
mod ownership;
mod placing;
mod queue;
mod registry;
mod routing;
mod sessions;
mod state;
mod stats;
mod sync;
mod timeouts;
mod watch;
mod windows;

use std::collections::VecDeque;

use crate::config::GateConfig;
use crate::consensus::{self, Event, Group};
use crate::digest;
use crate::ensure;
use crate::flow::Flow;
use crate::ids::{Boot, JobId, LogIndex, Lsn, PartIx, WorkflowIx};
use crate::input::Input;
use crate::invariant::{Inv, Violation};
use crate::journal::{LedgerSnapshot, RecoverError, Recovered};
use crate::limits::SETTLE_MAX;
use crate::machine::{Cx, Events, Machine, Role, Wake};
use crate::membership::Membership;
use crate::stat::Stat;

use calls::Calls;
use cancellation::Cancellation;
use claims::Claims;
use dispatch::Dispatch;
use errand::Wish;
use health::Health;
use leadership::Leadership;
pub use ledger::{Applied, GateLedger, Key};
pub use models::GateCommand;
use models::Next;
use queue::Queue;
use registry::Registry;
pub use routing::Routed;
use routing::Routing;
use sessions::{Grants, Tenure};
use state::Committed;
use sync::Sync;
use watch::Watch;
pub use windows::Line;
use windows::Windows;

/// A gate.
#[derive(Debug)]
pub struct Gate {
    config: GateConfig,
    group: Group<GateCommand>,
    ledger: GateLedger,
    applied: LogIndex,
    leadership: Leadership,
    calls: Calls,
    registry: Registry,
    grants: Grants,
    tenure: Tenure,
    /// The session under which this gate acts for its jobs; `None` while it acts for none.
    acting: Option<LogIndex>,
    /// The record that began this boot.
    booted: Lsn,
    claims: Claims,
    cancellation: Cancellation,
    dispatch: Dispatch,
    sync: Sync,
    health: Health,
    routing: Routing,
    watch: Watch,
    flow: Flow,
    queue: Queue,
    windows: Windows,
    led: bool,
    membership: Membership,
    draining: bool,
    ledger_wanted: bool,
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

    /// Whether this gate leads the group.
    pub fn leads(&self) -> bool {
        self.led && self.group.leads()
    }

    /// The group, read-only.
    pub fn group(&self) -> &Group<GateCommand> {
        &self.group
    }

    /// The session under which this gate acts for the jobs that it owns; `None` while it acts for
    /// none.
    pub fn session(&self) -> Option<LogIndex> {
        self.acting
    }

    /// Whether this gate has a session, no job lives, and nothing but history is kept of any.
    pub fn is_idle(&self) -> bool {
        self.acting.is_some()
            && self.ledger.live_count() == 0
            && self.calls.is_idle()
            && self.registry.is_idle()
            && self.claims.is_idle()
            && self.cancellation.is_idle()
            && self.dispatch.is_idle()
            && self.sync.is_idle()
            && self.queue.is_idle()
    }

    fn committed(&self) -> Committed<'_> {
        Committed::of(&self.group, &self.ledger, self.applied)
    }

    fn tell_group(&mut self, cx: &mut Cx<'_>, input: consensus::Input<GateCommand>) {
        self.news.extend(self.group.handle(cx, input));
    }

    /// A decision of the leader. Whether it is in the log.
    fn propose(&mut self, cx: &mut Cx<'_>, command: GateCommand) -> bool {
        let index = self.group.next_index();
        self.tell_group(cx, consensus::Input::Propose(command));
        self.group.next_index() > index
    }

    /// A decision of any gate; its number. `None` if there is no room for more.
    fn submit(&mut self, cx: &mut Cx<'_>, command: GateCommand) -> Option<u64> {
        if !self.group.has_room() {
            cx.count(Stat::CapRefused);
            return None;
        }
        let seq = self.group.next_seq();
        self.tell_group(cx, consensus::Input::Submit(command));
        Some(seq)
    }

    /// A decision about a job that this gate acts for. Without room it is made again with a later
    /// beat.
    fn submit_for(
        &mut self,
        cx: &mut Cx<'_>,
        (job, part): (JobId, Option<PartIx>),
        command: GateCommand,
    ) {
        if let Some(seq) = self.submit(cx, command) {
            self.dispatch.on_submitted(job, part, seq);
        }
    }

    fn settle(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..SETTLE_MAX {
            match self.news.pop_front() {
                None => {
                    self.on_settled(cx);
                    if self.news.is_empty() {
                        return;
                    }
                }
                Some(Event::Led { .. }) => self.on_led(cx),
                Some(Event::StoodDown) => self.on_stood_down(),
                Some(Event::Followed { leader }) => self.on_followed(cx, leader),
                Some(Event::Committed { index, command, seq }) => {
                    self.on_committed(cx, index, &command, seq);
                }
                Some(Event::Installed { index, ledger }) => self.on_installed(cx, index, *ledger),
                Some(Event::Readable { ticket }) => self.on_readable(cx, ticket),
                Some(Event::LedgerWanted) => self.ledger_wanted = true,
            }
        }
        ensure!(cx, self.news.is_empty(), Inv::NodeSettles, "{} events left", self.news.len());
    }

    fn on_settled(&mut self, cx: &mut Cx<'_>) {
        self.applied = self.group.committed();
        let every = self.config.checkpoint_entries;
        self.leadership.on_applied(cx, every, &mut self.group, &self.ledger);
        if std::mem::take(&mut self.ledger_wanted) {
            let ledger = LedgerSnapshot::Gate(Box::new(self.ledger.clone()));
            self.tell_group(cx, consensus::Input::Ledger(Box::new(ledger)));
        }
        self.judge_tenure(cx);
        self.on_turns_changed(cx);
    }

    fn on_committed(
        &mut self,
        cx: &mut Cx<'_>,
        index: LogIndex,
        command: &GateCommand,
        seq: Option<u64>,
    ) {
        let applied = self.ledger.apply(index, command);
        self.applied = index;
        if let Applied::Fenced(_) = applied {
            cx.count(Stat::OwnerFenced);
        }
        if let Some(seq) = seq {
            self.dispatch.on_committed(seq);
            self.answer_writes(cx, seq, command, applied);
        }
        if self.led {
            self.on_lead_committed(cx, index, command);
        }
        let job = match command {
            GateCommand::Create { .. } => JobId::new(index.get()),
            GateCommand::Cancel { job, workflow, .. } => {
                if let Some(workflow) = workflow.filter(|_| self.acts_for(*job)) {
                    self.on_stopped(cx, index, *job, workflow);
                }
                *job
            }
            GateCommand::EndPart { part, .. } => {
                if applied == Applied::PartEnded(part.job) && self.acts_for(part.job) {
                    self.acknowledge(cx, *part);
                    self.on_parts_ended(cx, part.job);
                }
                part.job
            }
            GateCommand::Begin { job, .. }
            | GateCommand::EndJob { job, .. }
            | GateCommand::Admit { job }
            | GateCommand::Own { job, .. }
            | GateCommand::Ran { job, .. } => *job,
            GateCommand::Place { part, .. } => part.job,
            GateCommand::Forget { .. } | GateCommand::Enrol { .. } | GateCommand::Expire { .. } => {
                return self.on_session_committed(cx, applied);
            }
        };
        self.touched.push(job);
        self.queue.on_changed();
        if let Applied::Owned(job) = applied {
            self.on_owned(cx, job);
        } else if self.acts_for(job) {
            self.on_applied(cx, index, applied);
            self.pursue(cx, job);
        }
        if let Applied::JobEnded(_) = applied {
            self.watch.retain(|job| self.ledger.job(job).is_some());
            self.windows.retain(|job| self.ledger.job(job).is_some());
        }
    }

    fn on_applied(&mut self, cx: &mut Cx<'_>, index: LogIndex, applied: Applied) {
        match applied {
            Applied::Overtaken
            | Applied::Fenced(_)
            | Applied::Full
            | Applied::Known(_)
            | Applied::AlreadyEnded(_)
            | Applied::Forgot
            | Applied::Enrolled(_)
            | Applied::Expired(_)
            | Applied::Owned(_) => {}
            Applied::Created(job) => {
                self.watch.on_created(job, index);
                self.on_created(cx, job);
            }
            Applied::Admitted(_) => cx.count(Stat::JobAdmitted),
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
                if let Some(ended) = self.ledger.job(job) {
                    self.windows.on_job_ended(cx, job, ended);
                }
                self.publish(cx, job);
                self.sync.forget(job);
                self.claims.forget(job);
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

    fn pursue(&mut self, cx: &mut Cx<'_>, job: JobId) {
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.pursue(cx, committed, job);
        self.fulfil(cx, wishes);
    }

    fn fulfil(&mut self, cx: &mut Cx<'_>, wishes: Events<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Place { part, otherwise } => self.place(cx, part, otherwise),
                Wish::Propose { job, part, command } => self.submit_for(cx, (job, part), command),
                Wish::End(job) => self.end(cx, job),
                Wish::Deliver { datacenter, attempt, msg } => {
                    self.deliver(cx, (&datacenter, attempt), *msg);
                }
            }
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        self.tell_group(cx, consensus::Input::Wake);
        self.health.on_wake(cx);
        self.beat_if_due(cx);
        for (call, refusal) in self.calls.on_wake(cx.now()) {
            self.give_up(cx, call, refusal);
        }
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.on_wake(cx, committed);
        self.fulfil(cx, wishes);
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let due = self.claims.on_wake(cx, committed);
        self.send_claims(cx, due);
        self.lead_on(cx);
    }
}

impl Machine for Gate {
    type Input = Input;
    type Event = std::convert::Infallible;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Self::Event> {
        self.touched.clear();
        self.routing.begin();
        if self.leadership.begin() {
            self.tell_group(cx, consensus::Input::Start);
            self.booted = cx.out.appended();
        }
        self.judge_tenure(cx);
        self.on_members(cx, members::Input::Wake);
        match input {
            Input::Wake => self.on_wake(cx),
            Input::Durable(lsn) => self.tell_group(cx, consensus::Input::Durable(lsn)),
            Input::Received { from, msg } => self.on_message(cx, from, *msg),
            Input::Called { call, client, command } => self.on_called(cx, call, client, *command),
            Input::Sampled(sample) => self.flow.on_sampled(cx, sample),
            Input::Engine(_) => cx.count(Stat::InputForeign),
            Input::Unknown { .. } => cx.count(Stat::MessageUnknown),
            Input::Drain => self.draining = true,
        }
        self.settle(cx);
        self.leave_if_drained(cx);
        Events::none()
    }

    fn next_wake(&self) -> Option<Wake> {
        let (mut wake, leads) = (self.group.next_wake(), self.led);
        for other in [
            self.leadership.next_wake(),
            self.health.next_wake(),
            self.tenure.next_wake(self.acting.is_some()),
            self.calls.next_wake(),
            self.dispatch.next_wake(),
            self.claims.next_wake(),
            self.membership.next_wake(),
            self.grants.next_wake().filter(|_| leads),
            self.registry.next_wake().filter(|_| leads),
        ] {
            wake = Wake::earliest(wake, other);
        }
        wake
    }

    fn check(&self) -> Result<(), Violation> {
        self.group.check()?;
        self.membership.check()?;
        self.check_owned()?;
        self.flow.check()?;
        self.calls.credits().check()?;
        self.touched.iter().try_for_each(|job| self.ledger.check_job(*job))
    }
}

impl Role for Gate {
    type Config = GateConfig;

    fn recover(config: GateConfig, boot: Boot, disk: Recovered) -> Result<Self, RecoverError> {
        let group = Group::new(config.node, config.consensus.clone(), boot);
        let (group, ledger) = leadership::fold(group, disk)?;
        Ok(Self {
            applied: group.committed(),
            leadership: Leadership::above(group.committed()),
            group,
            ledger,
            calls: Calls::default(),
            registry: Registry::default(),
            grants: Grants::new(config.session_ttl, config.consensus.drift_ppm),
            tenure: Tenure::new(config.session_ttl),
            acting: None,
            booted: Lsn::new(0),
            claims: Claims::new(config.resend_after),
            cancellation: Cancellation::default(),
            dispatch: Dispatch::new(&config),
            sync: Sync::default(),
            health: Health::new(&config.datacenters, config.health, boot.id),
            routing: Routing::new(config.node, config.health),
            watch: Watch::default(),
            flow: Flow::new(admission::limits(&config.admission)),
            queue: Queue::new(config.admission),
            windows: Windows::default(),
            led: false,
            membership: members::of(&config, boot.id),
            draining: false,
            ledger_wanted: false,
            news: VecDeque::new(),
            touched: Vec::new(),
            config,
        })
    }

    fn check_all(&self) -> Result<(), Violation> {
        self.group.check()?;
        self.ledger.check_all()?;
        self.watch.check()?;
        self.windows.check()?;
        self.dispatch.check_all(self.committed())
    }

    fn durable_digest(&self) -> u64 {
        self.group.durable_digest()
    }

    fn ledger_digest(&self) -> (LogIndex, u64) {
        (self.applied, digest::of(&self.ledger))
    }

    fn is_drained(&self) -> bool {
        self.draining && self.has_left()
    }
}
