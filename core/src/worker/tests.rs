//! Each input with the whole list of its effects.

use std::time::Duration;

use super::samples::{Bench, MANAGER, config, run, slice};
use super::*;
use crate::bounded::BoundedVec;
use crate::effect::{Effect, Permit};
use crate::ids::{Fence, GroupId, LogIndex, Lsn, NodeId, RunId};
use crate::input::{EngineEvent, Progress};
use crate::journal::Record;
use crate::limits::RUNS_PER_WORKER_MAX;
use crate::node::Node;
use crate::plan::PlanTime;
use crate::stats::Totals;
use crate::time::Instant;
use crate::wire::{
    Confirm, Final, Heartbeat, Message, Parked, Prepare, Report, RunBeat, RunEnd, RunState,
    Verdict, VerdictKind,
};

const BOOT: BootId = BootId::new(7);
const TTL: Duration = Duration::from_secs(3);

struct Rig(Node<Worker>);

impl Rig {
    /// A worker that has sent its first heartbeat at 0 ms.
    fn new(cores: u16) -> Self {
        let mut rig = Self(node(cores, Recovered::default()).unwrap());
        assert_eq!(rig.wake(0), [beat(1, cores, &[], cores)]);
        rig
    }

    /// A worker with one core that holds one prepared run, told in heartbeats 2 and 3 at 1 ms and
    /// 2 ms.
    fn prepared(id: RunId) -> Self {
        let mut rig = Self::new(1);
        rig.prepare(1, id);
        rig.engine(2, EngineEvent::Prepared { run: id });
        rig
    }

    /// Like `prepared`, and confirmed at 10 ms up to 100 items, told in heartbeat 4.
    fn running(id: RunId) -> Self {
        let mut rig = Self::prepared(id);
        rig.confirm(10, 3, id, issue(100, 0));
        rig
    }

    fn step(&mut self, ms: u64, input: Input) -> Vec<Effect> {
        let is_of_members = |effect: &Effect| {
            let Effect::Send { msg, .. } = effect else { return false };
            matches!(**msg, Message::Swim(_))
        };
        let effects: Vec<Effect> =
            self.0.step(at(ms), input).filter(|effect| !is_of_members(effect)).collect();
        self.0.check().unwrap();
        self.0.role().check_all().unwrap();
        effects
    }

    fn wake(&mut self, ms: u64) -> Vec<Effect> {
        self.step(ms, Input::Wake)
    }

    fn hear(&mut self, ms: u64, msg: impl Into<Message>) -> Vec<Effect> {
        self.step(ms, Input::Received { from: MANAGER, msg: Box::new(msg.into()) })
    }

    fn engine(&mut self, ms: u64, event: EngineEvent) -> Vec<Effect> {
        self.step(ms, Input::Engine(Box::new(event)))
    }

    fn prepare(&mut self, ms: u64, run: RunId) -> Vec<Effect> {
        self.hear(ms, Prepare { boot: BOOT, run, slice: slice(0) })
    }

    fn confirm(&mut self, ms: u64, seq: u64, run: RunId, kind: VerdictKind) -> Vec<Effect> {
        self.hear(ms, confirm(BOOT, seq, run, kind))
    }

    fn ended(&mut self, ms: u64, run: RunId, completed: bool) -> Vec<Effect> {
        let (progress, totals) = (progress(5, 0), totals(5));
        self.engine(ms, EngineEvent::Ended { run, completed, progress, totals })
    }

    fn count(&self, stat: Stat) -> u64 {
        self.0.stats().count(stat)
    }

    fn state(&self, run: RunId) -> Option<RunState> {
        self.0.role().runs().find(|view| view.run == run).map(|view| view.state)
    }
}

fn node(cores: u16, disk: Recovered) -> Result<Node<Worker>, RecoverError> {
    let boot = Boot { id: BOOT, entropy: 1, disk: crate::ids::DiskId::new(0) };
    Node::recover(NodeId::new(1), config(cores), boot, disk)
}

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn plan(ms: i64) -> PlanTime {
    PlanTime::from_nanos(ms * 1_000_000)
}

fn progress(started: u64, dropped: u64) -> Progress {
    Progress { next: started + dropped, started, ended: started, dropped, starved: false }
}

fn totals(iterations: u64) -> Box<Totals> {
    Box::new(Totals { iterations, ..Totals::default() })
}

fn issue(ceiling: u64, plan_ms: i64) -> VerdictKind {
    VerdictKind::Issue { ttl: TTL, ceiling, plan_time: plan(plan_ms) }
}

fn confirm(boot: BootId, seq: u64, run: RunId, kind: VerdictKind) -> Confirm {
    let verdicts = BoundedVec::try_from(vec![Verdict { run, kind }]).unwrap();
    Confirm { boot, seq, verdicts }
}

fn send(msg: impl Into<Message>) -> Effect {
    Effect::Send { to: MANAGER, msg: Box::new(msg.into()), after: Lsn::new(0) }
}

fn beat(seq: u64, free: u16, runs: &[RunBeat], cores: u16) -> Effect {
    let runs = BoundedVec::try_from(runs.to_vec()).unwrap();
    send(Heartbeat { boot: BOOT, seq, cores, free, draining: false, runs })
}

fn listed(run: RunId, state: RunState) -> RunBeat {
    RunBeat { run, state, progress: Progress::default(), ceiling: 0, plan_time: None }
}

/// A run whose plan time was zero at 10 ms and which may issue 100 items.
fn confirmed(run: RunId, state: RunState, plan_ms: i64) -> RunBeat {
    let plan_time = Some(plan(plan_ms));
    RunBeat { run, state, progress: Progress::default(), ceiling: 100, plan_time }
}

fn start(run: RunId) -> Effect {
    Effect::Start { run, slice: slice(0), after: Lsn::new(0) }
}

fn permit(run: RunId, until: u64, ceiling: u64, zero: u64) -> Effect {
    let permit = Permit { until: at(until), ceiling, zero: at(zero) };
    Effect::Permit { run, permit, after: Lsn::new(0) }
}

/// The last word about a run that never issued.
fn unstarted(run: RunId, end: RunEnd) -> Final {
    Final {
        boot: BOOT,
        run,
        end,
        progress: Progress::default(),
        plan_time: None,
        parked: BoundedVec::new(),
        totals: Box::default(),
    }
}

/// The last word about a run that `Rig::ended` ended.
fn last_word(run: RunId, end: RunEnd, plan_ms: i64) -> Final {
    Final {
        progress: progress(5, 0),
        plan_time: Some(plan(plan_ms)),
        totals: totals(5),
        ..unstarted(run, end)
    }
}

const NOTHING: [Effect; 0] = [];

#[test]
fn beats_at_once_then_every_sixth_of_the_ttl() {
    let mut rig = Rig::new(2);
    assert_eq!(rig.wake(499), NOTHING);
    assert_eq!(rig.wake(500), [beat(2, 2, &[], 2)]);
    assert_eq!(rig.wake(501), NOTHING);
    assert_eq!(rig.wake(60_000), [beat(3, 2, &[], 2)], "a late wake beats once");
}

#[test]
fn every_manager_hears_every_beat() {
    let mut config = config(1);
    config.managers.push(NodeId::new(3));
    let boot = Boot { id: BOOT, entropy: 1, disk: crate::ids::DiskId::new(0) };
    let mut node: Node<Worker> =
        Node::recover(NodeId::new(1), config, boot, Recovered::default()).unwrap();
    let to: Vec<NodeId> = node
        .step(at(0), Input::Wake)
        .filter_map(|effect| {
            let Effect::Send { to, msg, .. } = effect else { panic!("{effect:?}") };
            matches!(*msg, Message::Heartbeat(_)).then_some(to)
        })
        .collect();
    assert_eq!(to, [NodeId::new(2), NodeId::new(3)]);
}

#[test]
fn prepares_once_and_issues_nothing() {
    let mut rig = Rig::new(2);
    let id = run(0, 5);
    let preparing = listed(id, RunState::Preparing);
    assert_eq!(rig.prepare(1, id), [start(id), beat(2, 1, &[preparing], 2)]);
    assert_eq!(rig.prepare(2, id), NOTHING, "a duplicate");
    assert_eq!(rig.confirm(3, 2, id, issue(100, 0)), NOTHING, "it is not ready");
    let ready = EngineEvent::Prepared { run: id };
    assert_eq!(rig.engine(4, ready.clone()), [beat(3, 1, &[listed(id, RunState::Prepared)], 2)]);
    assert_eq!(rig.engine(5, ready), NOTHING);
    assert_eq!(rig.confirm(6, 3, id, VerdictKind::Hold), NOTHING);
    assert_eq!(rig.count(Stat::RunPrepared), 1);
}

#[test]
fn starts_from_the_first_item_of_its_slice() {
    let mut rig = Rig::new(1);
    let id = run(0, 5);
    let told = Progress { next: 40, ..Progress::default() };
    let preparing = RunBeat { progress: told, ..listed(id, RunState::Preparing) };
    assert_eq!(
        rig.hear(1, Prepare { boot: BOOT, run: id, slice: slice(40) }),
        [
            Effect::Start { run: id, slice: slice(40), after: Lsn::new(0) },
            beat(2, 0, &[preparing], 1)
        ]
    );
}

#[test]
fn what_is_for_another_life_or_from_a_stranger_changes_nothing() {
    let mut rig = Rig::prepared(run(0, 5));
    let (id, other) = (run(0, 5), BootId::new(6));
    let prepare = Prepare { boot: other, run: run(1, 6), slice: slice(0) };
    assert_eq!(rig.hear(3, prepare), NOTHING);
    assert_eq!(rig.hear(4, confirm(other, 3, id, issue(100, 0))), NOTHING);
    assert_eq!(rig.hear(5, confirm(other, 3, id, VerdictKind::Stop)), NOTHING);
    assert_eq!(rig.count(Stat::BootStale), 3);
    for seq in [0, 4, u64::MAX] {
        assert_eq!(rig.confirm(6, seq, id, VerdictKind::Stop), NOTHING, "{seq} was not sent");
    }
    assert_eq!(rig.count(Stat::MessageStale), 3);
    let msg = Box::new(Message::Confirm(confirm(BOOT, 3, id, VerdictKind::Stop)));
    assert_eq!(rig.step(9, Input::Received { from: NodeId::new(3), msg }), NOTHING);
    let runs = BoundedVec::new();
    let foreign = Heartbeat { boot: BOOT, seq: 1, cores: 1, free: 1, draining: false, runs };
    assert_eq!(rig.hear(10, foreign), NOTHING);
    assert_eq!(rig.count(Stat::MessageForeign), 2);
    assert_eq!(rig.step(11, Input::Durable(Lsn::new(1))), NOTHING);
    assert_eq!(rig.count(Stat::InputForeign), 1);
    assert_eq!(rig.state(id), Some(RunState::Prepared));
}

#[test]
fn refuses_without_a_core_until_told_to_forget() {
    let mut rig = Rig::prepared(run(0, 5));
    let (first, second) = (listed(run(0, 5), RunState::Prepared), run(1, 6));
    let refused = listed(second, RunState::Refused);
    assert_eq!(rig.prepare(3, second), [beat(4, 0, &[first, refused], 1)]);
    assert_eq!(rig.prepare(4, second), NOTHING);
    assert_eq!(rig.confirm(5, 4, second, issue(9, 0)), NOTHING);
    assert_eq!(rig.confirm(6, 4, second, VerdictKind::Forget), [beat(5, 0, &[first], 1)]);
    assert_eq!(rig.confirm(7, 4, second, VerdictKind::Forget), NOTHING);
    assert_eq!(rig.prepare(8, second), NOTHING, "its fence is over");
    assert_eq!(rig.count(Stat::FenceRefused), 1);
    assert_eq!(rig.count(Stat::RunRefused), 1);
}

#[test]
fn a_stop_of_a_refused_run_ends_it() {
    let mut rig = Rig::prepared(run(0, 5));
    let (first, second) = (listed(run(0, 5), RunState::Prepared), run(1, 6));
    rig.prepare(3, second);
    let ended = listed(second, RunState::Ended);
    let end = unstarted(second, RunEnd::Stopped);
    assert_eq!(
        rig.confirm(4, 4, second, VerdictKind::Stop),
        [send(end), beat(5, 0, &[first, ended], 1)]
    );
}

#[test]
fn the_first_confirmation_counts_from_the_send_of_the_heartbeat() {
    let mut rig = Rig::prepared(run(0, 5));
    let id = run(0, 5);
    let running = RunBeat { plan_time: Some(plan(-90)), ..confirmed(id, RunState::Running, 0) };
    assert_eq!(
        rig.confirm(10, 3, id, issue(100, -90)),
        [permit(id, 3002, 100, 100), beat(4, 0, &[running], 1)]
    );
    assert_eq!(rig.wake(509), NOTHING);
    assert_eq!(rig.wake(510).len(), 1, "the next heartbeat");
}

#[test]
fn later_confirmations_extend_and_never_shorten_or_lower() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    assert_eq!(rig.confirm(11, 3, id, issue(100, 0)), NOTHING, "a duplicate");
    assert_eq!(rig.confirm(12, 4, id, issue(150, 0)), [permit(id, 3010, 150, 10)]);
    assert_eq!(rig.confirm(13, 3, id, issue(120, 0)), NOTHING, "reordered");
    assert_eq!(rig.confirm(14, 3, id, issue(160, 0)), [permit(id, 3010, 160, 10)]);
    assert_eq!(rig.confirm(15, 2, id, issue(170, 0)), [permit(id, 3010, 170, 10)]);
    assert_eq!(rig.count(Stat::RunConfirmed), 4);
    assert_eq!(rig.count(Stat::MessageStale), 2);
}

#[test]
fn a_lease_is_never_longer_than_configured_here() {
    let id = run(0, 5);
    let mut rig = Rig::prepared(id);
    let ttl = Duration::from_secs(30);
    let kind = VerdictKind::Issue { ttl, ceiling: 100, plan_time: plan(0) };
    let running = confirmed(id, RunState::Running, 0);
    assert_eq!(
        rig.confirm(10, 3, id, kind),
        [permit(id, 3002, 100, 10), beat(4, 0, &[running], 1)]
    );
}

#[test]
fn a_confirmation_that_comes_late_permits_nothing() {
    let id = run(0, 5);
    let mut rig = Rig::prepared(id);
    rig.wake(3001);
    let stale = rig.count(Stat::MessageStale);
    assert_eq!(rig.confirm(3002, 3, id, issue(100, 0)), NOTHING);
    assert_eq!(rig.count(Stat::MessageStale), stale + 1);
    assert_eq!(rig.state(id), Some(RunState::Prepared));
}

#[test]
fn parks_exactly_at_until() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    rig.wake(2600);
    assert_eq!(rig.0.next_wake().unwrap(), Wake { at: at(3002), why: "a confirmation ends" });
    let before = Instant::from_nanos(at(3002).as_nanos() - 1);
    assert_eq!(rig.0.step(before, Input::Wake).collect::<Vec<_>>(), NOTHING);
    let parked = confirmed(id, RunState::Parked, 2992);
    assert_eq!(rig.wake(3002), [beat(6, 0, &[parked], 1)]);
    assert_eq!(rig.wake(3003), NOTHING);
    assert_eq!(rig.count(Stat::RunParked), 1);
}

#[test]
fn a_message_in_the_instant_of_expiry_finds_the_run_parked() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    rig.wake(2600);
    let running = confirmed(id, RunState::Running, 2992);
    assert_eq!(
        rig.confirm(3002, 5, id, issue(200, 2992)),
        [permit(id, 5600, 200, 10), beat(6, 0, &[RunBeat { ceiling: 200, ..running }], 1)]
    );
    assert_eq!((rig.count(Stat::RunParked), rig.count(Stat::RunResumed)), (1, 1));
}

#[test]
fn a_resumed_run_declares_the_span_it_was_parked() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    rig.engine(2000, EngineEvent::Progressed { run: id, progress: progress(4, 1) });
    rig.wake(3002);
    rig.wake(4000);
    let running = RunBeat { progress: progress(4, 1), ..confirmed(id, RunState::Running, 4090) };
    assert_eq!(
        rig.confirm(4100, 7, id, issue(100, 4000)),
        [permit(id, 7000, 100, 10), beat(8, 0, &[running], 1)]
    );
    let progressed = EngineEvent::Progressed { run: id, progress: progress(5, 8) };
    assert_eq!(rig.engine(4150, progressed), NOTHING);
    let parked = Parked { from: plan(2992), until: plan(4090), dropped: 7 };
    let (counters, totals) = (progress(5, 9), totals(5));
    let ended = RunBeat { progress: counters, ..confirmed(id, RunState::Ended, 4190) };
    let end = Final {
        progress: counters,
        parked: BoundedVec::try_from(vec![parked]).unwrap(),
        ..last_word(id, RunEnd::Completed, 4190)
    };
    assert_eq!(
        rig.engine(
            4200,
            EngineEvent::Ended { run: id, completed: true, progress: counters, totals }
        ),
        [send(end), beat(9, 1, &[ended], 1)]
    );
}

#[test]
fn an_engine_that_ends_while_parked_closes_the_span() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    rig.wake(3002);
    let parked = Parked { from: plan(2992), until: plan(3190), dropped: 3 };
    let (counters, totals) = (progress(5, 3), totals(5));
    let ended = RunBeat { progress: counters, ..confirmed(id, RunState::Ended, 3190) };
    let end = Final {
        progress: counters,
        parked: BoundedVec::try_from(vec![parked]).unwrap(),
        ..last_word(id, RunEnd::Completed, 3190)
    };
    assert_eq!(
        rig.engine(
            3200,
            EngineEvent::Ended { run: id, completed: true, progress: counters, totals }
        ),
        [send(end), beat(6, 1, &[ended], 1)]
    );
    assert_eq!(rig.confirm(3201, 6, id, issue(100, 3191)), NOTHING);
}

#[test]
fn slews_by_a_twentieth_and_says_so() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    rig.wake(1000);
    // At 1010 ms the plan clock shows 1000 ms; the manager had 1200 ms or more.
    assert_eq!(
        rig.confirm(1010, 5, id, issue(100, 1200)),
        [Effect::Permit {
            run: id,
            permit: Permit { until: at(4000), ceiling: 100, zero: Instant::ZERO },
            after: Lsn::new(0),
        }]
    );
    assert_eq!(rig.count(Stat::PlanTimeSlewed), 1);
}

#[test]
fn a_stop_is_final() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    let stopping = confirmed(id, RunState::Stopping, 10);
    assert_eq!(
        rig.confirm(20, 4, id, VerdictKind::Stop),
        [Effect::Stop { run: id }, beat(5, 0, &[stopping], 1)]
    );
    assert_eq!(rig.confirm(21, 4, id, VerdictKind::Stop), NOTHING, "a duplicate");
    assert_eq!(rig.confirm(22, 5, id, issue(200, 0)), NOTHING, "never confirmed again");
    assert_eq!(rig.prepare(23, id), NOTHING);
    let ended = RunBeat { progress: progress(5, 0), ..confirmed(id, RunState::Ended, 20) };
    let end = send(last_word(id, RunEnd::Stopped, 20));
    assert_eq!(rig.ended(30, id, false), [end.clone(), beat(6, 1, &[ended], 1)]);
    assert_eq!(rig.ended(31, id, false), NOTHING, "a duplicate");
    assert_eq!(rig.confirm(32, 6, id, issue(200, 0)), NOTHING);
    assert_eq!(rig.confirm(33, 6, id, VerdictKind::Stop), NOTHING);
    assert_eq!(rig.wake(530), [end.clone(), beat(7, 1, &[ended], 1)], "sent again");
    assert_eq!(rig.wake(1030), [end, beat(8, 1, &[ended], 1)], "and again");
    assert_eq!(rig.count(Stat::Resent), 2);
    assert_eq!(rig.confirm(1031, 8, id, VerdictKind::Forget), [beat(9, 1, &[], 1)]);
    assert_eq!(rig.wake(1531), [beat(10, 1, &[], 1)]);
    let refused = rig.count(Stat::FenceRefused);
    assert_eq!(rig.prepare(1532, id), NOTHING, "a prepare after the end");
    assert_eq!(rig.prepare(1533, run(0, 4)), NOTHING, "a lower fence");
    assert_eq!(rig.confirm(1534, 10, id, VerdictKind::Stop), NOTHING);
    assert_eq!(rig.count(Stat::FenceRefused), refused + 3);
    assert_eq!(rig.confirm(1535, 10, id, issue(200, 0)), NOTHING);
    let next = listed(run(0, 6), RunState::Preparing);
    assert_eq!(rig.prepare(1536, run(0, 6)), [start(run(0, 6)), beat(11, 0, &[next], 1)]);
}

#[test]
fn a_run_stopped_before_it_was_heard_of_never_starts() {
    let id = run(0, 5);
    let mut rig = Rig::new(1);
    let ended = listed(id, RunState::Ended);
    let end = send(unstarted(id, RunEnd::Stopped));
    assert_eq!(rig.confirm(1, 1, id, VerdictKind::Stop), [end.clone(), beat(2, 1, &[ended], 1)]);
    assert_eq!(rig.confirm(2, 1, id, VerdictKind::Stop), NOTHING);
    assert_eq!(rig.prepare(3, id), NOTHING);
    assert_eq!(rig.wake(501), [end, beat(3, 1, &[ended], 1)]);
    assert_eq!(rig.confirm(502, 3, id, VerdictKind::Forget), [beat(4, 1, &[], 1)]);
    assert_eq!(rig.prepare(503, id), NOTHING);
    assert_eq!(rig.count(Stat::RunPrepared), 0);
}

#[test]
fn verdicts_about_runs_never_heard_of_change_nothing() {
    let mut rig = Rig::new(1);
    for kind in [issue(1, 0), VerdictKind::Hold, VerdictKind::Forget] {
        assert_eq!(rig.confirm(1, 1, run(0, 5), kind), NOTHING);
    }
    assert_eq!(rig.count(Stat::MessageStale), 2);
}

#[test]
fn a_run_stopped_while_it_prepares_waits_for_the_engine() {
    let id = run(0, 5);
    let mut rig = Rig::new(1);
    rig.prepare(1, id);
    let stopping = listed(id, RunState::Stopping);
    assert_eq!(
        rig.confirm(2, 2, id, VerdictKind::Stop),
        [Effect::Stop { run: id }, beat(3, 0, &[stopping], 1)]
    );
    assert_eq!(rig.engine(3, EngineEvent::Prepared { run: id }), NOTHING);
    let failed = EngineEvent::PrepareFailed { run: id, reason: "no such host".to_owned() };
    let ended = listed(id, RunState::Ended);
    assert_eq!(
        rig.engine(4, failed),
        [send(unstarted(id, RunEnd::Stopped)), beat(4, 1, &[ended], 1)]
    );
    assert_eq!(rig.0.role().cores_free(), 1);
}

#[test]
fn a_run_the_engine_cannot_prepare_says_why() {
    let id = run(0, 5);
    let mut rig = Rig::new(1);
    rig.prepare(1, id);
    let reason = "no such host".to_owned();
    let failed = EngineEvent::PrepareFailed { run: id, reason: reason.clone() };
    let end = send(unstarted(id, RunEnd::Failed { reason }));
    let refused = listed(id, RunState::Refused);
    assert_eq!(rig.engine(2, failed.clone()), [end.clone(), beat(3, 1, &[refused], 1)]);
    assert_eq!(rig.engine(3, failed), NOTHING);
    assert_eq!(rig.confirm(4, 3, id, issue(100, 0)), NOTHING);
    let ended = listed(id, RunState::Ended);
    assert_eq!(rig.confirm(5, 3, id, VerdictKind::Stop), [beat(4, 1, &[ended], 1)]);
    assert_eq!(rig.wake(502), [end], "the first last word stands");
    assert_eq!(rig.confirm(503, 4, id, VerdictKind::Forget), [beat(5, 1, &[], 1)]);
    assert_eq!(rig.wake(1003), [beat(6, 1, &[], 1)]);
}

#[test]
fn a_higher_fence_ends_the_lower_run_of_its_shard() {
    let (low, high, other) = (run(0, 5), run(0, 8), run(1, 6));
    let mut rig = Rig::new(3);
    rig.prepare(1, low);
    rig.prepare(2, other);
    let runs = [
        listed(low, RunState::Stopping),
        listed(high, RunState::Preparing),
        listed(other, RunState::Preparing),
    ];
    assert_eq!(
        rig.prepare(3, high),
        [Effect::Stop { run: low }, start(high), beat(4, 0, &runs, 3)]
    );
    assert_eq!(rig.prepare(4, run(0, 7)), NOTHING, "between the two");
    assert_eq!(rig.confirm(5, 4, low, issue(9, 0)), NOTHING);
    assert_eq!(rig.count(Stat::FenceRefused), 2);
}

#[test]
fn a_stop_under_a_higher_fence_ends_the_lower_run_too() {
    let (low, high) = (run(0, 5), run(0, 8));
    let mut rig = Rig::prepared(low);
    let runs = [listed(low, RunState::Stopping), listed(high, RunState::Ended)];
    let end = send(unstarted(high, RunEnd::Stopped));
    assert_eq!(
        rig.confirm(3, 3, high, VerdictKind::Stop),
        [Effect::Stop { run: low }, end, beat(4, 0, &runs, 1)]
    );
}

#[test]
fn forgetting_a_live_run_stops_it_and_drops_it_silently() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    let stopping = confirmed(id, RunState::Stopping, 10);
    assert_eq!(
        rig.confirm(20, 4, id, VerdictKind::Forget),
        [Effect::Stop { run: id }, beat(5, 0, &[stopping], 1)]
    );
    assert_eq!(rig.confirm(21, 4, id, VerdictKind::Forget), NOTHING);
    assert_eq!(rig.ended(22, id, false), [beat(6, 1, &[], 1)]);
    assert_eq!(rig.prepare(23, id), NOTHING);
}

#[test]
fn forgetting_a_stopping_run_drops_it_at_its_end() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    rig.confirm(20, 4, id, VerdictKind::Stop);
    assert_eq!(rig.confirm(21, 4, id, VerdictKind::Forget), NOTHING);
    assert_eq!(rig.ended(22, id, false), [beat(6, 1, &[], 1)]);
}

#[test]
fn reports_are_numbered_and_follow_plan_seconds() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    let reported = |run, second| EngineEvent::Reported {
        run,
        second,
        progress: progress(3, 0),
        totals: totals(3),
    };
    let report = |seq, second| {
        let (progress, totals) = (progress(3, 0), totals(3));
        send(Report { boot: BOOT, run: id, seq, second, progress, totals })
    };
    assert_eq!(rig.engine(20, reported(id, 0)), [report(1, 0)]);
    assert_eq!(rig.engine(21, reported(id, 1)), [report(2, 1)]);
    assert_eq!(rig.engine(22, reported(id, 1)), NOTHING);
    assert_eq!(rig.engine(23, reported(run(3, 9), 1)), NOTHING);
    rig.ended(24, id, true);
    assert_eq!(rig.engine(25, reported(id, 2)), NOTHING);
    assert_eq!(rig.count(Stat::ReportStale), 3);
}

#[test]
fn a_starved_run_asks_once_per_ceiling() {
    let id = run(0, 5);
    let mut rig = Rig::running(id);
    let starved = Progress { starved: true, ..progress(100, 0) };
    let event = EngineEvent::Progressed { run: id, progress: starved };
    let running = RunBeat { progress: starved, ..confirmed(id, RunState::Running, 10) };
    assert_eq!(rig.engine(20, event.clone()), [beat(5, 0, &[running], 1)]);
    assert_eq!(rig.engine(21, event.clone()), NOTHING);
    assert_eq!(rig.confirm(22, 5, id, issue(100, 10)), [permit(id, 3020, 100, 10)]);
    assert_eq!(rig.engine(23, event.clone()), NOTHING, "the ceiling is the same");
    assert_eq!(rig.confirm(24, 5, id, issue(200, 10)), [permit(id, 3020, 200, 10)]);
    let running = RunBeat { ceiling: 200, plan_time: Some(plan(15)), ..running };
    assert_eq!(rig.engine(25, event), [beat(6, 0, &[running], 1)]);
    let unheard = EngineEvent::Progressed { run: run(3, 9), progress: starved };
    assert_eq!(rig.engine(26, unheard), NOTHING);
}

#[test]
fn draining_takes_nothing_new_and_leaves_when_all_is_acknowledged() {
    let (id, late) = (run(0, 5), run(1, 6));
    let mut rig = Rig::running(id);
    let draining = |seq, free, runs: &[RunBeat]| {
        let runs = BoundedVec::try_from(runs.to_vec()).unwrap();
        send(Heartbeat { boot: BOOT, seq, cores: 1, free, draining: true, runs })
    };
    assert!(!rig.0.role().is_drained());
    let running = confirmed(id, RunState::Running, 10);
    assert_eq!(rig.step(20, Input::Drain), [draining(5, 0, &[running])]);
    assert_eq!(rig.step(21, Input::Drain), NOTHING);
    assert_eq!(rig.confirm(22, 5, id, issue(200, 10)), [permit(id, 3020, 200, 10)]);
    rig.ended(30, id, true);
    assert!(!rig.0.role().is_drained(), "its last word may be lost");
    let ended =
        RunBeat { progress: progress(5, 0), ceiling: 200, ..confirmed(id, RunState::Ended, 20) };
    let refused = listed(late, RunState::Refused);
    assert_eq!(rig.prepare(31, late), [draining(7, 1, &[ended, refused])]);
    assert_eq!(rig.confirm(32, 7, id, VerdictKind::Forget), [draining(8, 1, &[refused])]);
    assert!(rig.0.role().is_drained());
}

#[test]
fn gives_the_lowest_free_core() {
    let mut rig = Rig::new(2);
    rig.prepare(1, run(0, 5));
    rig.prepare(2, run(1, 6));
    rig.confirm(3, 3, run(0, 5), VerdictKind::Stop);
    rig.ended(4, run(0, 5), false);
    rig.prepare(5, run(2, 7));
    let cores: Vec<_> = rig.0.role().runs().map(|view| (view.run, view.core)).collect();
    assert_eq!(cores, [(run(0, 5), None), (run(1, 6), Some(1)), (run(2, 7), Some(0))]);
}

#[test]
fn one_run_too_many_is_not_even_listed() {
    let mut rig = Rig::new(1);
    let max = u16::try_from(RUNS_PER_WORKER_MAX).unwrap();
    for shard in 0..max {
        rig.prepare(1, run(shard, 5));
    }
    assert_eq!(rig.prepare(2, run(max, 5)), NOTHING);
    assert_eq!(rig.confirm(3, 9, run(max, 5), VerdictKind::Stop), NOTHING);
    assert_eq!(rig.count(Stat::CapRefused), 2);
    rig.confirm(4, 9, run(1, 5), VerdictKind::Forget);
    rig.prepare(5, run(max, 5));
    assert_eq!(rig.state(run(max, 5)), Some(RunState::Refused), "taken note of once there is room");
}

#[test]
fn more_cores_than_runs_can_be_held_are_not_offered() {
    let cap = u16::try_from(RUNS_PER_WORKER_MAX).unwrap();
    let mut rig = Rig(node(u16::MAX, Recovered::default()).unwrap());
    assert_eq!(rig.wake(0), [beat(1, cap, &[], cap)]);
}

#[test]
fn a_disk_with_records_is_another_roles() {
    let record = Record::Booted;
    let disk = Recovered { records: vec![(Lsn::new(4), record)], ..Recovered::default() };
    let refusal = node(1, disk).unwrap_err();
    let lsn = Lsn::new(4);
    assert_eq!(refusal, RecoverError::ForeignRecord { lsn, found: "journal", role: "worker" });
    assert_eq!(node(1, Recovered::default()).unwrap().role().durable_digest(), 0);
}

/// A worker that holds one running run, to be broken.
fn broken(breaking: impl Fn(&mut Execution)) -> Result<(), Inv> {
    let boot = Boot { id: BOOT, entropy: 1, disk: crate::ids::DiskId::new(0) };
    let mut worker = Worker::recover(config(2), boot, Recovered::default()).unwrap();
    let mut bench = Bench::default();
    let prepare = Prepare { boot: BOOT, run: run(0, 5), slice: slice(0) };
    let messages: [Message; 2] =
        [prepare.into(), confirm(BOOT, 2, run(0, 5), issue(100, 0)).into()];
    for (ms, msg) in (1..).zip(messages) {
        let input = Input::Received { from: MANAGER, msg: Box::new(msg) };
        bench.step(ms, |cx| assert!(worker.handle(cx, input).is_empty()));
        let ready = Box::new(EngineEvent::Prepared { run: run(0, 5) });
        bench.step(ms, |cx| assert!(worker.handle(cx, Input::Engine(ready)).is_empty()));
    }
    breaking(&mut worker.execution);
    let (touched, all) = (worker.execution.check(), worker.check_all());
    assert_eq!(touched.is_ok(), all.is_ok(), "the run was touched by the last step");
    all.map_err(|violation| violation.inv)
}

#[test]
fn the_checks_can_fail() {
    let id = run(0, 5);
    assert_eq!(broken(|_| ()), Ok(()));
    assert_eq!(broken(|e| assert!(e.cores.free(0).is_some())), Err(Inv::CoresConserved));
    assert_eq!(broken(|e| assert!(e.runs.remove(&id).is_some())), Err(Inv::CoresConserved));
    assert_eq!(broken(|e| assert!(e.expiries.cancel(&id).is_some())), Err(Inv::LifecycleLegal));
    assert_eq!(broken(|e| e.fences.end(id)), Err(Inv::FenceMonotonic));
    assert_eq!(broken(|e| e.fences.obey(run(0, 9)).unwrap()), Err(Inv::FenceMonotonic));
    assert_eq!(broken(|e| e.fences = crate::lease::Fences::new(1)), Err(Inv::FenceMonotonic));
}

#[test]
fn a_fence_of_another_group_is_ordered_by_its_group() {
    let mut rig = Rig::prepared(run(0, 5));
    let mut foreign = run(0, 6);
    foreign.fence = Fence { group: GroupId::new(3), index: LogIndex::new(6) };
    assert_eq!(rig.prepare(3, foreign), NOTHING);
    assert_eq!(rig.count(Stat::FenceRefused), 1);
}

fn full(memory: u16) -> Input {
    Input::Sampled(crate::input::Sample { memory, ..Default::default() })
}

#[test]
fn a_machine_without_memory_takes_no_run_and_gives_up_the_newest() {
    let (old, new, late) = (run(0, 5), run(1, 6), run(2, 7));
    let mut rig = Rig::new(3);
    rig.prepare(1, old);
    rig.prepare(2, new);
    let effects = rig.step(3, full(990));
    assert!(effects.contains(&Effect::Stop { run: new }), "{effects:?}");
    assert!(!effects.contains(&Effect::Stop { run: old }));
    let stopping = [listed(old, RunState::Preparing), listed(new, RunState::Stopping)];
    assert_eq!(effects.last(), Some(&beat(4, 0, &stopping, 3)), "no core is offered");
    rig.prepare(4, late);
    assert_eq!(rig.state(late), Some(RunState::Refused));
    let told = rig.ended(5, new, false);
    let is_final = |effect: &Effect| {
        let Effect::Send { msg, .. } = effect else { return false };
        matches!(&**msg, Message::Final(end) if end.run == new && end.end == RunEnd::Stopped)
    };
    assert!(told.iter().any(is_final), "{told:?}");
    for second in 0..40 {
        rig.step(100 + second * 500, full(300));
    }
    assert_eq!(rig.0.role().level(), crate::worker::Level::Normal);
    rig.prepare(30_000, run(3, 8));
    assert_eq!(rig.state(run(3, 8)), Some(RunState::Preparing));
    assert_eq!((rig.count(Stat::RunSacrificed), rig.count(Stat::GuardRelaxed)), (1, 1));
}

#[test]
fn a_machine_without_memory_and_without_runs_only_waits() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.step(1, full(990)).len(), 1, "a heartbeat");
    assert_eq!(rig.count(Stat::RunSacrificed), 0);
}

#[test]
fn what_only_a_newer_minor_understands_is_counted() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.step(1, Input::Unknown { from: MANAGER }), NOTHING);
    assert_eq!(rig.count(Stat::MessageUnknown), 1);
}
