//! A manager on a disk: appends become durable when told, effects leave when what they rest on is
//! durable.

use std::collections::VecDeque;
use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::config::ManagerConfig;
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{
    Boot, BootId, Fence, GroupId, JobId, LogIndex, Lsn, NodeId, PartId, PartIx, RunId, WorkflowIx,
};
use hyperscale_core::input::{Input, Progress};
use hyperscale_core::journal::{Record, Recovered, Snapshot};
use hyperscale_core::machine::Role;
use hyperscale_core::manager::Manager;
use hyperscale_core::node::Node;
use hyperscale_core::plan::{
    Executor, OnGateLoss, OnWorkerLoss, Piece, Plan, PlanTime, Rate, RequestStep, Step, Template,
    When, Workflow,
};
use hyperscale_core::stat::Stat;
use hyperscale_core::stats::{StepTotals, Totals};
use hyperscale_core::time::Instant;
use hyperscale_core::wire::{
    Begin, CancelPart, Confirm, Final, Heartbeat, Message, Offer, PartPhase, PartReport, Prepare,
    Report, RunBeat, RunEnd, RunState, VerdictKind,
};

pub(super) const MANAGER: NodeId = NodeId::new(100);
pub(super) const GATE: NodeId = NodeId::new(1);
pub(super) const PART: PartId = PartId { job: JobId::new(7), part: PartIx::new(0) };

pub(super) fn worker(ix: u64) -> NodeId {
    NodeId::new(200 + ix)
}

pub(super) fn boot_of(ix: u64) -> BootId {
    BootId::new(1000 + ix)
}

pub(super) fn gate_fence(index: u64) -> Fence {
    Fence { group: GroupId::new(9), index: LogIndex::new(index) }
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn arrivals(per_second: u64, duration: Duration, max_vus: u32) -> Executor {
    let rate = Rate { count: per_second, unit: secs(1) };
    Executor::ConstantArrivalRate { rate, duration, max_vus }
}

pub(super) fn rounds(vus: u32, iterations: u64) -> Executor {
    Executor::PerVuIterations { vus, iterations, max_duration: secs(600) }
}

pub(super) fn workflow(name: &str, executor: Executor) -> Workflow {
    Workflow {
        name: name.to_owned(),
        after: BoundedVec::new(),
        when: When::Ok,
        executor,
        graceful_stop: secs(30),
        flow: vec![request()].try_into().unwrap(),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    }
}

fn request() -> Step {
    Step::Request(Box::new(RequestStep {
        name: "get".to_owned(),
        method: "GET".to_owned(),
        target: Template(vec![Piece::Text("/".to_owned())].try_into().unwrap()),
        headers: BoundedVec::new(),
        body: None,
        expect_status: BoundedVec::new(),
        expect_body: None,
        captures: BoundedVec::new(),
        timeout: secs(1),
    }))
}

pub(super) fn after(mut workflow: Workflow, dependencies: &[u16], when: When) -> Workflow {
    let list = dependencies.iter().copied().map(WorkflowIx::new).collect::<Vec<_>>();
    workflow.after = list.try_into().unwrap();
    workflow.when = when;
    workflow
}

pub(super) fn plan(workflows: Vec<Workflow>) -> Plan {
    Plan {
        name: "p".to_owned(),
        base_url: "demo".to_owned(),
        workflows: workflows.try_into().unwrap(),
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

pub(super) fn totals(iterations: u64) -> Box<Totals> {
    let step = StepTotals { requests: iterations, ..StepTotals::default() };
    let steps = vec![step].try_into().unwrap();
    Box::new(Totals { iterations, steps, ..Totals::default() })
}

/// One worker as a test drives it: what it lists is what the test says.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    pub(super) node: NodeId,
    pub(super) boot: BootId,
    pub(super) seq: u64,
    pub(super) cores: u16,
    pub(super) runs: Vec<RunBeat>,
    pub(super) draining: bool,
}

impl Hand {
    pub(super) fn new(ix: u64, cores: u16) -> Self {
        let (node, boot, runs) = (worker(ix), boot_of(ix), Vec::new());
        Self { node, boot, seq: 0, cores, runs, draining: false }
    }

    pub(super) fn list(&mut self, run: RunId, state: RunState) -> &mut RunBeat {
        if let Some(ix) = self.runs.iter().position(|beat| beat.run == run) {
            self.runs[ix].state = state;
            return &mut self.runs[ix];
        }
        let progress = Progress::default();
        self.runs.push(RunBeat { run, state, progress, ceiling: 0, plan_time: None });
        self.runs.last_mut().unwrap()
    }

    pub(super) fn beat(&mut self) -> Heartbeat {
        self.seq += 1;
        let held = self.runs.iter().filter(|run| holds_core(run.state)).count() as u16;
        Heartbeat {
            boot: self.boot,
            seq: self.seq,
            cores: self.cores,
            free: self.cores.saturating_sub(held),
            draining: self.draining,
            runs: self.runs.clone().try_into().unwrap(),
        }
    }

    pub(super) fn end(&self, run: RunId, end: RunEnd, plan_time: PlanTime, done: u64) -> Final {
        Final {
            boot: self.boot,
            run,
            end,
            progress: Progress { next: done, started: done, ended: done, ..Progress::default() },
            plan_time: Some(plan_time),
            parked: BoundedVec::new(),
            totals: totals(done),
        }
    }

    pub(super) fn report(&self, run: RunId, seq: u64, second: u32, done: u64) -> Report {
        let progress = Progress { next: done, started: done, ended: done, ..Progress::default() };
        Report { boot: self.boot, run, seq, second, progress, totals: totals(done) }
    }
}

pub(super) fn holds_core(state: RunState) -> bool {
    !matches!(state, RunState::Ended | RunState::Refused)
}

/// The manager, its disk and what it said.
pub(super) struct Rig {
    pub(super) node: Node<Manager>,
    pub(super) config: ManagerConfig,
    pub(super) now: Duration,
    records: Vec<(Lsn, Record)>,
    snapshot: Option<(Lsn, Snapshot)>,
    durable: Lsn,
    held: VecDeque<Effect>,
    /// Appends become durable at once.
    pub(super) is_prompt: bool,
    /// What left the node, until a test takes it.
    pub(super) sent: Vec<(NodeId, Message)>,
    boots: u64,
    pub(super) checkpoints: u64,
}

impl Rig {
    pub(super) fn new(config: ManagerConfig) -> Self {
        let node = recover(&config, 1, Recovered::default());
        let mut rig = Self {
            node,
            config,
            now: secs(1000),
            records: Vec::new(),
            snapshot: None,
            durable: Lsn::new(0),
            held: VecDeque::new(),
            is_prompt: true,
            sent: Vec::new(),
            boots: 1,
            checkpoints: 0,
        };
        rig.step(Input::Wake);
        rig
    }

    pub(super) fn prompt() -> Self {
        Self::new(ManagerConfig::new(MANAGER, "dc"))
    }

    pub(super) fn instant(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.now.as_nanos()).unwrap())
    }

    pub(super) fn step(&mut self, input: Input) {
        let now = self.instant();
        let effects = self.node.step(now, input).collect::<Vec<_>>();
        for effect in effects {
            match effect {
                Effect::Append { lsn, record } => self.records.push((lsn, *record)),
                other => self.held.push_back(other),
            }
        }
        self.release();
        self.check();
        if self.is_prompt {
            self.sync();
        }
    }

    /// Everything appended becomes durable, and what that leads to as well.
    pub(super) fn sync(&mut self) {
        let newest = self.node.appended();
        if newest > self.durable {
            self.make_durable(newest);
        }
    }

    /// Whether something appended is not durable.
    pub(super) fn is_behind(&self) -> bool {
        self.durable < self.node.appended()
    }

    /// What is appended so far becomes durable, and no more.
    pub(super) fn sync_once(&mut self) {
        self.make_durable(self.node.appended());
    }

    /// Records up to `lsn` become durable.
    pub(super) fn make_durable(&mut self, lsn: Lsn) {
        self.durable = lsn.min(self.node.appended());
        self.release();
        self.step(Input::Durable(self.durable));
    }

    pub(super) fn durable(&self) -> Lsn {
        self.durable
    }

    fn release(&mut self) {
        while let Some(effect) = self.held.front() {
            let after = match effect {
                Effect::Send { after, .. } => *after,
                Effect::Checkpoint { upto, .. } => *upto,
                other => panic!("a manager does not: {other:?}"),
            };
            if after > self.durable {
                return;
            }
            match self.held.pop_front() {
                Some(Effect::Send { to, msg, .. }) => self.sent.push((to, *msg)),
                Some(Effect::Checkpoint { upto, snapshot }) => {
                    self.checkpoints += 1;
                    self.records.retain(|(lsn, _)| *lsn > upto);
                    self.snapshot = Some((upto, *snapshot));
                }
                _ => {}
            }
        }
    }

    fn disk(&self) -> Recovered {
        let kept = self.records.iter().filter(|(lsn, _)| *lsn <= self.durable);
        Recovered {
            snapshot: self.snapshot.clone(),
            records: kept.cloned().collect(),
            last: self.durable,
        }
    }

    /// The promises that must hold after every step.
    fn check(&self) {
        assert!(!self.node.halted());
        self.node.check().unwrap();
        self.node.role().check_all().unwrap();
    }

    /// What recovery folds from the durable records is the live durable state, and what a new life
    /// of this group of one commits again is the live ledger.
    pub(super) fn check_recover_equal(&self) {
        let mut twin = recover(&self.config, 99, self.disk());
        if !self.is_behind() {
            assert_eq!(twin.role().durable_digest(), self.node.role().durable_digest());
        }
        let now = self.instant();
        twin.step(now, Input::Wake).for_each(drop);
        let newest = twin.appended();
        twin.step(now, Input::Durable(newest)).for_each(drop);
        if self.node.role().leads() {
            assert_eq!(twin.role().ledger(), self.node.role().ledger());
        }
        twin.role().check_all().unwrap();
    }

    /// The process dies; what was not durable is gone. A new life starts from the disk.
    pub(super) fn restart(&mut self) {
        self.boots += 1;
        let disk = self.disk();
        self.records = disk.records.clone();
        self.held.clear();
        self.sent.clear();
        self.node = recover(&self.config, self.boots, disk);
        self.step(Input::Wake);
    }

    pub(super) fn hear(&mut self, from: NodeId, msg: impl Into<Message>) {
        self.step(Input::Received { from, msg: Box::new(msg.into()) });
    }

    /// Time passes; every deadline on the way is met.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut spins = 0;
        while let Some(wake) = self.node.next_wake() {
            let at = Duration::from_nanos(wake.at.as_nanos());
            if at > end {
                break;
            }
            spins = if at <= self.now { spins + 1 } else { 0 };
            assert!(spins < 100, "busy loop: {}", wake.why);
            self.now = self.now.max(at);
            self.step(Input::Wake);
        }
        self.now = end;
    }

    pub(super) fn take(&mut self) -> Vec<(NodeId, Message)> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn prepares(&mut self) -> Vec<(NodeId, Prepare)> {
        let pick = |(to, msg)| match msg {
            Message::Prepare(prepare) => Some((to, prepare)),
            _ => None,
        };
        self.take().into_iter().filter_map(pick).collect()
    }

    pub(super) fn confirms(&mut self) -> Vec<(NodeId, Confirm)> {
        let pick = |(to, msg)| match msg {
            Message::Confirm(confirm) => Some((to, confirm)),
            _ => None,
        };
        self.take().into_iter().filter_map(pick).collect()
    }

    /// The last verdict on a run that was sent since the last look.
    pub(super) fn verdict(&mut self, run: RunId) -> Option<VerdictKind> {
        let confirms = self.confirms();
        let mut all = confirms.iter().rev().flat_map(|(_, confirm)| confirm.verdicts.iter());
        all.find(|verdict| verdict.run == run).map(|verdict| verdict.kind)
    }

    pub(super) fn reports(&mut self) -> Vec<PartReport> {
        let pick = |(_, msg)| match msg {
            Message::PartReport(report) => Some(report),
            _ => None,
        };
        self.take().into_iter().filter_map(pick).collect()
    }

    pub(super) fn last_phase(&mut self) -> Option<PartPhase> {
        self.reports().pop().map(|report| report.phase)
    }

    pub(super) fn offer(&mut self, plan: Plan) {
        self.hear(GATE, Offer { part: PART, fence: gate_fence(1), plan: Box::new(plan) });
    }

    pub(super) fn begin(&mut self) {
        let start_in = Duration::ZERO;
        let (fence, offer) = (gate_fence(2), gate_fence(1));
        self.hear(GATE, Begin { part: PART, fence, offer, start_in });
    }

    pub(super) fn cancel(&mut self, workflow: Option<u16>) {
        let workflow = workflow.map(WorkflowIx::new);
        self.hear(GATE, CancelPart { part: PART, fence: gate_fence(3), workflow });
    }

    pub(super) fn beat(&mut self, hand: &mut Hand) {
        let beat = hand.beat();
        self.hear(hand.node, beat);
    }

    pub(super) fn count(&self, stat: Stat) -> u64 {
        self.node.stats().count(stat)
    }

    /// Accepts, begins, and brings the runs of the first workflow to their first confirmation.
    /// Gives the runs.
    pub(super) fn run(&mut self, plan: Plan, hands: &mut [Hand]) -> Vec<RunId> {
        for hand in hands.iter_mut() {
            self.beat(hand);
        }
        self.offer(plan);
        self.begin();
        self.prepare_all(hands)
    }

    /// Time passes in which the workers live.
    pub(super) fn live(&mut self, span: Duration, hands: &mut [Hand]) {
        let end = self.now + span;
        while self.now < end {
            self.pass(millis(500).min(end - self.now));
            for hand in hands.iter_mut() {
                for run in &mut hand.runs {
                    if run.state == RunState::Prepared {
                        run.state = RunState::Running;
                    }
                }
                self.beat(hand);
            }
        }
    }

    /// Every worker that was asked to prepare is ready.
    pub(super) fn prepare_all(&mut self, hands: &mut [Hand]) -> Vec<RunId> {
        let mut runs = Vec::new();
        for (to, prepare) in self.prepares() {
            if let Some(hand) = hands.iter_mut().find(|hand| hand.node == to) {
                let first = prepare.slice.first;
                hand.list(prepare.run, RunState::Prepared).progress.next = first;
                runs.push(prepare.run);
            }
        }
        for hand in hands {
            self.beat(hand);
        }
        runs
    }
}

fn recover(config: &ManagerConfig, boot: u64, disk: Recovered) -> Node<Manager> {
    let boot =
        Boot { id: BootId::new(boot), entropy: boot, disk: hyperscale_core::ids::DiskId::new(1) };
    Node::recover(MANAGER, config.clone(), boot, disk).unwrap()
}
