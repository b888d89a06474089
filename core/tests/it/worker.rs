//! The worker under arbitrary managers, engines and clocks, against what it was told: the model
//! keeps the messages it gave and the effects it got, and nothing of the worker's own state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::config::WorkerConfig;
use hyperscale_core::effect::{Effect, Permit};
use hyperscale_core::ids::{
    Boot, BootId, Fence, GroupId, JobId, LogIndex, NodeId, RunId, ShardId, ShardIx, WorkflowIx,
};
use hyperscale_core::input::{EngineEvent, Input, Progress};
use hyperscale_core::journal::Recovered;
use hyperscale_core::machine::Role;
use hyperscale_core::node::Node;
use hyperscale_core::plan::{Executor, PlanTime, Share, Slice, Stripe, When, Workflow};
use hyperscale_core::stat::{Counters, Stat};
use hyperscale_core::stats::Totals;
use hyperscale_core::time::Instant;
use hyperscale_core::wire::{
    Confirm, Final, Message, Prepare, RunEnd, RunState, Verdict, VerdictKind,
};
use hyperscale_core::worker::Worker;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const BOOT: BootId = BootId::new(7);
const MANAGER: NodeId = NodeId::new(2);
const CORES: u16 = 3;
const TTL: Duration = Duration::from_secs(3);

/// Which run an action is about: one that the engine has, one that was named before, or a new one.
#[derive(Clone, Copy, Debug)]
enum Pick {
    Engaged(usize),
    Named(usize),
    Fresh { shard: u16, below: u64 },
}

#[derive(Clone, Debug)]
enum Action {
    Advance { nanos: u64 },
    Drain,
    Prepare { pick: Pick, own_boot: bool },
    Judge { pick: Pick, own_boot: bool, back: i64, kind: VerdictKind },
    Ready(Pick),
    Broken(Pick),
    Progressed { pick: Pick, progress: Progress },
    Reported { pick: Pick, second: u32 },
    Ended { pick: Pick, completed: bool, progress: Progress },
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        8 => (0..8_usize).prop_map(Pick::Engaged),
        2 => (0..64_usize).prop_map(Pick::Named),
        1 => (0..8_u16, 0..3_u64).prop_map(|(shard, below)| Pick::Fresh { shard, below }),
    ]
}

fn fresh() -> impl Strategy<Value = Pick> {
    let new = (0..8_u16, prop_oneof![5 => Just(0), 1 => 0..4_u64]);
    prop_oneof![
        4 => new.prop_map(|(shard, below)| Pick::Fresh { shard, below }),
        1 => (0..64_usize).prop_map(Pick::Named),
    ]
}

fn progress() -> impl Strategy<Value = Progress> {
    (0..200_u64, 0..20_u64, any::<bool>()).prop_map(|(started, dropped, starved)| Progress {
        next: started + dropped,
        started,
        ended: started,
        dropped,
        starved,
    })
}

fn verdict() -> impl Strategy<Value = VerdictKind> {
    let ttl = prop_oneof![4 => Just(TTL), 1 => (1..6_000_u64).prop_map(Duration::from_millis)];
    let issue = (ttl, 0..500_u64, -200_000_000..5_000_000_000_i64);
    prop_oneof![
        20 => issue.prop_map(|(ttl, ceiling, nanos)| {
            VerdictKind::Issue { ttl, ceiling, plan_time: PlanTime::from_nanos(nanos) }
        }),
        1 => Just(VerdictKind::Hold),
        1 => Just(VerdictKind::Stop),
        1 => Just(VerdictKind::Forget),
    ]
}

fn mostly() -> impl Strategy<Value = bool> {
    prop_oneof![15 => Just(true), 1 => Just(false)]
}

fn action() -> impl Strategy<Value = Action> {
    let nanos = prop_oneof![1..20_000_000_u64, 1..1_000_000_000_u64, 1..5_000_000_000_u64];
    prop_oneof![
        60 => nanos.prop_map(|nanos| Action::Advance { nanos }),
        1 => Just(Action::Drain),
        20 => (fresh(), mostly()).prop_map(|(pick, own_boot)| Action::Prepare { pick, own_boot }),
        150 => (pick(), mostly(), prop_oneof![3 => 0..3_i64, 1 => -2..30_i64], verdict()).prop_map(
            |(pick, own_boot, back, kind)| Action::Judge { pick, own_boot, back, kind }
        ),
        60 => pick().prop_map(Action::Ready),
        2 => pick().prop_map(Action::Broken),
        30 => (pick(), progress())
            .prop_map(|(pick, progress)| Action::Progressed { pick, progress }),
        20 => (pick(), 0..50_u32).prop_map(|(pick, second)| Action::Reported { pick, second }),
        6 => (pick(), any::<bool>(), progress())
            .prop_map(|(pick, completed, progress)| Action::Ended { pick, completed, progress }),
    ]
}

fn run(shard: u16, index: u64) -> RunId {
    let (job, workflow) = (JobId::new(1 + u64::from(shard % 2)), WorkflowIx::new(0));
    let shard = ShardId { job, workflow, shard: ShardIx::new(shard) };
    RunId { shard, fence: Fence { group: GroupId::new(9), index: LogIndex::new(index) } }
}

fn slice() -> Box<Slice> {
    let executor = Executor::ConstantVus { vus: 1, duration: Duration::from_secs(60) };
    Box::new(Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow: Workflow {
            name: "browse".to_owned(),
            after: BoundedVec::new(),
            when: When::Ok,
            executor,
            graceful_stop: Duration::from_secs(30),
            flow: BoundedVec::new(),
            captures: 0,
            priority: Default::default(),
            retries: 3,
        },
        share: Share { vu_first: 0, vus: 1, stripe: Stripe::plain(0, 1) },
        first: 0,
        base_url: "demo".to_owned(),
        data: BoundedVec::new(),
        seed: 42,
        index_header: false,
        late_max: Duration::from_millis(100),
    })
}

/// What the engine has of a run.
#[derive(Clone, Copy, Default)]
struct Engaged {
    ready: bool,
    stopped: bool,
    permit: Option<(Permit, Instant)>,
}

struct Life {
    node: Node<Worker>,
    now: Instant,
    named: Vec<RunId>,
    next_fence: u64,
    /// When each heartbeat left; the first is sequence 1.
    beats: Vec<Instant>,
    engine: BTreeMap<RunId, Engaged>,
    /// Runs that may never be permitted again: stopped, forgotten or ended.
    dead: BTreeSet<RunId>,
    /// The highest fence told per shard.
    highest: BTreeMap<ShardId, Fence>,
    /// Per run, the best `until` and ceiling that any confirmation has granted.
    granted: BTreeMap<RunId, (Instant, u64)>,
    endings: BTreeMap<RunId, (RunEnd, Progress)>,
    finals: BTreeMap<RunId, Final>,
    draining: bool,
}

type Judged = Result<(), TestCaseError>;

impl Life {
    fn new() -> Self {
        let config = WorkerConfig::new(NodeId::new(1), CORES, vec![MANAGER]);
        let boot = Boot { id: BOOT, entropy: 1, disk: hyperscale_core::ids::DiskId::new(0) };
        let node = Node::recover(NodeId::new(1), config, boot, Recovered::default()).unwrap();
        Self {
            node,
            now: Instant::from_nanos(1_000),
            named: Vec::new(),
            next_fence: 10,
            beats: Vec::new(),
            engine: BTreeMap::new(),
            dead: BTreeSet::new(),
            highest: BTreeMap::new(),
            granted: BTreeMap::new(),
            endings: BTreeMap::new(),
            finals: BTreeMap::new(),
            draining: false,
        }
    }

    fn pick(&mut self, pick: Pick) -> RunId {
        match pick {
            Pick::Engaged(place) if !self.engine.is_empty() => {
                *self.engine.keys().nth(place % self.engine.len()).unwrap()
            }
            Pick::Engaged(place) => self.pick(Pick::Named(place)),
            Pick::Named(place) if !self.named.is_empty() => {
                // The newest ones, most of the time.
                let place = place % self.named.len().min(8);
                self.named[self.named.len() - 1 - place]
            }
            Pick::Named(_) => self.pick(Pick::Fresh { shard: 0, below: 0 }),
            Pick::Fresh { shard, below } => {
                self.next_fence += 1;
                let run = run(shard, self.next_fence - below);
                self.named.push(run);
                run
            }
        }
    }

    fn take(&mut self, action: Action) -> Judged {
        match action {
            Action::Advance { nanos } => {
                self.now = self.now.after(Duration::from_nanos(nanos));
                self.step(Input::Wake, None)
            }
            Action::Drain => {
                self.draining = true;
                self.step(Input::Drain, None)
            }
            Action::Prepare { pick, own_boot } => {
                let run = self.pick(pick);
                self.prepare(run, own_boot)
            }
            Action::Judge { pick, own_boot, back, kind } => {
                let run = self.pick(pick);
                self.judge(run, own_boot, back, kind)
            }
            Action::Ready(pick) => {
                let run = self.pick(pick);
                if let Some(engaged) = self.engine.get_mut(&run) {
                    engaged.ready = true;
                }
                self.engine(EngineEvent::Prepared { run })
            }
            Action::Broken(pick) => {
                let run = self.pick(pick);
                if self.engine.get(&run).is_some_and(|engaged| engaged.permit.is_some()) {
                    return Ok(());
                }
                if let Some(engaged) = self.engine.remove(&run) {
                    let end = match engaged.stopped {
                        true => RunEnd::Stopped,
                        false => RunEnd::Failed { reason: "why".to_owned() },
                    };
                    self.endings.insert(run, (end, Progress::default()));
                    self.dead.insert(run);
                }
                self.engine(EngineEvent::PrepareFailed { run, reason: "why".to_owned() })
            }
            Action::Progressed { pick, progress } => {
                let run = self.pick(pick);
                // The engine tells counters of what may issue only.
                if self.engine.get(&run).is_some_and(|engaged| engaged.permit.is_none()) {
                    return Ok(());
                }
                self.engine(EngineEvent::Progressed { run, progress })
            }
            Action::Reported { pick, second } => {
                let (run, totals) = (self.pick(pick), Box::<Totals>::default());
                let progress = Progress::default();
                self.engine(EngineEvent::Reported { run, second, progress, totals })
            }
            Action::Ended { pick, completed, progress } => {
                let run = self.pick(pick);
                self.ended(run, completed, progress)
            }
        }
    }

    fn prepare(&mut self, run: RunId, own_boot: bool) -> Judged {
        let boot = if own_boot { BOOT } else { BootId::new(6) };
        let above = self.highest.get(&run.shard).is_none_or(|highest| *highest < run.fence);
        let full = self.engine.len() >= usize::from(CORES);
        let may_start = own_boot && above && !self.draining && !full;
        if own_boot && above {
            self.obey(run);
        }
        let known = self.engine.contains_key(&run);
        self.hear(Prepare { boot, run, slice: slice() }.into(), None)?;
        let starts = self.engine.contains_key(&run) && !known;
        prop_assert_eq!(starts, may_start, "{:?}", run);
        Ok(())
    }

    /// A fence above all seen was told: the lower runs of the shard are over.
    fn obey(&mut self, run: RunId) {
        self.highest.insert(run.shard, run.fence);
        let lower: Vec<RunId> =
            self.named.iter().copied().filter(|r| r.shard == run.shard).collect();
        self.dead.extend(lower.into_iter().filter(|r| r.fence < run.fence));
    }

    fn judge(&mut self, run: RunId, own_boot: bool, back: i64, kind: VerdictKind) -> Judged {
        let boot = if own_boot { BOOT } else { BootId::new(6) };
        let newest = i64::try_from(self.beats.len()).unwrap();
        let seq = u64::try_from(newest - back).unwrap_or(0);
        let place = usize::try_from(seq).unwrap().checked_sub(1);
        let sent = place.and_then(|place| self.beats.get(place)).copied();
        let Some(sent) = sent.filter(|_| own_boot) else {
            return self.hear(confirm(boot, seq, run, kind), None);
        };
        match kind {
            VerdictKind::Issue { ttl, ceiling, .. } => {
                let (until, most) = self.granted.get(&run).copied().unwrap_or_default();
                let best = (until.max(sent.after(ttl.min(TTL))), most.max(ceiling));
                self.granted.insert(run, best);
            }
            VerdictKind::Hold => {}
            VerdictKind::Stop => {
                let above = self.highest.get(&run.shard).is_none_or(|h| *h < run.fence);
                if above {
                    self.obey(run);
                }
                self.dead.insert(run);
                let unstarted = !self.engine.contains_key(&run);
                if unstarted && !self.endings.contains_key(&run) {
                    self.endings.insert(run, (RunEnd::Stopped, Progress::default()));
                }
            }
            VerdictKind::Forget => {
                let held = self.node.role().runs().any(|view| view.run == run);
                if held {
                    self.dead.insert(run);
                }
            }
        }
        self.hear(confirm(boot, seq, run, kind), Some(run))
    }

    fn ended(&mut self, run: RunId, completed: bool, progress: Progress) -> Judged {
        if self.engine.remove(&run).is_some() {
            let end = if completed { RunEnd::Completed } else { RunEnd::Stopped };
            self.endings.insert(run, (end, progress));
            self.dead.insert(run);
        }
        let totals = Box::<Totals>::default();
        self.engine(EngineEvent::Ended { run, completed, progress, totals })
    }

    fn hear(&mut self, msg: Message, judged: Option<RunId>) -> Judged {
        self.step(Input::Received { from: MANAGER, msg: Box::new(msg) }, judged)
    }

    fn engine(&mut self, event: EngineEvent) -> Judged {
        self.step(Input::Engine(Box::new(event)), None)
    }

    /// One step, with every effect judged. Only `judged` may be permitted in it.
    fn step(&mut self, input: Input, judged: Option<RunId>) -> Judged {
        self.now = self.now.after(Duration::from_nanos(1));
        let effects: Vec<Effect> = self.node.step(self.now, input).collect();
        let mut beats = 0;
        for effect in effects {
            match effect {
                Effect::Start { run, .. } => {
                    prop_assert!(self.engine.insert(run, Engaged::default()).is_none());
                    prop_assert!(!self.dead.contains(&run), "{:?} started again", run);
                }
                Effect::Permit { run, permit, .. } => {
                    prop_assert_eq!(judged, Some(run));
                    self.on_permit(run, permit)?;
                }
                Effect::Stop { run } => {
                    let engaged = self.engine.get_mut(&run);
                    let first = engaged.is_some_and(|e| !std::mem::replace(&mut e.stopped, true));
                    prop_assert!(first, "{:?} is stopped once, while the engine has it", run);
                    prop_assert!(self.dead.contains(&run), "nobody wanted {:?} stopped", run);
                }
                Effect::Send { msg, .. } => {
                    beats += usize::from(matches!(*msg, Message::Heartbeat(_)));
                    self.on_send(*msg)?;
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(beats <= 1, "{} heartbeats in a step", beats);
        self.node.check().map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        let all = self.node.role().check_all();
        all.map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        self.look()
    }

    fn on_permit(&mut self, run: RunId, permit: Permit) -> Judged {
        let now = self.now;
        prop_assert!(!self.dead.contains(&run), "{:?} is over", run);
        prop_assert_eq!(self.highest.get(&run.shard), Some(&run.fence), "a lower fence");
        let (until, ceiling) = self.granted.get(&run).copied().unwrap_or_default();
        prop_assert!(permit.until <= until && permit.ceiling <= ceiling, "{:?}", permit);
        prop_assert!(permit.until > now, "it is worth something");
        for (other, engaged) in &self.engine {
            let issues = engaged.permit.is_some_and(|(permit, _)| permit.until > now);
            let apart = *other == run || other.shard != run.shard || !issues || engaged.stopped;
            prop_assert!(apart, "{:?} may still issue", other);
        }
        let engaged = self.engine.get_mut(&run);
        prop_assert!(engaged.as_ref().is_some_and(|e| e.ready && !e.stopped), "{:?}", run);
        if let Some(engaged) = engaged {
            if let Some((before, given)) = engaged.permit {
                prop_assert!(permit != before, "nothing new");
                prop_assert!(permit.until >= before.until && permit.ceiling >= before.ceiling);
                let slew = now.since(given) * 5 / 100;
                prop_assert!(permit.zero <= before.zero.after(slew), "plan time stepped back");
            }
            engaged.permit = Some((permit, now));
        }
        Ok(())
    }

    fn on_send(&mut self, msg: Message) -> Judged {
        match msg {
            Message::Heartbeat(beat) => {
                self.beats.push(self.now);
                prop_assert_eq!(beat.seq, u64::try_from(self.beats.len()).unwrap());
                prop_assert_eq!(
                    (beat.boot, beat.cores, beat.draining),
                    (BOOT, CORES, self.draining)
                );
                let listed: Vec<_> = beat.runs.iter().map(|beat| (beat.run, beat.state)).collect();
                let held: Vec<_> =
                    self.node.role().runs().map(|view| (view.run, view.state)).collect();
                prop_assert_eq!(listed, held);
            }
            Message::Final(last) => {
                let told = (last.end.clone(), last.progress);
                prop_assert_eq!(self.endings.get(&last.run), Some(&told), "{:?}", last.run);
                prop_assert!(!self.engine.contains_key(&last.run));
                let ascending = last.parked.windows(2).all(|two| two[0].until <= two[1].from);
                prop_assert!(ascending, "{:?}", last.parked);
                let before = self.finals.insert(last.run, last.clone());
                prop_assert!(before.is_none_or(|before| before == last), "it changed its word");
            }
            Message::Swim(_) => {}
            Message::Report(report) => {
                prop_assert!(self.engine.contains_key(&report.run));
            }
            other => prop_assert!(false, "{:?}", other),
        }
        Ok(())
    }

    /// What the worker shows, against what the engine has.
    fn look(&self) -> Judged {
        let worker = self.node.role();
        let taken = u16::try_from(self.engine.len()).unwrap();
        prop_assert_eq!(worker.cores_free(), CORES - taken);
        let mut cores = BTreeSet::new();
        for view in worker.runs() {
            let engaged = self.engine.get(&view.run);
            prop_assert_eq!(view.core.is_some(), engaged.is_some(), "{:?}", view);
            prop_assert!(view.core.is_none_or(|core| core < CORES && cores.insert(core)));
            let permit = engaged.and_then(|engaged| engaged.permit).map(|(permit, _)| permit);
            let issues = permit.is_some_and(|permit| self.now < permit.until);
            let runs = view.state == RunState::Running;
            let stopped = engaged.is_some_and(|engaged| engaged.stopped);
            prop_assert_eq!(runs, issues && !stopped, "{:?}", view);
            let stopping = view.state == RunState::Stopping;
            prop_assert_eq!(stopping, stopped, "{:?}", view);
        }
        prop_assert_eq!(cores.len(), self.engine.len());
        Ok(())
    }

    /// Whatever happened, every run can be stopped, ended and forgotten, and nothing is left.
    fn close(&mut self) -> Judged {
        let held = |life: &Self| life.node.role().runs().map(|view| view.run).collect::<Vec<_>>();
        self.take(Action::Advance { nanos: 500_000_000 })?;
        for run in held(self) {
            self.judge(run, true, 0, VerdictKind::Stop)?;
        }
        for run in self.engine.keys().copied().collect::<Vec<_>>() {
            self.ended(run, false, Progress::default())?;
        }
        for view in self.node.role().runs() {
            prop_assert_eq!(view.state, RunState::Ended);
            prop_assert!(self.finals.contains_key(&view.run));
        }
        for run in held(self) {
            self.judge(run, true, 0, VerdictKind::Forget)?;
        }
        self.take(Action::Drain)?;
        prop_assert_eq!(held(self), []);
        prop_assert!(self.node.role().is_drained());
        prop_assert_eq!(self.node.role().cores_free(), CORES);
        Ok(())
    }
}

fn confirm(boot: BootId, seq: u64, run: RunId, kind: VerdictKind) -> Message {
    let verdicts = BoundedVec::try_from(vec![Verdict { run, kind }]).unwrap();
    Confirm { boot, seq, verdicts }.into()
}

fn live(actions: Vec<Action>) -> Result<Counters, TestCaseError> {
    let mut life = Life::new();
    for action in actions {
        life.take(action)?;
    }
    life.close()?;
    Ok(life.node.stats().clone())
}

proptest! {
    #[test]
    fn a_worker_keeps_its_promises(actions in vec(action(), 0..150)) {
        live(actions)?;
    }
}

#[test]
fn the_drawn_lives_reach_every_decision() {
    let mut runner = TestRunner::deterministic();
    let strategy = vec(action(), 100..300);
    let mut sum = Counters::default();
    for _ in 0..100 {
        let actions = strategy.new_tree(&mut runner).unwrap().current();
        let stats = live(actions).unwrap();
        for stat in Stat::ALL {
            sum.add(*stat, stats.count(*stat));
        }
    }
    for stat in [
        Stat::MessageStale,
        Stat::BootStale,
        Stat::FenceRefused,
        Stat::Resent,
        Stat::RunPrepared,
        Stat::RunRefused,
        Stat::RunConfirmed,
        Stat::RunParked,
        Stat::RunResumed,
        Stat::RunRevoked,
        Stat::RunEnded,
        Stat::PlanTimeSlewed,
    ] {
        assert!(sum.count(stat) >= 50, "{}: {}", stat.name(), sum.count(stat));
    }
}
