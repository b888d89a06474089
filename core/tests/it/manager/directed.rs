//! Directed histories of the manager.

use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::config::ManagerConfig;
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{GroupId, LogIndex, Lsn, RunId, ShardIx, WorkflowIx};
use hyperscale_core::input::Input;
use hyperscale_core::journal::Record;
use hyperscale_core::machine::Role as _;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::plan::{Executor, OnGateLoss, OnWorkerLoss, PlanTime, When};
use hyperscale_core::report::{LossKind, PartResult, WorkflowStatus};
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::{
    Confirm, Message, Offer, Parked, PartAck, PartPhase, Probe, RunEnd, RunState, Verdict,
    VerdictKind,
};

use super::rig::*;

fn ceiling_of(verdict: Option<VerdictKind>) -> u64 {
    match verdict {
        Some(VerdictKind::Issue { ceiling, .. }) => ceiling,
        other => panic!("not confirmed: {other:?}"),
    }
}

fn result_of(phase: Option<PartPhase>) -> PartResult {
    match phase {
        Some(PartPhase::Ended(result)) => *result,
        other => panic!("not ended: {other:?}"),
    }
}

fn plan_at(seconds: u64) -> PlanTime {
    PlanTime::at(secs(seconds))
}

#[test]
fn one_workflow_from_offer_to_close() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 2), Hand::new(2, 2)];
    let runs = rig.run(plan(vec![workflow("a", arrivals(101, secs(10), 11))]), &mut hands);
    assert_eq!(runs.len(), 2);
    let start = VerdictKind::Issue {
        ttl: secs(3),
        // Arrivals of the stripe due by -0.1 s + 3.06 s + 0.2 s.
        ceiling: 160,
        plan_time: PlanTime::ZERO.before(millis(100)),
    };
    let confirms = rig.confirms();
    let first = confirms.iter().rev().find(|(to, _)| *to == worker(1)).unwrap();
    assert_eq!(first.1.verdicts.to_vec(), [Verdict { run: runs[0], kind: start }]);

    rig.live(secs(11), &mut hands);
    for (hand, run) in hands.iter_mut().zip(&runs) {
        hand.list(*run, RunState::Ended);
        let end = hand.end(*run, RunEnd::Completed, plan_at(10), 505);
        rig.hear(hand.node, end);
    }
    let result = result_of(rig.last_phase());
    assert_eq!((result.workers, result.workers_lost, result.cancelled), (2, 0, false));
    let done = &result.workflows[0];
    assert_eq!(done.status, WorkflowStatus::Completed);
    assert_eq!((done.totals.iterations, done.shards), (1010, 2));
    assert_eq!((done.planned_ms, done.covered_ms), (20_000, 20_000));
    assert!(done.losses.is_empty());

    rig.hear(GATE, PartAck { part: PART });
    assert!(rig.node.role().is_idle());
    assert!(rig.node.role().ledger().tombstone(PART).is_some());
    rig.check_recover_equal();
}

#[test]
fn an_offer_is_appended_and_answered_only_when_it_is_durable() {
    let mut rig = Rig::prompt();
    let wanted = plan(vec![workflow("a", rounds(1, 1))]);
    let offer = Offer { part: PART, fence: gate_fence(1), plan: Box::new(wanted.clone()) };
    let now = rig.instant();
    let input = Input::Received { from: GATE, msg: Box::new(offer.clone().into()) };
    let effects = rig.node.step(now, input.clone()).collect::<Vec<_>>();
    let [Effect::Append { lsn, record }] = effects.as_slice() else { panic!("{effects:?}") };
    let Record::Manager(entry) = record.as_ref() else { panic!("{record:?}") };
    let command =
        ManagerCommand::Accept { part: PART, gate: GATE, fence: gate_fence(1), plan: offer.plan };
    assert_eq!(entry.command(), Some(&command));
    assert_eq!(rig.node.role().parts().count(), 0);

    let again = rig.node.step(now, input).collect::<Vec<_>>();
    assert_eq!(again, []);

    let lsn = *lsn;
    let effects = rig.node.step(now, Input::Durable(lsn)).collect::<Vec<_>>();
    let [Effect::Send { to, msg, after }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((*to, *after), (GATE, lsn));
    let Message::PartReport(report) = msg.as_ref() else { panic!("{msg:?}") };
    assert_eq!((report.phase.clone(), report.fence), (PartPhase::Accepted, gate_fence(1)));
    assert_eq!(rig.node.role().parts().count(), 1);
}

#[test]
fn a_restarted_manager_says_nothing_before_its_term_is_committed() {
    let mut rig = Rig::prompt();
    rig.is_prompt = false;
    rig.restart();
    let mut hand = Hand::new(1, 1);
    rig.beat(&mut hand);
    rig.offer(plan(vec![workflow("a", rounds(1, 1))]));
    assert!(!rig.node.role().leads());
    assert!(rig.sent.is_empty());
    rig.sync();
    assert!(rig.node.role().leads());
    rig.offer(plan(vec![workflow("a", rounds(1, 1))]));
    rig.sync();
    assert_eq!(rig.last_phase(), Some(PartPhase::Accepted));
}

#[test]
fn offers_begins_and_cancels_are_answered_however_often_they_come() {
    let mut rig = Rig::prompt();
    let wanted = plan(vec![workflow("a", rounds(4, 10))]);
    rig.offer(wanted.clone());
    rig.offer(wanted);
    let answers = rig.reports();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|report| report.phase == PartPhase::Accepted));
    assert!(answers[0].seq < answers[1].seq);
    rig.begin();
    rig.begin();
    let phases = rig.reports().into_iter().map(|report| report.phase).collect::<Vec<_>>();
    assert_eq!(phases, [PartPhase::Running, PartPhase::Running]);
    rig.cancel(None);
    let first = result_of(rig.last_phase());
    rig.cancel(None);
    assert_eq!(result_of(rig.last_phase()), first);
    assert!(first.cancelled);
    assert_eq!(first.workflows[0].status, WorkflowStatus::Cancelled);
}

#[test]
fn a_begin_for_another_offer_is_refused() {
    let mut rig = Rig::prompt();
    rig.offer(plan(vec![workflow("a", rounds(1, 1))]));
    rig.take();
    let begin = hyperscale_core::wire::Begin {
        part: PART,
        fence: gate_fence(9),
        offer: gate_fence(8),
        start_in: Duration::ZERO,
    };
    rig.hear(GATE, begin);
    assert_eq!(rig.count(Stat::FenceRefused), 1);
    assert!(rig.take().is_empty());
    assert!(rig.node.role().parts().all(|part| !part.begun));
}

#[test]
fn a_cancel_that_overtakes_its_offer_leaves_a_tombstone() {
    let mut rig = Rig::prompt();
    rig.cancel(None);
    let nothing = result_of(rig.last_phase());
    assert!(nothing.cancelled && nothing.workflows.is_empty());
    rig.restart();
    rig.offer(plan(vec![workflow("a", rounds(1, 1))]));
    assert_eq!(result_of(rig.last_phase()), nothing);
    rig.begin();
    assert_eq!(rig.node.role().parts().count(), 0);
    rig.check_recover_equal();
}

#[test]
fn a_closed_part_does_not_come_back() {
    let mut rig = Rig::prompt();
    let wanted = plan(vec![workflow("a", rounds(1, 1))]);
    rig.offer(wanted.clone());
    rig.cancel(None);
    rig.hear(GATE, PartAck { part: PART });
    rig.take();
    rig.offer(wanted);
    rig.begin();
    rig.cancel(None);
    assert!(rig.take().is_empty());
    assert!(rig.node.role().is_idle());
}

#[test]
fn nothing_runs_before_every_run_is_ready() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1), Hand::new(2, 1)];
    for hand in &mut hands {
        rig.beat(hand);
    }
    rig.offer(plan(vec![workflow("a", rounds(2, 5))]));
    rig.begin();
    let prepares = rig.prepares();
    assert_eq!(prepares.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [worker(1), worker(2)]);
    let (a, b) = (prepares[0].1.run, prepares[1].1.run);
    hands[0].list(a, RunState::Prepared);
    rig.beat(&mut hands[0]);
    assert_eq!(rig.verdict(a), Some(VerdictKind::Hold));
    hands[1].list(b, RunState::Preparing);
    rig.beat(&mut hands[1]);
    assert_eq!(rig.verdict(b), Some(VerdictKind::Hold));
    hands[1].list(b, RunState::Prepared);
    rig.beat(&mut hands[1]);
    let confirms = rig.confirms();
    let issued = |confirm: &Confirm| {
        confirm.verdicts.iter().any(|v| matches!(v.kind, VerdictKind::Issue { .. }))
    };
    let started = confirms.iter().filter(|(_, c)| issued(c)).map(|(to, _)| *to);
    assert_eq!(started.collect::<Vec<_>>(), [worker(1), worker(2)]);
}

#[test]
fn a_confirmation_rests_on_the_reservation_and_never_exceeds_it() {
    let mut rig = Rig::prompt();
    rig.is_prompt = false;
    let mut hands = [Hand::new(1, 1)];
    rig.beat(&mut hands[0]);
    rig.offer(plan(vec![workflow("a", rounds(1, 1_000_000))]));
    rig.sync();
    rig.begin();
    rig.sync();
    rig.sync();
    let run = rig.prepare_all(&mut hands)[0];
    assert_eq!(rig.verdict(run), Some(VerdictKind::Hold));
    rig.sync();
    assert_eq!(ceiling_of(rig.verdict(run)), 16);

    // It is starved; what it did is far more than was reserved, so more is reserved before it gets
    // more.
    rig.now += millis(10);
    hands[0].list(run, RunState::Running).progress.next = 16;
    rig.beat(&mut hands[0]);
    let reserved = rig.node.role().runs().next().unwrap().1.reserved;
    assert_eq!(ceiling_of(rig.verdict(run)), reserved);
    rig.sync();
    let more = ceiling_of(rig.verdict(run));
    assert!(more > reserved);
    assert!(more <= rig.node.role().runs().next().unwrap().1.reserved);
}

#[test]
fn a_worker_restart_before_the_start_moves_its_run_at_once() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1), Hand::new(2, 1)];
    for hand in &mut hands {
        rig.beat(hand);
    }
    rig.offer(plan(vec![workflow("a", rounds(1, 5))]));
    rig.begin();
    assert_eq!(rig.prepares()[0].0, worker(1));
    hands[0] = Hand { boot: boot_of(77), ..Hand::new(1, 1) };
    rig.beat(&mut hands[0]);
    // The other worker has not failed the shard, so it is preferred.
    assert_eq!(rig.prepares()[0].0, worker(2));
}

#[test]
fn a_run_that_is_not_ready_in_time_goes_to_another_worker() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1), Hand::new(2, 1)];
    rig.beat(&mut hands[0]);
    rig.offer(plan(vec![workflow("a", rounds(1, 5))]));
    rig.begin();
    let run = rig.prepares()[0].1.run;
    for _ in 0..4 {
        rig.pass(millis(501));
        for hand in &mut hands {
            rig.beat(hand);
        }
    }
    // Unlisted, so it is sent again.
    assert_eq!(rig.prepares().len(), 4);
    hands[0].list(run, RunState::Preparing);
    for _ in 0..20 {
        rig.pass(millis(500));
        for hand in &mut hands {
            rig.beat(hand);
        }
    }
    let mut prepares = rig.prepares();
    prepares.retain(|(_, prepare)| prepare.run != run);
    assert!(!prepares.is_empty());
    assert!(prepares.iter().all(|(to, p)| (*to, p.run) == (worker(2), prepares[0].1.run)));
    assert!(prepares[0].1.run.fence > run.fence);
    rig.beat(&mut hands[0]);
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
}

#[test]
fn refusals_end_the_workflow_after_so_many_assignments() {
    let config = ManagerConfig { assigns_max: 3, ..ManagerConfig::new(MANAGER, "dc") };
    let mut rig = Rig::new(config);
    let mut hand = Hand::new(1, 1);
    rig.beat(&mut hand);
    rig.offer(plan(vec![workflow("a", rounds(1, 5))]));
    rig.begin();
    for _ in 0..3 {
        let prepares = rig.prepares();
        assert_eq!(prepares.len(), 1);
        hand.list(prepares[0].1.run, RunState::Refused);
        rig.beat(&mut hand);
        // Shorter than until a report or a prepare is sent again.
        if rig.count(Stat::ShardReassigned) < 2 {
            rig.pass(millis(250));
        }
    }
    let result = result_of(rig.last_phase());
    assert_eq!(result.workflows[0].status, WorkflowStatus::Failed);
    assert_eq!(
        result.workflows[0].reason,
        "a shard failed 3 times, at last: its worker refused it"
    );
    rig.beat(&mut hand);
    let confirms = rig.confirms();
    let kinds = confirms[0].1.verdicts.iter().map(|v| v.kind).collect::<Vec<_>>();
    assert_eq!(kinds, [VerdictKind::Forget; 3]);
}

#[test]
fn a_restart_in_mid_run_confirms_again_at_once() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands)[0];
    let given = ceiling_of(rig.verdict(run));
    rig.live(millis(4600), &mut hands);
    rig.restart();
    rig.take();
    rig.now += millis(50);
    let beat = hands[0].list(run, RunState::Running);
    beat.progress.next = 400;
    beat.plan_time = Some(PlanTime::at(millis(4540)));
    rig.beat(&mut hands[0]);
    let verdict = rig.verdict(run);
    let Some(VerdictKind::Issue { ceiling, plan_time, .. }) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(plan_time, PlanTime::at(millis(4540)));
    assert!(ceiling > given && ceiling >= 454 + 326, "{ceiling}");
    rig.check_recover_equal();
}

#[test]
fn a_restart_with_a_dead_worker_waits_and_replaces_above_the_reservation() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let executor = Executor::SharedIterations { vus: 1, iterations: 9999, max_duration: secs(600) };
    let run = rig.run(plan(vec![workflow("a", executor)]), &mut hands)[0];
    assert_eq!(ceiling_of(rig.verdict(run)), 16);
    let reserved = rig.node.role().runs().next().unwrap().1.reserved;
    assert_eq!(reserved, 32);
    rig.restart();
    let mut spare = Hand::new(2, 1);
    for _ in 0..7 {
        rig.beat(&mut spare);
        assert!(rig.prepares().is_empty(), "replaced at {:?}", rig.now);
        rig.pass(millis(437));
    }
    rig.pass(millis(2));
    rig.beat(&mut spare);
    let prepares = rig.prepares();
    assert_eq!(prepares[0].0, worker(2));
    assert_eq!(prepares[0].1.slice.first, reserved);
    assert_eq!(rig.count(Stat::RunLost), 1);
    let part = rig.node.role().parts().next().unwrap();
    let losses = part.workflow(WorkflowIx::new(0)).unwrap().losses.to_vec();
    assert_eq!((losses[0].kind, losses[0].items), (LossKind::Unreported, reserved));
    rig.check_recover_equal();
}

#[test]
fn a_lost_worker_is_replaced_after_its_last_confirmation_expired() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands)[0];
    rig.take();
    let mut spare = Hand::new(2, 1);
    for tick in 0..4u64 {
        rig.pass(millis(500));
        let beat = hands[0].list(run, RunState::Running);
        beat.progress.next = tick * 50;
        rig.beat(&mut hands[0]);
        rig.beat(&mut spare);
    }
    let given = ceiling_of(rig.verdict(run));
    let report = hands[0].report(run, 1, 1, 100);
    rig.hear(worker(1), report);
    let last_confirmed = rig.now;
    while rig.prepares().is_empty() {
        rig.pass(millis(10));
        if rig.now.as_millis().is_multiple_of(500) {
            rig.beat(&mut spare);
        }
        assert!(rig.now < last_confirmed + secs(4));
    }
    let waited = rig.now - last_confirmed;
    assert!(waited >= Duration::from_micros(3_060_606) && waited < millis(3080), "{waited:?}");
    let part = rig.node.role().parts().next().unwrap();
    let state = part.workflow(WorkflowIx::new(0)).unwrap();
    let (lost, gap) = (state.losses[0], state.losses[1]);
    assert_eq!((lost.kind, lost.from, lost.items), (LossKind::Unreported, plan_at(1), given - 100));
    assert_eq!(gap.kind, LossKind::Unserved);
    let first = rig.node.role().runs().next().unwrap().1.first;
    assert_eq!(gap.items, first - given);
    assert_eq!((state.totals.iterations, state.totals.dropped), (100, first - given));
    assert_eq!(state.covered_ms, 1000);

    // What the lost run says later changes nothing.
    let before = rig.node.role().durable_digest();
    rig.take();
    let end = hands[0].end(run, RunEnd::Completed, plan_at(5), 999);
    rig.hear(worker(1), end);
    rig.hear(worker(1), hands[0].report(run, 9, 4, 400));
    assert_eq!(rig.node.role().durable_digest(), before);
    hands[0].list(run, RunState::Parked);
    rig.beat(&mut hands[0]);
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
    hands[0].list(run, RunState::Ended);
    rig.beat(&mut hands[0]);
    assert_eq!(rig.verdict(run), Some(VerdictKind::Forget));
}

#[test]
fn a_worker_that_is_heard_is_not_lost_though_it_is_not_confirmed() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands)[0];
    rig.cancel(None);
    hands[0].list(run, RunState::Stopping);
    for _ in 0..20 {
        rig.pass(millis(500));
        rig.beat(&mut hands[0]);
    }
    assert_eq!(rig.count(Stat::RunLost), 0);
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
    rig.pass(secs(4));
    assert_eq!(rig.count(Stat::RunLost), 1);
    assert!(result_of(rig.last_phase()).cancelled);
}

#[test]
fn from_the_append_of_a_cancel_nothing_is_confirmed() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands)[0];
    hands[0].list(run, RunState::Running);
    rig.beat(&mut hands[0]);
    ceiling_of(rig.verdict(run));
    rig.is_prompt = false;
    rig.cancel(None);
    rig.beat(&mut hands[0]);
    let sent = rig.take();
    let grants_nothing =
        |msg: &Message| matches!(msg, Message::Confirm(c) if c.verdicts.is_empty());
    assert!(sent.iter().all(|(_, msg)| grants_nothing(msg)), "{sent:?}");
    rig.sync();
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
}

#[test]
fn a_cancel_appended_after_the_end_changes_nothing_and_one_before_it_wins() {
    for cancel_first in [false, true] {
        let mut rig = Rig::prompt();
        let mut hands = [Hand::new(1, 1)];
        let run = rig.run(plan(vec![workflow("a", rounds(1, 5))]), &mut hands)[0];
        let end = hands[0].end(run, RunEnd::Completed, plan_at(1), 5);
        rig.hear(worker(1), end);
        assert_eq!(result_of(rig.last_phase()).workflows[0].status, WorkflowStatus::Completed);
        let mut rig = Rig::prompt();
        let mut hands = [Hand::new(1, 1)];
        let run = rig.run(plan(vec![workflow("a", rounds(1, 5))]), &mut hands)[0];
        let end = hands[0].end(run, RunEnd::Completed, plan_at(1), 5);
        rig.is_prompt = false;
        if cancel_first {
            rig.cancel(None);
            rig.hear(worker(1), end);
        } else {
            rig.hear(worker(1), end);
            rig.sync_once();
            rig.cancel(None);
        }
        while rig.is_behind() {
            rig.sync_once();
        }
        let result = result_of(rig.last_phase());
        let status = result.workflows[0].status;
        let expected =
            if cancel_first { WorkflowStatus::Cancelled } else { WorkflowStatus::Completed };
        assert_eq!((status, result.cancelled), (expected, cancel_first));
        assert_eq!(result.workflows[0].totals.iterations, 5);
    }
}

#[test]
fn stale_and_doubled_heartbeats_reports_and_finals_change_nothing() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", rounds(1, 5))]), &mut hands)[0];
    rig.take();
    let old = hands[0].beat();
    hands[0].list(run, RunState::Running);
    let new = hands[0].beat();
    rig.hear(worker(1), new.clone());
    ceiling_of(rig.verdict(run));
    rig.hear(worker(1), new);
    rig.hear(worker(1), old);
    assert!(rig.take().is_empty());
    assert_eq!(rig.count(Stat::MessageStale), 2);

    rig.hear(worker(1), hands[0].report(run, 2, 3, 3));
    rig.hear(worker(1), hands[0].report(run, 1, 2, 2));
    rig.hear(worker(1), hands[0].report(run, 2, 3, 3));
    assert_eq!(rig.count(Stat::ReportStale), 2);
    rig.pass(millis(1001));
    let live = rig.reports().pop().unwrap();
    assert_eq!(live.workflows[0].totals.iterations, 3);
    assert_eq!(live.workflows[0].second, 3);

    // Of another life, and of another worker.
    let mut other = hands[0].clone();
    other.boot = boot_of(50);
    let foreign = other.end(run, RunEnd::Completed, plan_at(1), 5);
    rig.hear(worker(1), foreign);
    let end = hands[0].end(run, RunEnd::Completed, plan_at(4), 5);
    rig.hear(worker(2), end.clone());
    assert!(!rig.node.role().parts().next().unwrap().is_ended());
    rig.hear(worker(1), end.clone());
    let once = result_of(rig.last_phase());
    rig.hear(worker(1), end);
    assert_eq!(rig.verdict(run), Some(VerdictKind::Forget));
    assert_eq!(once.workflows[0].totals.iterations, 5);
    let part = rig.node.role().parts().next().unwrap();
    assert_eq!(part.result(), once);
}

#[test]
fn parked_spans_are_declared_and_covered() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", arrivals(10, secs(10), 10))]), &mut hands)[0];
    let mut end = hands[0].end(run, RunEnd::Completed, plan_at(10), 80);
    end.parked =
        vec![Parked { from: plan_at(2), until: plan_at(4), dropped: 20 }].try_into().unwrap();
    end.progress.dropped = 20;
    rig.hear(worker(1), end);
    let result = result_of(rig.last_phase());
    let done = &result.workflows[0];
    let parked = done.losses[0];
    assert_eq!(done.losses.len(), 1);
    assert_eq!((parked.kind, parked.items), (LossKind::Parked, 20));
    assert_eq!((parked.from, parked.until), (plan_at(2), plan_at(4)));
    assert_eq!((done.planned_ms, done.covered_ms), (10_000, 10_000));
}

#[test]
fn a_graph_starts_what_its_dependencies_allow() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let one = |name: &str| workflow(name, rounds(1, 5));
    let wanted = plan(vec![
        one("first"),
        after(one("if_ok"), &[0], When::Ok),
        after(one("if_failed"), &[0], When::Failed),
        after(one("anyway"), &[1, 2], When::Always),
        after(one("after_anyway"), &[3], When::Ok),
    ]);
    let mut run = rig.run(wanted, &mut hands)[0];
    let mut order = Vec::new();
    loop {
        order.push(run.shard.workflow.get());
        hands[0].list(run, RunState::Ended);
        rig.take();
        let end = hands[0].end(run, RunEnd::Completed, plan_at(1), 5);
        rig.hear(worker(1), end);
        hands[0].runs.clear();
        rig.beat(&mut hands[0]);
        let part = rig.node.role().parts().next().unwrap();
        if part.is_ended() {
            break;
        }
        run = rig.prepare_all(&mut hands)[0];
    }
    assert_eq!(order, [0, 1, 3, 4]);
    let part = rig.node.role().parts().next().unwrap();
    assert_eq!(part.status(WorkflowIx::new(2)), Some(WorkflowStatus::Skipped));
    assert_eq!(part.result().workflows.len(), 5);
}

#[test]
fn a_failure_starts_what_waits_for_it_and_skips_the_rest() {
    let config = ManagerConfig { cores_wait: secs(5), ..ManagerConfig::new(MANAGER, "dc") };
    let mut rig = Rig::new(config);
    let one = |name: &str| workflow(name, rounds(1, 5));
    rig.offer(plan(vec![
        one("first"),
        after(one("if_ok"), &[0], When::Ok),
        after(one("if_failed"), &[0], When::Failed),
        after(one("after_skipped"), &[1], When::Ok),
    ]));
    rig.begin();
    rig.pass(millis(5001));
    let status = |rig: &Rig, ix| rig.node.role().workflow_status(PART, WorkflowIx::new(ix));
    assert_eq!(status(&rig, 0), Some(WorkflowStatus::Failed));
    assert_eq!(status(&rig, 1), Some(WorkflowStatus::Skipped));
    assert_eq!(status(&rig, 2), Some(WorkflowStatus::Pending));
    assert_eq!(status(&rig, 3), Some(WorkflowStatus::Skipped));
    let mut hand = Hand::new(1, 1);
    rig.beat(&mut hand);
    assert_eq!(status(&rig, 2), Some(WorkflowStatus::Dispatched));
}

#[test]
fn cancelling_one_workflow_takes_its_dependents_and_leaves_the_others() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 2)];
    let one = |name: &str| workflow(name, rounds(1, 5));
    let wanted = plan(vec![one("a"), after(one("b"), &[0], When::Always), one("c")]);
    let runs = rig.run(wanted, &mut hands);
    assert_eq!(runs.len(), 2);
    rig.take();
    rig.cancel(Some(0));
    assert_eq!(rig.verdict(runs[0]), Some(VerdictKind::Stop));
    let status = |rig: &Rig, ix| rig.node.role().workflow_status(PART, WorkflowIx::new(ix));
    assert_eq!(status(&rig, 0), Some(WorkflowStatus::Cancelling));
    assert_eq!(status(&rig, 1), Some(WorkflowStatus::Cancelled));
    assert_eq!(status(&rig, 2), Some(WorkflowStatus::Running));
    for run in runs {
        hands[0].list(run, RunState::Ended);
        let end = hands[0].end(run, RunEnd::Stopped, plan_at(1), 2);
        rig.hear(worker(1), end);
        if run.shard.workflow.get() == 0 {
            assert_eq!(status(&rig, 0), Some(WorkflowStatus::Cancelled));
        }
    }
    assert_eq!(status(&rig, 2), Some(WorkflowStatus::Running));
}

#[test]
fn two_ready_workflows_share_the_cores() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 2), Hand::new(2, 1)];
    for hand in &mut hands {
        rig.beat(hand);
    }
    let wanted = |name| workflow(name, arrivals(100_000, secs(10), 1000));
    rig.offer(plan(vec![wanted("greedy"), wanted("other")]));
    rig.begin();
    let prepares = rig.prepares();
    let of = |ix: u16| {
        let mine = prepares.iter().filter(|(_, p)| p.run.shard.workflow.get() == ix);
        mine.map(|(to, _)| *to).collect::<Vec<_>>()
    };
    assert_eq!(of(0), [worker(1), worker(1)]);
    assert_eq!(of(1), [worker(2)]);
    let vus: u32 = prepares
        .iter()
        .filter(|(_, p)| p.run.shard.workflow.get() == 0)
        .map(|(_, p)| p.slice.share.vus)
        .sum();
    assert_eq!(vus, 1000);
}

#[test]
fn shares_add_up_with_a_remainder() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1), Hand::new(2, 1), Hand::new(3, 1)];
    for hand in &mut hands {
        rig.beat(hand);
    }
    rig.offer(plan(vec![workflow("a", rounds(10, 5))]));
    rig.begin();
    let prepares = rig.prepares();
    let vus = prepares.iter().map(|(_, p)| p.slice.share.vus).collect::<Vec<_>>();
    assert_eq!(vus, [4, 3, 3]);
    let shards = prepares.iter().map(|(_, p)| p.run.shard.shard).collect::<Vec<_>>();
    assert_eq!(shards, [0, 1, 2].map(ShardIx::new));
}

#[test]
fn without_a_spare_core_the_load_shrinks_and_says_so() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1), Hand::new(2, 1)];
    let runs = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands);
    let lost = runs.iter().find(|run| hands[1].runs[0].run == **run).copied().unwrap();
    let kept = runs.iter().find(|run| **run != lost).copied().unwrap();
    for _ in 0..60 {
        rig.pass(secs(1));
        hands[0].list(kept, RunState::Running);
        rig.beat(&mut hands[0]);
    }
    assert_eq!(rig.count(Stat::RunLost), 1);
    let end = hands[0].end(kept, RunEnd::Completed, plan_at(60), 3000);
    rig.hear(worker(1), end);
    let result = result_of(rig.last_phase());
    let done = &result.workflows[0];
    assert_eq!((done.status, result.workers_lost), (WorkflowStatus::Completed, 1));
    assert_eq!((done.planned_ms, done.covered_ms), (120_000, 60_000));
    let kinds = done.losses.iter().map(|loss| loss.kind).collect::<Vec<_>>();
    assert_eq!(kinds, [LossKind::Unreported, LossKind::Unserved]);
    assert_eq!(done.losses.iter().map(|loss| loss.items).sum::<u64>(), 3000);
    assert_eq!(done.totals.dropped, done.losses[1].items);
    assert_eq!(done.losses[1].until, plan_at(60));
}

#[test]
fn policies_shrink_and_abort() {
    for policy in [OnWorkerLoss::Shrink, OnWorkerLoss::Abort] {
        let mut rig = Rig::prompt();
        let mut hands = [Hand::new(1, 1), Hand::new(2, 1)];
        let mut wanted = plan(vec![workflow("a", arrivals(100, secs(60), 10))]);
        wanted.on_worker_loss = policy;
        let runs = rig.run(wanted, &mut hands);
        let mut spare = Hand::new(3, 4);
        let kept = runs.iter().find(|run| hands[0].runs[0].run == **run).copied().unwrap();
        for _ in 0..8 {
            rig.pass(millis(500));
            hands[0].list(kept, RunState::Running);
            rig.beat(&mut hands[0]);
            rig.beat(&mut spare);
        }
        assert_eq!(rig.count(Stat::RunLost), 1);
        assert_eq!(rig.count(Stat::ShardReassigned), 0);
        let stopped = policy == OnWorkerLoss::Abort;
        let verdict = rig.verdict(kept);
        assert_eq!(verdict == Some(VerdictKind::Stop), stopped, "{verdict:?}");
        let end = if stopped { RunEnd::Stopped } else { RunEnd::Completed };
        let end = hands[0].end(kept, end, plan_at(60), 3000);
        rig.hear(worker(1), end);
        let done = result_of(rig.last_phase()).workflows[0].clone();
        let status = if stopped { WorkflowStatus::Failed } else { WorkflowStatus::Completed };
        assert_eq!(done.status, status);
    }
}

#[test]
fn an_ended_part_is_reported_with_back_off_until_it_is_acknowledged() {
    let mut rig = Rig::prompt();
    rig.offer(plan(vec![workflow("a", rounds(1, 5))]));
    rig.cancel(None);
    rig.take();
    let mut gaps = Vec::new();
    let mut last = rig.now;
    while gaps.len() < 6 {
        rig.pass(millis(125));
        if !rig.reports().is_empty() {
            gaps.push((rig.now - last).as_millis() / 250 * 250);
            last = rig.now;
        }
    }
    assert_eq!(gaps, [500, 1000, 2000, 4000, 8000, 8000]);
    rig.restart();
    assert!(result_of(rig.last_phase()).cancelled);
    rig.hear(GATE, PartAck { part: PART });
    rig.pass(secs(60));
    assert!(rig.take().is_empty());
    assert!(rig.node.role().is_idle());
}

#[test]
fn snapshots_replace_the_records_they_contain() {
    let config = ManagerConfig { checkpoint_entries: 4, ..ManagerConfig::new(MANAGER, "dc") };
    let mut rig = Rig::new(config);
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands)[0];
    rig.live(secs(12), &mut hands);
    assert!(rig.checkpoints >= 2);
    rig.check_recover_equal();
    rig.restart();
    rig.check_recover_equal();
    hands[0].list(run, RunState::Running);
    rig.beat(&mut hands[0]);
    ceiling_of(rig.verdict(run));
}

#[test]
fn a_run_of_another_group_is_nobody_s() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", rounds(1, 5))]), &mut hands)[0];
    rig.take();
    let mut other = run;
    other.fence.group = GroupId::new(5);
    hands[0].runs.clear();
    hands[0].list(other, RunState::Running);
    rig.beat(&mut hands[0]);
    assert_eq!(rig.verdict(other), Some(VerdictKind::Stop));
    let stale = RunId {
        fence: hyperscale_core::ids::Fence { index: LogIndex::new(1), ..run.fence },
        ..run
    };
    hands[0].runs.clear();
    hands[0].list(stale, RunState::Ended);
    rig.beat(&mut hands[0]);
    assert_eq!(rig.verdict(stale), Some(VerdictKind::Forget));
}

#[test]
fn inputs_of_other_roles_are_counted_and_dropped() {
    let mut rig = Rig::prompt();
    rig.hear(GATE, PartAck { part: PART });
    rig.hear(worker(1), Confirm { boot: boot_of(1), seq: 1, verdicts: BoundedVec::new() });
    assert_eq!((rig.count(Stat::MessageStale), rig.count(Stat::MessageForeign)), (1, 1));
    assert!(rig.take().is_empty());
    assert_eq!(rig.node.next_wake(), None);
    assert!(rig.durable() > Lsn::new(0));
}

#[test]
fn a_part_that_says_so_stops_once_every_gate_is_silent() {
    let status = |rig: &Rig| rig.node.role().workflow_status(PART, WorkflowIx::new(0)).unwrap();
    let mut rig = Rig::prompt();
    let mut hand = Hand::new(1, 1);
    rig.beat(&mut hand);
    let mut plan = plan(vec![workflow("a", arrivals(10, secs(60), 1))]);
    plan.on_gate_loss = OnGateLoss::StopAfter(secs(5));
    rig.offer(plan);
    rig.begin();
    rig.prepare_all(std::slice::from_mut(&mut hand));
    for _ in 0..8 {
        rig.hear(GATE, Probe { number: 1 });
        rig.pass(secs(1));
        rig.beat(&mut hand);
    }
    assert_eq!(status(&rig), WorkflowStatus::Running);
    rig.pass(secs(2));
    rig.beat(&mut hand);
    rig.pass(millis(1_900));
    assert_eq!(status(&rig), WorkflowStatus::Running);
    rig.beat(&mut hand);
    rig.pass(millis(200));
    assert_eq!(status(&rig), WorkflowStatus::Cancelling);
}
