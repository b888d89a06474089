//! A gate with a disk, a clock and two datacenters' worth of addresses; effects as short lines.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::config::{DatacenterConfig, GateConfig};
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::models::{CancelCause, PartEnd};
use hyperscale_core::gate::{Gate, GateCommand};
use hyperscale_core::ids::{
    Boot, BootId, CallId, Fence, JobId, LogIndex, Lsn, NodeId, PartId, PartIx, ShardIx, WorkflowIx,
};
use hyperscale_core::input::Input;
use hyperscale_core::journal::{Record, Recovered, Snapshot};
use hyperscale_core::machine::Role;
use hyperscale_core::node::Node;
use hyperscale_core::plan::{
    Executor, OnGateLoss, OnWorkerLoss, Piece, Plan, PlanTime, RequestStep, Step, Template, When,
    Workflow,
};
use hyperscale_core::report::{
    Loss, LossKind, PartResult, WorkflowResult, WorkflowStatus, WorkflowView,
};
use hyperscale_core::stats::{StepTotals, Totals};
use hyperscale_core::time::Instant;
use hyperscale_core::wire::{CancelPart, Capacity, Message, PartPhase, PartReport};

pub(super) const S: Duration = Duration::from_secs(1);
pub(super) const GATE: NodeId = NodeId::new(1);
/// The manager of datacenter `east`, the preferred one.
pub(super) const EAST: NodeId = NodeId::new(10);
/// The manager of datacenter `west`.
pub(super) const WEST: NodeId = NodeId::new(20);
/// The manager of datacenter `north`.
pub(super) const NORTH: NodeId = NodeId::new(30);

pub(super) struct World {
    pub(super) node: Node<Gate>,
    pub(super) now: Instant,
    pub(super) config: GateConfig,
    pub(super) journal: Vec<(Lsn, Record)>,
    pub(super) durable: Lsn,
    pub(super) snapshot: Option<(Lsn, Snapshot)>,
    /// Managers that answer probes, and with what.
    pub(super) answers: BTreeMap<NodeId, Capacity>,
    /// How long their answers take.
    pub(super) trip: Duration,
    under_way: VecDeque<(Instant, NodeId, Capacity)>,
    /// Outward effects that wait for the journal.
    pub(super) held: Vec<Effect>,
    boots: u64,
}

pub(super) fn config(datacenters: usize) -> GateConfig {
    let all = [("east", EAST), ("west", WEST), ("north", NORTH)]
        .map(|(name, manager)| DatacenterConfig { name: name.into(), managers: vec![manager] });
    GateConfig {
        resend_after: S / 2,
        result_grace: 60 * S,
        ..GateConfig::new(GATE, all.into_iter().take(datacenters).collect())
    }
}

impl World {
    /// A gate with an empty disk that has not heard anything.
    pub(super) fn fresh(config: GateConfig) -> Self {
        let node = node(&config, 1, Recovered::default());
        let (journal, held) = (vec![], vec![]);
        let (now, durable) = (Instant::ZERO.after(S), Lsn::new(0));
        let managers = config.datacenters.iter().flat_map(|dc| dc.managers.clone());
        let answers = managers.map(|manager| (manager, capacity(4))).collect();
        let (trip, under_way) = (Duration::ZERO, VecDeque::new());
        let (snapshot, boots) = (None, 1);
        Self {
            node,
            now,
            config,
            journal,
            durable,
            snapshot,
            answers,
            trip,
            under_way,
            held,
            boots,
        }
    }

    /// A gate of so many datacenters that leads.
    pub(super) fn led(datacenters: usize) -> Self {
        let mut world = Self::fresh(config(datacenters));
        world.run(Input::Wake);
        assert!(world.node.role().leads());
        world
    }

    /// One step; what it appends is not durable yet.
    pub(super) fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects: Vec<_> = self.node.step(self.now, input).collect();
        // Probes go out every second whatever happens; the stories are about the rest.
        let mut probes = vec![];
        effects.retain(|effect| match effect {
            Effect::Send { to, msg, .. } => match **msg {
                Message::Probe(probe) => {
                    probes.push((*to, probe));
                    false
                }
                _ => true,
            },
            _ => true,
        });
        for (manager, probe) in probes {
            let Some(capacity) = self.answers.get(&manager) else { continue };
            let capacity = Capacity { probe: probe.number, ..capacity.clone() };
            if self.trip > Duration::ZERO {
                self.under_way.push_back((self.now.after(self.trip), manager, capacity));
                continue;
            }
            effects.extend(self.node.step(self.now, received(manager, capacity)));
        }
        for effect in &effects {
            match effect {
                Effect::Append { lsn, record } => self.journal.push((*lsn, (**record).clone())),
                Effect::Checkpoint { upto, snapshot } => {
                    self.snapshot = Some((*upto, (**snapshot).clone()));
                }
                Effect::Halt { violation } => panic!("halted: {violation}"),
                Effect::Send { .. } | Effect::Reply { .. } | Effect::Publish { .. } => {
                    self.held.push(effect.clone());
                }
                other => panic!("not a gate's effect: {other:?}"),
            }
        }
        self.node.check().unwrap();
        effects
    }

    /// Makes the next `count` records durable and says so. Gives the raw effects of that step.
    pub(super) fn sync(&mut self, count: usize) -> Vec<Effect> {
        let last = self.journal.iter().map(|(lsn, _)| *lsn).max().unwrap_or_default();
        let upto = self.durable.get().saturating_add(count as u64).min(last.get());
        self.durable = Lsn::new(upto);
        self.step(Input::Durable(self.durable))
    }

    /// One step, then everything durable until nothing is appended any more. Gives what left, in
    /// order, as lines.
    pub(super) fn run(&mut self, input: Input) -> Vec<String> {
        self.step(input);
        while self.journal.last().is_some_and(|(lsn, _)| *lsn > self.durable) {
            self.sync(usize::MAX);
        }
        self.left()
    }

    /// What may leave by now.
    pub(super) fn released(&mut self) -> Vec<Effect> {
        let durable = self.durable;
        let ready = |effect: &Effect| match effect {
            Effect::Send { after, .. }
            | Effect::Reply { after, .. }
            | Effect::Publish { after, .. } => *after <= durable,
            _ => true,
        };
        // In order: one that waits holds back those behind it that wait for as much.
        let (go, stay) = std::mem::take(&mut self.held).into_iter().partition(ready);
        self.held = stay;
        go
    }

    pub(super) fn left(&mut self) -> Vec<String> {
        self.released().iter().map(line).collect()
    }

    pub(super) fn call(&mut self, call: u64, command: Command) -> Vec<String> {
        self.run(called(call, command))
    }

    /// The reply to a call that needs no entry, from its own step.
    pub(super) fn ask_now(&mut self, command: Command) -> Reply {
        let effects = self.step(called(998, command));
        let [Effect::Reply { reply, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        (**reply).clone()
    }

    /// The only reply to a call that needs no entry or whose entry is committed at once.
    pub(super) fn ask(&mut self, command: Command) -> Reply {
        self.step(called(999, command));
        while self.journal.last().is_some_and(|(lsn, _)| *lsn > self.durable) {
            self.sync(usize::MAX);
        }
        let all = self.released().into_iter();
        let mut replies = all.filter_map(|effect| match effect {
            Effect::Reply { call, reply, .. } if call == CallId::new(999) => Some(*reply),
            _ => None,
        });
        let reply = replies.next().expect("a reply");
        assert_eq!(replies.next(), None);
        reply
    }

    /// Submits a plan under a key; the job's id.
    pub(super) fn submit(&mut self, key: &str, plan: &Plan) -> JobId {
        match self.ask(submit(key, plan)) {
            Reply::Submitted { job, existing: false } => job,
            other => panic!("{other:?}"),
        }
    }

    /// A report about a job's part.
    pub(super) fn report(&mut self, from: NodeId, report: PartReport) -> Vec<String> {
        self.run(received(from, report))
    }

    /// Wakes the gate when it wants to be woken, up to a time. Gives what left, with the seconds
    /// that had passed.
    pub(super) fn wake_until(&mut self, limit: Duration) -> Vec<(u64, String)> {
        // Steps at one instant are a nanosecond apart on the node's clock.
        let end = self.now.after(limit).after(Duration::from_micros(1));
        let start = self.now;
        let mut all = vec![];
        loop {
            let wake = self.node.next_wake().map(|wake| wake.at);
            let arrival = self.under_way.front().map(|(at, ..)| *at);
            let Some(next) = wake.into_iter().chain(arrival).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let input = match self.under_way.pop_front_if(|(at, ..)| *at == next) {
                Some((_, manager, capacity)) => received(manager, capacity),
                None => Input::Wake,
            };
            let at = self.now.since(start).as_secs();
            all.extend(self.run(input).into_iter().map(|line| (at, line)));
        }
        self.now = end;
        all
    }

    /// The node dies; another boot starts from the durable bytes only.
    pub(super) fn crash(&mut self) {
        self.boots += 1;
        let durable = self.durable;
        self.journal.retain(|(lsn, _)| *lsn <= durable);
        self.held.clear();
        self.node = node(&self.config, self.boots, self.disk());
    }

    /// What is on the disk.
    pub(super) fn disk(&self) -> Recovered {
        self.upto(self.durable)
    }

    /// What is on the disk or on its way there.
    pub(super) fn written(&self) -> Recovered {
        self.upto(self.node.appended())
    }

    fn upto(&self, last: Lsn) -> Recovered {
        let above = self.snapshot.as_ref().map_or(Lsn::new(0), |(upto, _)| *upto);
        let records = self.journal.iter().filter(|(lsn, _)| *lsn > above && *lsn <= last);
        Recovered { snapshot: self.snapshot.clone(), records: records.cloned().collect(), last }
    }

    pub(super) fn fence(&self, index: u64) -> Fence {
        let group = self.journal.iter().find_map(|(_, record)| match record {
            Record::Formed { group, .. } => Some(*group),
            _ => None,
        });
        Fence { group: group.expect("formed"), index: LogIndex::new(index) }
    }

    /// What a manager of the only part would say next under the fence that its phase obeys.
    pub(super) fn heard(&self, job: JobId, seq: u64, phase: PartPhase) -> PartReport {
        self.heard_of(job, 0, seq, phase)
    }

    /// The same of any part.
    pub(super) fn heard_of(&self, job: JobId, ix: u16, seq: u64, phase: PartPhase) -> PartReport {
        let state = self.node.role().ledger().job(job).expect("a job");
        let part = state.part(PartIx::new(ix)).expect("a part");
        let cancel = state.cancel.as_ref().map(|cancel| cancel.at);
        let offer = part.offer.expect("an offer");
        let fence = match phase {
            PartPhase::Refused { .. } | PartPhase::Running => part.begun.unwrap_or(offer),
            PartPhase::Accepted => offer,
            PartPhase::Cancelling | PartPhase::Ended(_) => cancel.or(part.begun).unwrap_or(offer),
        };
        let workflows = BoundedVec::new();
        let fence = self.fence(fence.get());
        let part = PartId { job, part: PartIx::new(ix) };
        PartReport { part, fence, seq: (1, seq), phase, workflows }
    }

    /// Brings a submitted job to Running.
    pub(super) fn begin(&mut self, job: JobId) {
        let accepted = self.heard(job, 1, PartPhase::Accepted);
        self.report(EAST, accepted);
        let running = self.heard(job, 2, PartPhase::Running);
        self.report(EAST, running);
    }
}

/// A datacenter with so many free cores of four.
pub(super) fn capacity(free: u32) -> Capacity {
    Capacity { workers: 1, cores: 4, free, ..Capacity::default() }
}

fn node(config: &GateConfig, boot: u64, disk: Recovered) -> Node<Gate> {
    let boot =
        Boot { id: BootId::new(boot), entropy: 7, disk: hyperscale_core::ids::DiskId::new(1) };
    let node = Node::<Gate>::recover(GATE, config.clone(), boot, disk).expect("recovers");
    node.role().check_all().unwrap();
    node
}

pub(super) fn called(call: u64, command: Command) -> Input {
    let client = hyperscale_core::api::Tenant::default();
    Input::Called { call: CallId::new(call), client, command: Box::new(command) }
}

pub(super) fn received(from: NodeId, msg: impl Into<Message>) -> Input {
    Input::Received { from, msg: Box::new(msg.into()) }
}

pub(super) fn submit(key: &str, plan: &Plan) -> Command {
    Command::Submit { key: key.into(), plan: Box::new(plan.clone()) }
}

/// A plan of 10 s and another 5 s of graceful stop.
pub(super) fn plan(name: &str) -> Plan {
    let step = RequestStep {
        name: "get".into(),
        method: "GET".into(),
        target: Template(vec![Piece::Text("/".into())].try_into().unwrap()),
        headers: BoundedVec::new(),
        body: None,
        expect_status: BoundedVec::new(),
        expect_body: None,
        captures: BoundedVec::new(),
        timeout: S,
    };
    let workflow = Workflow {
        name: "w".into(),
        after: BoundedVec::new(),
        when: When::Ok,
        executor: Executor::ConstantVus { vus: 1, duration: 10 * S },
        graceful_stop: 5 * S,
        flow: vec![Step::Request(Box::new(step))].try_into().unwrap(),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    };
    Plan {
        name: name.into(),
        base_url: "demo".into(),
        workflows: vec![workflow].try_into().unwrap(),
        data: BoundedVec::new(),
        thresholds: BoundedVec::new(),
        datacenters: Default::default(),
        placement: Default::default(),
        on_worker_loss: OnWorkerLoss::Replace,
        on_gate_loss: OnGateLoss::Finish,
        seed: 1,
        index_header: false,
        timeout: None,
        retries: 10,
    }
}

pub(super) fn totals(requests: u64, failed: u64) -> Totals {
    let step = StepTotals { requests, failed, ..StepTotals::default() };
    Totals { iterations: requests, steps: vec![step].try_into().unwrap(), ..Totals::default() }
}

pub(super) fn result(status: WorkflowStatus) -> PartResult {
    let workflow = WorkflowResult {
        workflow: WorkflowIx::new(0),
        status,
        reason: String::new(),
        ran: 10 * S,
        start_skew: Duration::ZERO,
        shards: 1,
        totals: Box::new(totals(100, 1)),
        planned_ms: 10_000,
        covered_ms: 10_000,
        losses: BoundedVec::new(),
    };
    PartResult {
        cancelled: status == WorkflowStatus::Cancelled,
        workers_lost: 0,
        workers: 1,
        workflows: vec![workflow].try_into().unwrap(),
    }
}

pub(super) fn ended(status: WorkflowStatus) -> PartPhase {
    PartPhase::Ended(Box::new(result(status)))
}

pub(super) fn live(second: u64, totals: Totals) -> WorkflowView {
    WorkflowView {
        workflow: WorkflowIx::new(0),
        status: WorkflowStatus::Running,
        plan_time: PlanTime::at(Duration::from_secs(second)),
        vus: 1,
        shards_live: 1,
        shards: 1,
        second: u32::try_from(second).unwrap(),
        totals: Box::new(totals),
        shards_late: 0,
    }
}

/// A hole of part 1.
pub(super) fn loss() -> Loss {
    Loss {
        part: PartIx::new(1),
        shard: ShardIx::new(0),
        worker: NodeId::new(7),
        kind: LossKind::Parked,
        from: PlanTime::ZERO,
        until: PlanTime::at(S),
        items: 3,
    }
}

/// An effect as a line: what it is and what it must wait for.
pub(super) fn line(effect: &Effect) -> String {
    match effect {
        Effect::Append { lsn, record } => format!("{lsn} {}", record_line(record)),
        Effect::Checkpoint { upto, .. } => format!("checkpoint {upto}"),
        Effect::Send { to, msg, after } => format!("{to} {} @{after}", message_line(msg)),
        Effect::Reply { call, reply, after } => format!("{call} {} @{after}", reply_line(reply)),
        Effect::Publish { job, update, after } => {
            assert_eq!(update.view.job, *job);
            let (epoch, counter) = (update.seq >> 29, update.seq & ((1 << 29) - 1));
            format!("{job} #{epoch}.{counter} {:?} @{after}", update.view.status)
        }
        other => format!("{other:?}"),
    }
}

fn record_line(record: &Record) -> String {
    let Record::Gate(entry) = record else { return format!("{record:?}").replace("GroupId", "") };
    let what = match entry.command() {
        None => "term".into(),
        Some(GateCommand::Create { key, .. }) => format!("create {key}"),
        Some(GateCommand::Place { part, datacenter, .. }) => format!("place {part:?} {datacenter}"),
        Some(GateCommand::Begin { job, offers, .. }) => format!("begin {job} {offers:?}"),
        Some(GateCommand::Cancel { job, workflow: Some(workflow), .. }) => {
            format!("cancel {job} {workflow}")
        }
        Some(GateCommand::Cancel { job, cause: CancelCause::Client, .. }) => {
            format!("cancel {job}")
        }
        Some(GateCommand::Cancel { job, cause: CancelCause::Aborted { reason }, .. }) => {
            format!("abort {job} {reason}")
        }
        Some(GateCommand::Cancel { job, cause: CancelCause::TimedOut { reason }, .. }) => {
            format!("time out {job} {reason}")
        }
        Some(GateCommand::Ran { job, elapsed, .. }) => format!("ran {job} {elapsed:?}"),
        Some(GateCommand::EndPart { part, end, .. }) => match end {
            PartEnd::Reported => format!("end {part:?} reported"),
            PartEnd::TimedOut => format!("end {part:?} timed out"),
            PartEnd::Refused { reason } => format!("end {part:?} refused: {reason}"),
        },
        Some(GateCommand::EndJob { job, status, reason, .. }) => {
            format!("end {job} {status:?} {reason}").trim_end().to_owned()
        }
        Some(GateCommand::Forget { before }) => format!("forget {before}"),
        Some(GateCommand::Enrol { gate, boot, .. }) => format!("enrol {gate} boot {boot}"),
        Some(GateCommand::Expire { session }) => format!("expire {session}"),
        Some(GateCommand::Own { job, session }) => format!("own {job} {session}"),
        Some(GateCommand::Admit { job }) => format!("admit {job}"),
    };
    format!("{} {what}", entry.index)
}

fn message_line(msg: &Message) -> String {
    match msg {
        Message::Offer(offer) => format!("offer {:?} {:?}", offer.part, offer.fence),
        Message::Begin(begin) => {
            format!("begin {:?} {:?} of {:?}", begin.part, begin.fence, begin.offer)
        }
        Message::CancelPart(CancelPart { part, fence, workflow: None }) => {
            format!("cancel {part:?} {fence:?}")
        }
        Message::CancelPart(CancelPart { part, fence, workflow: Some(workflow) }) => {
            format!("cancel {part:?} {workflow} {fence:?}")
        }
        Message::PartAck(ack) => format!("ack {:?}", ack.part),
        Message::Claim(claim) => format!("claim {:?} {:?}", claim.part, claim.fence),
        other => format!("{other:?}"),
    }
}

fn reply_line(reply: &Reply) -> String {
    match reply {
        Reply::Submitted { job, existing: true } => format!("known {job}"),
        Reply::Submitted { job, existing: false } => format!("created {job}"),
        Reply::Cancelling(job) => format!("cancelling {job}"),
        Reply::Refused(refusal) => format!("refused {refusal:?}"),
        other => format!("{other:?}"),
    }
}

/// The part of a job that has one.
pub(super) const fn part_of(job: JobId) -> PartId {
    PartId { job, part: PartIx::new(0) }
}
