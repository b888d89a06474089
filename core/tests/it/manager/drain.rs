//! A worker that leaves gives its runs to its peers.

use std::time::Duration;

use hyperscale_core::ids::{RunId, WorkflowIx};
use hyperscale_core::input::Progress;
use hyperscale_core::plan::{Executor, PlanTime};
use hyperscale_core::report::WorkflowStatus;
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::{PartPhase, RunEnd, RunState, VerdictKind};

use super::rig::*;

fn plan_at(ms: u64) -> PlanTime {
    PlanTime::at(millis(ms))
}

/// A run of one worker that has issued two seconds; a peer with a free core; the worker drains.
fn draining(executor: Executor, done: Progress) -> (Rig, Hand, Hand, RunId) {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", executor)]), &mut hands)[0];
    rig.live(millis(2100), &mut hands);
    let [mut leaver] = hands;
    let mut peer = Hand::new(2, 1);
    rig.beat(&mut peer);
    let beat = leaver.list(run, RunState::Running);
    beat.progress = done;
    beat.plan_time = Some(plan_at(2000));
    leaver.draining = true;
    rig.take();
    rig.beat(&mut leaver);
    (rig, leaver, peer, run)
}

fn issued(n: u64) -> Progress {
    Progress { next: n, started: n, ended: n, ..Progress::default() }
}

/// The peer is asked to prepare, is ready and is confirmed.
fn take_over(rig: &mut Rig, peer: &mut Hand, first: u64) -> RunId {
    let prepares = rig.prepares();
    let [(to, prepare)] = prepares.as_slice() else { panic!("{prepares:?}") };
    assert_eq!((*to, prepare.slice.first), (peer.node, first));
    peer.list(prepare.run, RunState::Prepared).progress.next = first;
    rig.beat(peer);
    let verdict = rig.verdict(prepare.run);
    assert!(matches!(verdict, Some(VerdictKind::Issue { .. })), "{verdict:?}");
    prepare.run
}

#[test]
fn the_peer_starts_at_the_very_next_item_and_nothing_is_missing() {
    let (mut rig, mut leaver, mut peer, run) = draining(arrivals(100, secs(60), 10), issued(200));
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
    rig.beat(&mut peer);
    assert!(rig.prepares().is_empty(), "the run has not ended");
    rig.now += millis(10);
    leaver.list(run, RunState::Ended);
    let end = leaver.end(run, RunEnd::Stopped, plan_at(2010), 201);
    rig.hear(leaver.node, end);
    let next = take_over(&mut rig, &mut peer, 201);
    assert_eq!(rig.count(Stat::RunHandedOver), 1);
    peer.list(next, RunState::Running).plan_time = Some(plan_at(2050));
    rig.beat(&mut peer);
    rig.live(secs(58), std::slice::from_mut(&mut peer));
    let end = peer.end(next, RunEnd::Completed, plan_at(60_000), 5799);
    rig.hear(peer.node, end);
    let Some(PartPhase::Ended(result)) = rig.last_phase() else { panic!("not ended") };
    let done = &result.workflows[0];
    assert_eq!(done.status, WorkflowStatus::Completed);
    assert_eq!((done.totals.iterations, done.totals.dropped), (6000, 0));
    assert_eq!((done.planned_ms, done.covered_ms), (60_000, 60_000));
    assert!(done.losses.is_empty() && result.workers_lost == 0);
    rig.check_recover_equal();
}

#[test]
fn a_slow_hand_over_is_not_covered() {
    let (mut rig, leaver, mut peer, run) = draining(arrivals(100, secs(60), 10), issued(200));
    let end = leaver.end(run, RunEnd::Stopped, plan_at(2010), 201);
    rig.hear(leaver.node, end);
    let next = take_over(&mut rig, &mut peer, 201);
    peer.list(next, RunState::Running).plan_time = Some(plan_at(2500));
    rig.beat(&mut peer);
    rig.live(secs(58), std::slice::from_mut(&mut peer));
    let end = peer.end(next, RunEnd::Completed, plan_at(60_000), 5799);
    rig.hear(peer.node, end);
    let Some(PartPhase::Ended(result)) = rig.last_phase() else { panic!("not ended") };
    assert_eq!(result.workflows[0].covered_ms, 60_000 - 490);
}

#[test]
fn without_a_free_core_the_worker_goes_on() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1), Hand::new(2, 1)];
    let runs = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands);
    hands[0].draining = true;
    rig.live(secs(3), &mut hands);
    let verdict = rig.verdict(runs[0]);
    assert!(matches!(verdict, Some(VerdictKind::Issue { .. })), "{verdict:?}");
    let mut peer = Hand::new(3, 1);
    rig.beat(&mut peer);
    rig.beat(&mut hands[0]);
    assert_eq!(rig.verdict(runs[0]), Some(VerdictKind::Stop));
}

#[test]
fn rounds_are_finished_up_to_the_ceiling_before_the_stop() {
    let executor = Executor::PerVuIterations { vus: 4, iterations: 9999, max_duration: secs(600) };
    let (mut rig, mut leaver, mut peer, run) = draining(executor, Progress::default());
    let Some(VerdictKind::Issue { ceiling, .. }) = rig.verdict(run) else { panic!("stopped") };
    for next in [ceiling / 2, ceiling] {
        rig.pass(millis(100));
        rig.beat(&mut peer);
        let open = Progress { next, started: next * 4, ended: next * 4 - 1, ..issued(0) };
        leaver.list(run, RunState::Running).progress = open;
        rig.beat(&mut leaver);
        let verdict = rig.verdict(run);
        assert!(
            matches!(verdict, Some(VerdictKind::Issue { ceiling: c, .. }) if c == ceiling),
            "{verdict:?}"
        );
    }
    let done = Progress { next: ceiling, started: ceiling * 4, ended: ceiling * 4, ..issued(0) };
    leaver.list(run, RunState::Running).progress = done;
    rig.beat(&mut leaver);
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
    let mut end = leaver.end(run, RunEnd::Stopped, plan_at(2300), ceiling * 4);
    end.progress = done;
    rig.hear(leaver.node, end);
    take_over(&mut rig, &mut peer, ceiling);
    let part = rig.node.role().parts().next().unwrap();
    assert!(part.workflow(WorkflowIx::new(0)).unwrap().losses.is_empty());
}

#[test]
fn a_run_that_was_never_confirmed_moves_at_once() {
    let mut rig = Rig::prompt();
    let mut leaver = Hand::new(1, 1);
    rig.beat(&mut leaver);
    rig.offer(plan(vec![workflow("a", rounds(1, 5))]));
    rig.begin();
    let run = rig.prepares()[0].1.run;
    leaver.list(run, RunState::Preparing);
    rig.beat(&mut leaver);
    let mut peer = Hand::new(2, 1);
    rig.beat(&mut peer);
    leaver.draining = true;
    rig.beat(&mut leaver);
    let prepares = rig.prepares();
    assert_eq!(prepares.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [peer.node]);
    rig.beat(&mut leaver);
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
}

#[test]
fn an_heir_that_dies_is_replaced_and_one_that_is_not_needed_is_free() {
    let (mut rig, leaver, peer, run) = draining(arrivals(100, secs(60), 10), issued(200));
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
    let mut reborn = Hand { boot: boot_of(77), ..peer };
    rig.beat(&mut reborn);
    rig.now += millis(40);
    let end = leaver.end(run, RunEnd::Stopped, plan_at(2010), 201);
    rig.hear(leaver.node, end);
    let prepares = rig.prepares();
    assert_eq!(prepares[0].1.boot, boot_of(77));
    assert_eq!(rig.count(Stat::RunHandedOver), 0);

    let (mut rig, leaver, mut peer, run) = draining(arrivals(100, secs(60), 10), issued(200));
    rig.cancel(None);
    let end = leaver.end(run, RunEnd::Stopped, plan_at(2010), 201);
    rig.hear(leaver.node, end);
    assert!(matches!(rig.last_phase(), Some(PartPhase::Ended(_))));
    rig.beat(&mut peer);
    rig.hear(GATE, hyperscale_core::wire::PartAck { part: PART });
    assert!(rig.node.role().is_idle());
}

#[test]
fn a_worker_that_dies_while_it_leaves_is_lost_like_any_other() {
    let (mut rig, _, mut peer, run) = draining(arrivals(100, secs(60), 10), issued(200));
    assert_eq!(rig.verdict(run), Some(VerdictKind::Stop));
    let from = rig.now;
    let mut taken = None;
    while taken.is_none() {
        rig.pass(millis(100));
        rig.beat(&mut peer);
        taken = rig.prepares().pop();
        assert!(rig.now < from + Duration::from_secs(4));
    }
    assert_eq!((rig.count(Stat::RunLost), rig.count(Stat::RunHandedOver)), (1, 0));
}
