//! Drawn histories: workers that come and go, a network that loses, doubles and reorders, a disk
//! that lags, a manager that dies. After every step the manager's invariants hold; what its workers
//! issue is watched from outside; when the trouble ends everything ends.

use std::collections::BTreeMap;
use std::time::Duration;

use hyperscale_core::config::ManagerConfig;
use hyperscale_core::ids::{Fence, JobId, Lsn, NodeId, ShardId, WorkflowIx};
use hyperscale_core::plan::{Executor, OnWorkerLoss, Plan, When};
use hyperscale_core::report::{LossKind, PartResult, WorkflowStatus};
use hyperscale_core::wire::{Begin, CancelPart, Message, Offer, PartAck, PartPhase};
use proptest::prelude::*;

use super::fleet::{Modelled, Truth};
use super::rig::*;

#[derive(Clone, Debug)]
enum Action {
    Offer,
    Begin,
    Cancel(Option<u16>),
    Beat(usize),
    Ready(usize),
    Issue(usize, u64),
    Report(usize),
    Deliver(prop::sample::Index),
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    CrashWorker(usize),
    CrashManager,
    /// The first worker leaves.
    Drain,
    Sync,
    SyncHalf,
    Pass(u64),
    /// So many tenths of a second without trouble.
    Live(u8),
}

const WORKERS: usize = 3;

fn action() -> impl Strategy<Value = Action> {
    use Action as A;
    let who = 0..WORKERS;
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => Just(A::Offer),
        4 => Just(A::Begin),
        1 => prop::option::of(0u16..3).prop_map(A::Cancel),
        6 => who.clone().prop_map(A::Beat),
        3 => who.clone().prop_map(A::Ready),
        6 => (who.clone(), 1u64..40).prop_map(|(w, n)| A::Issue(w, n)),
        3 => who.clone().prop_map(A::Report),
        10 => index().prop_map(A::Deliver),
        2 => index().prop_map(A::Drop),
        2 => index().prop_map(A::Double),
        1 => who.prop_map(A::CrashWorker),
        1 => Just(A::CrashManager),
        1 => Just(A::Drain),
        6 => Just(A::Sync),
        2 => Just(A::SyncHalf),
        4 => (1u64..2000).prop_map(A::Pass),
        6 => (1u8..25).prop_map(A::Live),
    ]
}

fn executor() -> impl Strategy<Value = Executor> {
    prop_oneof![
        (1u32..40, 1u64..200).prop_map(|(vus, n)| rounds(vus, n)),
        (1u32..40, 40u64..3000).prop_map(|(vus, iterations)| Executor::SharedIterations {
            vus,
            iterations,
            max_duration: secs(600)
        }),
        (1u64..300, 1u64..20).prop_map(|(rate, n)| arrivals(rate, secs(n), 20)),
    ]
}

fn drawn_plan() -> impl Strategy<Value = Plan> {
    let when = prop_oneof![Just(When::Ok), Just(When::Always), Just(When::Failed)];
    let policy = prop_oneof![
        3 => Just(OnWorkerLoss::Replace),
        1 => Just(OnWorkerLoss::Shrink),
        1 => Just(OnWorkerLoss::Abort)
    ];
    (executor(), executor(), executor(), when, policy, any::<bool>()).prop_map(
        |(a, b, c, when, policy, chained)| {
            let second = workflow("b", b);
            let second = if chained { after(second, &[0], When::Always) } else { second };
            let mut plan =
                plan(vec![workflow("a", a), second, after(workflow("c", c), &[0, 1], when)]);
            plan.on_worker_loss = policy;
            plan
        },
    )
}

struct World {
    rig: Rig,
    plan: Plan,
    workers: Vec<Modelled>,
    net: Vec<(NodeId, NodeId, Message)>,
    truth: Truth,
    result: Option<PartResult>,
    phase: Option<PartPhase>,
    boots: u64,
    /// Items that a run issues in a tenth of a second without trouble.
    speed: u64,
    /// How often the gate placed the part.
    placed: u64,
    wants_cancel: bool,
    cancelled_at: Option<Duration>,
}

impl World {
    fn new(plan: Plan, speed: u64) -> Self {
        let config = ManagerConfig {
            checkpoint_entries: 9,
            cores_wait: secs(20),
            begin_within: secs(8),
            ..ManagerConfig::new(MANAGER, "dc")
        };
        let mut rig = Rig::new(config);
        rig.is_prompt = false;
        let workers = (0..WORKERS as u64).map(|ix| Modelled::new(ix, 500 + ix, 2)).collect();
        Self {
            rig,
            plan,
            workers,
            net: Vec::new(),
            truth: Truth::default(),
            result: None,
            phase: None,
            boots: 1000,
            speed,
            placed: 0,
            wants_cancel: false,
            cancelled_at: None,
        }
    }

    fn act(&mut self, action: &Action) {
        let now = self.rig.now;
        match action {
            Action::Offer => self.offer(),
            Action::Begin => self.begin(),
            Action::Cancel(workflow) => {
                self.wants_cancel |= workflow.is_none();
                self.cancel(workflow.map(WorkflowIx::new));
            }
            Action::Beat(ix) => {
                let beat = self.workers[*ix].beat(now);
                self.net.push((self.workers[*ix].node, MANAGER, beat.into()));
            }
            Action::Ready(ix) => self.workers[*ix].prepare_all(),
            Action::Issue(ix, most) => self.issue(*ix, *most),
            Action::Report(ix) => self.report(*ix),
            Action::Deliver(pick) => {
                if !self.net.is_empty() {
                    let ix = pick.index(self.net.len());
                    let (from, to, msg) = self.net.remove(ix);
                    self.deliver(from, to, msg);
                }
            }
            Action::Drop(pick) => {
                if !self.net.is_empty() {
                    self.net.remove(pick.index(self.net.len()));
                }
            }
            Action::Double(pick) => {
                if !self.net.is_empty() {
                    let again = self.net[pick.index(self.net.len())].clone();
                    self.net.push(again);
                }
            }
            Action::CrashWorker(ix) => {
                self.boots += 1;
                self.workers[*ix].crash(self.boots);
            }
            Action::CrashManager => {
                self.rig.restart();
                self.rig.check_recover_equal();
            }
            Action::Drain => self.workers[0].is_draining = true,
            Action::Sync => self.sync(self.rig.node.appended()),
            Action::SyncHalf => {
                let (low, high) = (self.rig.durable().get(), self.rig.node.appended().get());
                self.sync(Lsn::new(low + (high - low) / 2));
            }
            Action::Pass(ms) => self.rig.pass(millis(*ms)),
            Action::Live(tenths) => {
                for _ in 0..*tenths {
                    self.live_tenth();
                }
            }
        }
        self.collect();
    }

    fn sync(&mut self, lsn: Lsn) {
        if lsn > self.rig.durable() {
            self.rig.make_durable(lsn);
            self.rig.check_recover_equal();
        }
        let cancelled = self.rig.node.role().parts().any(|part| part.cancelled);
        if cancelled && self.cancelled_at.is_none() {
            self.cancelled_at = Some(self.rig.now);
        }
    }

    /// What the manager said goes into the network; the gate keeps what it was told.
    fn collect(&mut self) {
        for (to, msg) in self.rig.take() {
            self.net.push((MANAGER, to, msg));
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, msg: Message) {
        if to == MANAGER {
            self.rig.hear(from, msg);
        } else if to == GATE {
            self.hear_at_gate(msg);
        } else if let Some(worker) = self.workers.iter_mut().find(|worker| worker.node == to) {
            worker.hear(self.rig.now, msg);
        }
        self.check_exclusive();
    }

    fn hear_at_gate(&mut self, msg: Message) {
        let Message::PartReport(report) = msg else { return };
        if matches!(report.phase, PartPhase::Refused { .. }) {
            // A part that was refused is placed anew; what was refused before says nothing.
            if report.fence >= self.fence(1) {
                self.placed += 1;
                self.phase = None;
            }
            return;
        }
        if let PartPhase::Ended(result) = &report.phase {
            match &self.result {
                Some(known) => assert_eq!(known, result.as_ref(), "a result changed"),
                None => self.result = Some(result.as_ref().clone()),
            }
        }
        self.phase = Some(report.phase);
    }

    /// The fences of an offer, 1, its begin, 2, and a cancel, 3.
    fn fence(&self, what: u64) -> Fence {
        gate_fence(self.placed * 10 + what)
    }

    fn offer(&mut self) {
        let plan = Box::new(self.plan.clone());
        let offer = Offer { part: PART, fence: self.fence(1), plan };
        self.net.push((GATE, MANAGER, offer.into()));
    }

    fn begin(&mut self) {
        if self.phase.is_none() {
            return;
        }
        let (fence, offer) = (self.fence(2), self.fence(1));
        let begin = Begin { part: PART, fence, offer, start_in: Duration::ZERO };
        self.net.push((GATE, MANAGER, begin.into()));
    }

    fn cancel(&mut self, workflow: Option<WorkflowIx>) {
        let cancel = CancelPart { part: PART, fence: self.fence(3), workflow };
        self.net.push((GATE, MANAGER, cancel.into()));
    }

    fn issue(&mut self, ix: usize, most: u64) {
        let now = self.rig.now;
        self.check_exclusive();
        let before = self.truth.last;
        self.workers[ix].issue(now, most, &mut self.truth);
        if self.truth.last != before
            && let Some(cancelled) = self.cancelled_at
        {
            assert!(now <= cancelled + secs(3), "load {:?} after the cancel", now - cancelled);
        }
    }

    fn report(&mut self, ix: usize) {
        let node = self.workers[ix].node;
        for msg in self.workers[ix].reports(self.rig.now) {
            self.net.push((node, MANAGER, msg));
        }
    }

    /// At most one worker may issue load for a shard.
    fn check_exclusive(&self) {
        let mut holders: BTreeMap<ShardId, NodeId> = BTreeMap::new();
        for worker in &self.workers {
            for shard in worker.may_issue(self.rig.now) {
                let other = holders.insert(shard, worker.node);
                assert_eq!(other, None, "{shard:?} is run twice");
            }
        }
    }

    /// A tenth of a second without trouble: everything is durable and delivered at once.
    fn live_tenth(&mut self) {
        self.rig.pass(millis(100));
        for ix in 0..WORKERS {
            self.workers[ix].prepare_all();
            self.issue(ix, self.speed);
            self.report(ix);
            let beat = self.workers[ix].beat(self.rig.now);
            self.net.push((self.workers[ix].node, MANAGER, beat.into()));
        }
        loop {
            self.collect();
            self.sync(self.rig.node.appended());
            self.collect();
            if self.net.is_empty() {
                return;
            }
            let (from, to, msg) = self.net.remove(0);
            self.deliver(from, to, msg);
        }
    }

    /// The gate repeats itself until it is answered; everything ends.
    fn calm(&mut self) {
        self.speed = 60;
        for tenth in 0..4000 {
            if tenth % 10 == 0 {
                match &self.phase {
                    Some(PartPhase::Ended(_)) => {
                        self.net.push((GATE, MANAGER, PartAck { part: PART }.into()));
                    }
                    _ if self.wants_cancel => self.cancel(None),
                    Some(PartPhase::Accepted) => self.begin(),
                    None | Some(PartPhase::Refused { .. }) => self.offer(),
                    Some(PartPhase::Running | PartPhase::Cancelling) => {}
                }
            }
            self.live_tenth();
            if self.result.is_some() && self.rig.node.role().is_idle() {
                return;
            }
        }
        panic!("no end: {:?} {:?}", self.phase, self.rig.node.role().parts().next());
    }

    fn judge(&self) {
        let result = self.result.as_ref().unwrap();
        for done in &result.workflows {
            let mine =
                |shard: &ShardId| shard.job == JobId::new(7) && shard.workflow == done.workflow;
            let issued: u64 =
                self.truth.issued.iter().filter(|(s, _)| mine(s)).map(|(_, n)| n).sum();
            let of = |kind| done.losses.iter().filter(move |loss| loss.kind == kind);
            let unreported: u64 = of(LossKind::Unreported).map(|loss| loss.items).sum();
            let reported = done.totals.iterations;
            assert!(reported <= issued, "{reported} reported, {issued} issued");
            assert!(issued <= reported + unreported, "{issued} > {reported} + {unreported}");
            assert!(done.covered_ms <= done.planned_ms);
            if done.status == WorkflowStatus::Completed {
                let planned = self.plan.workflows[usize::from(done.workflow.get())]
                    .executor
                    .planned_items()
                    .unwrap();
                assert_eq!(planned, reported + unreported + done.totals.dropped);
            }
            if matches!(done.status, WorkflowStatus::Skipped) {
                assert_eq!(issued, 0);
            }
        }
    }
}

/// Most histories begin with a part that runs, so that the trouble meets it.
fn history() -> impl Strategy<Value = Vec<Action>> {
    let opening = prop_oneof![
        1 => Just(Vec::new()),
        3 => (1u8..40).prop_map(|tenths| {
            let (offer, begin) = (Action::Offer, Action::Begin);
            vec![Action::Live(1), offer, Action::Live(1), begin, Action::Live(tenths)]
        }),
    ];
    (opening, prop::collection::vec(action(), 0..120)).prop_map(|(mut all, more)| {
        all.extend(more);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_in_any_history(
        plan in drawn_plan(),
        speed in 4u64..60,
        actions in history(),
    ) {
        let mut world = World::new(plan, speed);
        for action in &actions {
            world.act(action);
        }
        world.calm();
        world.judge();
    }
}
