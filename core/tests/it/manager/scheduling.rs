//! Priorities, exclusive workflows, budgets of retries, stuck runs, timeouts without gates.

use std::time::Duration;

use hyperscale_core::config::{LeaseConfig, ManagerConfig};
use hyperscale_core::ids::{RunId, WorkflowIx};
use hyperscale_core::plan::{Plan, PlanTime, Priority, When};
use hyperscale_core::report::WorkflowStatus;
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::{PartPhase, Probe, RunEnd, RunState, VerdictKind};

use super::rig::*;

fn status(rig: &Rig, ix: u16) -> WorkflowStatus {
    rig.node.role().workflow_status(PART, WorkflowIx::new(ix)).unwrap()
}

fn ranked(mut plan: Plan, priorities: &[Priority]) -> Plan {
    for (workflow, priority) in plan.workflows.iter_mut().zip(priorities) {
        workflow.priority = *priority;
    }
    plan
}

/// How many runs of each workflow workers were asked to prepare.
fn prepared(rig: &mut Rig, hands: &mut [Hand]) -> (Vec<RunId>, [usize; 4]) {
    let runs = rig.prepare_all(hands);
    let mut counts = [0; 4];
    for run in &runs {
        counts[usize::from(run.shard.workflow.get())] += 1;
    }
    (runs, counts)
}

fn finish(rig: &mut Rig, hand: &mut Hand, run: RunId) {
    hand.list(run, RunState::Ended);
    rig.beat(hand);
    let end = hand.end(run, RunEnd::Completed, PlanTime::at(secs(1)), 5);
    rig.hear(hand.node, end);
    hand.runs.retain(|beat| beat.run != run);
    rig.beat(hand);
}

fn fleet(rig: &mut Rig, count: u64, cores: u16) -> Vec<Hand> {
    let mut hands = (1..=count).map(|ix| Hand::new(ix, cores)).collect::<Vec<_>>();
    for hand in &mut hands {
        rig.beat(hand);
    }
    hands
}

#[test]
fn the_higher_goes_first_and_each_priority_has_its_share() {
    let of = |priorities: &[Priority]| {
        let mut rig = Rig::prompt();
        let mut hands = fleet(&mut rig, 8, 1);
        let all = priorities.iter().map(|_| workflow("w", rounds(64, 5)));
        let mut plan = plan(all.collect());
        for (ix, workflow) in plan.workflows.iter_mut().enumerate() {
            workflow.name = format!("w{ix}");
        }
        rig.offer(ranked(plan, priorities));
        rig.begin();
        prepared(&mut rig, &mut hands).1
    };
    assert_eq!(of(&[Priority::Low]), [2, 0, 0, 0]);
    assert_eq!(of(&[Priority::Normal]), [6, 0, 0, 0]);
    assert_eq!(of(&[Priority::High]), [8, 0, 0, 0]);
    assert_eq!(of(&[Priority::Low, Priority::High]), [1, 7, 0, 0]);
    assert_eq!(of(&[Priority::Auto, Priority::Auto]), [4, 4, 0, 0]);
    assert_eq!(of(&[Priority::Low, Priority::Exclusive]), [0, 8, 0, 0]);
}

#[test]
fn an_exclusive_workflow_waits_for_an_idle_worker_and_others_wait_behind_it() {
    let mut rig = Rig::prompt();
    let mut hands = fleet(&mut rig, 1, 2);
    let one = |name: &str| workflow(name, rounds(1, 5));
    let wanted = vec![
        one("long"),
        one("short"),
        after(one("alone"), &[1], When::Ok),
        after(one("low"), &[1], When::Ok),
    ];
    let (auto, low) = (Priority::Auto, Priority::Low);
    rig.offer(ranked(plan(wanted), &[auto, auto, Priority::Exclusive, low]));
    rig.begin();
    let (runs, counts) = prepared(&mut rig, &mut hands);
    assert_eq!(counts, [1, 1, 0, 0]);
    // What an exclusive workflow waits for goes first.
    assert_eq!(runs[0].shard.workflow, WorkflowIx::new(1));
    finish(&mut rig, &mut hands[0], runs[0]);
    assert_eq!(prepared(&mut rig, &mut hands).1, [0; 4], "a core is free, no worker is idle");
    assert_eq!(
        (status(&rig, 2), status(&rig, 3)),
        (WorkflowStatus::Pending, WorkflowStatus::Pending)
    );
    assert_eq!(rig.count(Stat::ExclusiveAwaited), 1);
    finish(&mut rig, &mut hands[0], runs[1]);
    let (alone, counts) = prepared(&mut rig, &mut hands);
    assert_eq!(counts, [0, 0, 1, 0], "a core is left, and nobody joins it");
    finish(&mut rig, &mut hands[0], alone[0]);
    assert_eq!(prepared(&mut rig, &mut hands).1, [0, 0, 0, 1]);
}

#[test]
fn an_exclusive_workflow_that_finds_no_idle_worker_fails_and_frees_the_queue() {
    let config = ManagerConfig { cores_wait: secs(6), ..ManagerConfig::new(MANAGER, "dc") };
    let mut rig = Rig::new(config);
    let mut hands = fleet(&mut rig, 1, 2);
    let wanted = vec![
        workflow("long", arrivals(10, secs(60), 1)),
        after(workflow("alone", rounds(1, 5)), &[2], When::Ok),
        workflow("short", rounds(1, 5)),
        after(workflow("low", rounds(1, 5)), &[2], When::Ok),
    ];
    let (auto, low) = (Priority::Auto, Priority::Low);
    rig.offer(ranked(plan(wanted), &[auto, Priority::Exclusive, auto, low]));
    rig.begin();
    let (runs, _) = prepared(&mut rig, &mut hands);
    let short = runs.iter().find(|run| run.shard.workflow == WorkflowIx::new(2)).unwrap();
    finish(&mut rig, &mut hands[0], *short);
    assert_eq!(prepared(&mut rig, &mut hands).1, [0; 4]);
    // It rises by a rank each second: after three it goes first.
    rig.live(millis(2_500), &mut hands);
    assert_eq!(prepared(&mut rig, &mut hands).1, [0; 4]);
    rig.live(secs(1), &mut hands);
    assert_eq!(prepared(&mut rig, &mut hands).1, [0, 0, 0, 1]);
    rig.live(secs(3), &mut hands);
    assert_eq!(status(&rig, 1), WorkflowStatus::Failed);
    let part = rig.node.role().parts().next().unwrap();
    let failed = &part.result().workflows[0];
    assert_eq!(failed.reason, "no worker became free to run it alone");
}

#[test]
fn what_holds_up_a_higher_one_goes_before_what_is_higher_than_itself() {
    let mut rig = Rig::prompt();
    let wanted = vec![
        workflow("normal", rounds(1, 5)),
        workflow("first", rounds(1, 5)),
        after(workflow("urgent", rounds(1, 5)), &[1], When::Ok),
    ];
    rig.offer(ranked(plan(wanted), &[Priority::Normal, Priority::Low, Priority::High]));
    rig.begin();
    let mut hands = fleet(&mut rig, 1, 1);
    assert_eq!(prepared(&mut rig, &mut hands).1, [0, 1, 0, 0]);
}

#[test]
fn the_retries_of_a_workflow_end_it_and_the_reason_says_so() {
    let mut rig = Rig::prompt();
    let mut hand = Hand::new(1, 1);
    rig.beat(&mut hand);
    let mut plan = plan(vec![workflow("a", rounds(1, 5))]);
    plan.workflows[0].retries = 2;
    rig.offer(plan);
    rig.begin();
    for tries in 0..3 {
        let prepares = rig.prepares();
        assert_eq!(prepares.len(), 1, "try {tries}");
        hand.list(prepares[0].1.run, RunState::Refused);
        rig.beat(&mut hand);
        assert!(rig.prepares().is_empty() || tries == 2, "it waits before it tries again");
        if tries < 2 {
            rig.pass(millis(250));
        }
    }
    assert_eq!(status(&rig, 0), WorkflowStatus::Failed);
    let part = rig.node.role().parts().next().unwrap();
    assert_eq!(
        part.result().workflows[0].reason,
        "the 2 retries of the workflow are used up, at last: its worker refused it"
    );
    assert!(rig.count(Stat::RetryExhausted) > 0);
    let (spent, of_job) = (part.workflows[0].retries.used(), part.retries.used());
    assert_eq!((spent, of_job), (2, 2));
}

#[test]
fn retries_are_counted_on_by_another_life() {
    let mut rig = Rig::prompt();
    let mut hand = Hand::new(1, 1);
    rig.beat(&mut hand);
    let mut plan = plan(vec![workflow("a", rounds(1, 5))]);
    plan.workflows[0].retries = 1;
    rig.offer(plan);
    rig.begin();
    let prepares = rig.prepares();
    hand.list(prepares[0].1.run, RunState::Refused);
    rig.beat(&mut hand);
    rig.pass(millis(250));
    assert_eq!(rig.prepares().len(), 1);
    rig.restart();
    rig.beat(&mut hand);
    rig.pass(secs(1));
    let again = rig.prepares();
    hand.list(again[0].1.run, RunState::Refused);
    rig.beat(&mut hand);
    rig.pass(secs(4));
    assert!(rig.prepares().is_empty(), "one retry was allowed, and made by the life before");
    assert_eq!(status(&rig, 0), WorkflowStatus::Failed);
}

#[test]
fn a_worker_that_fails_many_shards_at_once_costs_one_retry() {
    let mut rig = Rig::prompt();
    let mut bad = Hand::new(1, 4);
    rig.beat(&mut bad);
    let mut plan = plan(vec![workflow("a", rounds(400, 5))]);
    plan.workflows[0].retries = 1;
    rig.offer(plan);
    rig.begin();
    let prepares = rig.prepares();
    let shards = prepares.len();
    assert!(shards > 1, "{shards}");
    let mut good = Hand::new(2, 8);
    rig.beat(&mut good);
    for (_, prepare) in &prepares {
        bad.list(prepare.run, RunState::Refused);
    }
    rig.beat(&mut bad);
    rig.pass(millis(250));
    let again = rig.prepares();
    assert_eq!(again.iter().filter(|(to, _)| *to == good.node).count(), shards);
    let part = rig.node.role().parts().next().unwrap();
    assert_eq!(part.workflows[0].retries.used(), 1);
}

#[test]
fn a_worker_that_is_doubted_gets_nothing_new_while_another_has_a_core() {
    let of = |silent: bool| {
        let lease = LeaseConfig { ttl: secs(12), ..LeaseConfig::default() };
        let mut rig = Rig::new(ManagerConfig { lease, ..ManagerConfig::new(MANAGER, "dc") });
        let mut hands = vec![Hand::new(1, 8), Hand::new(2, 1), Hand::new(3, 1)];
        rig.live(secs(2), &mut hands);
        let mut favourite = hands.remove(0);
        for _ in 0..18 {
            if !silent {
                rig.beat(&mut favourite);
            }
            rig.live(millis(500), &mut hands);
        }
        rig.offer(plan(vec![workflow("a", rounds(1, 5))]));
        rig.begin();
        let to: Vec<_> = rig.prepares().into_iter().map(|(to, _)| to).collect();
        (to, rig.count(Stat::WorkerDoubted), rig.count(Stat::WorkerLost))
    };
    assert_eq!(of(false), (vec![worker(1)], 0, 0), "it has most cores");
    let (to, doubted, lost) = of(true);
    assert_eq!((to, lost), (vec![worker(2)], 0), "its lease may last");
    assert!(doubted > 0);
}

/// Everybody comes at once, twice: at the start, and when the manager is back.
#[test]
fn a_flood_of_registrations_loses_nobody_and_moves_no_run() {
    const WORKERS: u16 = 400;
    let mut rig = Rig::prompt();
    let mut hands = fleet(&mut rig, WORKERS.into(), 1);
    let mut plan = plan(vec![workflow("a", arrivals(40_000, secs(600), 40_000))]);
    plan.workflows[0].priority = Priority::High;
    rig.offer(plan);
    rig.begin();
    let runs = rig.prepare_all(&mut hands);
    assert_eq!(runs.len(), usize::from(WORKERS));
    assert_eq!(rig.count(Stat::WorkerJoined), u64::from(WORKERS));
    rig.live(secs(2), &mut hands);
    assert_eq!(status(&rig, 0), WorkflowStatus::Running);
    rig.restart();
    rig.live(secs(2), &mut hands);
    assert_eq!(rig.count(Stat::WorkerJoined), u64::from(WORKERS));
    let count = |stat| rig.count(stat);
    assert_eq!(
        (count(Stat::RunLost), count(Stat::ShardReassigned), count(Stat::CapRefused)),
        (0, 0, 0)
    );
    assert_eq!(status(&rig, 0), WorkflowStatus::Running);
}

/// Three workers run a shard each of a workflow, a fourth is free; the first `stuck` do not get on.
fn with_stuck(stuck: usize, span: Duration) -> (Rig, Vec<RunId>, Option<VerdictKind>) {
    let config = ManagerConfig { stuck_after: secs(4), ..ManagerConfig::new(MANAGER, "dc") };
    let mut rig = Rig::new(config);
    let mut hands = fleet(&mut rig, 3, 1);
    let runs = rig.run(plan(vec![workflow("a", arrivals(300, secs(600), 9))]), &mut hands);
    assert_eq!(runs.len(), 3);
    hands.push(Hand::new(4, 1));
    let (mut verdict, end) = (None, rig.now + span);
    while rig.now < end {
        rig.pass(millis(500));
        let passed = rig.now.as_millis() - 1_000_000;
        for (ix, hand) in hands.iter_mut().enumerate() {
            for beat in &mut hand.runs {
                beat.state = RunState::Running;
                if ix >= stuck {
                    beat.progress.next = u64::try_from(passed / 10).unwrap().saturating_sub(20);
                }
            }
            rig.beat(hand);
        }
        let said = rig.verdict(runs[0]);
        if said == Some(VerdictKind::Stop) {
            verdict = said;
        }
    }
    (rig, runs, verdict)
}

#[test]
fn a_run_that_is_stuck_while_others_get_on_is_given_away() {
    let (rig, _, verdict) = with_stuck(1, secs(4));
    assert_eq!(verdict, None, "not yet");
    assert_eq!(rig.count(Stat::WorkerStuck), 1);
    let (rig, _, verdict) = with_stuck(1, secs(12));
    assert_eq!(verdict, Some(VerdictKind::Stop));
    assert_eq!((rig.count(Stat::WorkerStuck), rig.count(Stat::EvictionsHeld)), (1, 0));
    assert_eq!(status(&rig, 0), WorkflowStatus::Running);
}

#[test]
fn nothing_moves_when_most_workers_seem_stuck() {
    let (rig, _, verdict) = with_stuck(2, secs(12));
    assert_eq!(verdict, None);
    assert_eq!(rig.count(Stat::EvictionsHeld), 1);
    assert_eq!(status(&rig, 0), WorkflowStatus::Running, "a part of it gets on");
}

#[test]
fn a_workflow_of_which_nothing_gets_on_fails_as_stuck() {
    let (rig, ..) = with_stuck(3, secs(4));
    assert_eq!(status(&rig, 0), WorkflowStatus::Running);
    let (rig, ..) = with_stuck(3, secs(12));
    assert_eq!(status(&rig, 0), WorkflowStatus::Cancelling);
    assert_eq!(rig.count(Stat::WorkflowStuck), 1);
}

#[test]
fn an_engine_that_never_says_that_it_stopped_holds_nothing_for_ever() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1)];
    let run = rig.run(plan(vec![workflow("a", arrivals(100, secs(60), 10))]), &mut hands)[0];
    rig.live(secs(2), &mut hands);
    rig.cancel(None);
    hands[0].list(run, RunState::Stopping);
    rig.live(secs(12), &mut hands);
    assert_eq!(status(&rig, 0), WorkflowStatus::Cancelling);
    rig.live(secs(3), &mut hands);
    assert_eq!(status(&rig, 0), WorkflowStatus::Cancelled);
}

#[test]
fn a_datacenter_decides_a_timeout_only_while_every_gate_is_silent() {
    let config = ManagerConfig { gate_silence: secs(6), ..ManagerConfig::new(MANAGER, "dc") };
    let mut rig = Rig::new(config);
    let mut hands = fleet(&mut rig, 1, 1);
    let mut plan = plan(vec![workflow("a", arrivals(10, secs(60), 1))]);
    plan.timeout = Some(secs(8));
    rig.offer(plan);
    rig.begin();
    rig.prepare_all(&mut hands);
    for _ in 0..14 {
        rig.hear(GATE, Probe { number: 1 });
        rig.live(secs(1), &mut hands);
    }
    assert_eq!(status(&rig, 0), WorkflowStatus::Running, "a gate is there to decide");
    rig.live(secs(5), &mut hands);
    assert_eq!(status(&rig, 0), WorkflowStatus::Running);
    // Another life waits for gates anew, and counts on how long the part ran.
    rig.restart();
    rig.live(secs(5), &mut hands);
    assert_eq!(status(&rig, 0), WorkflowStatus::Running);
    rig.live(secs(3), &mut hands);
    assert_eq!(status(&rig, 0), WorkflowStatus::Cancelling);
    assert_eq!(rig.count(Stat::PartTimedOut), 1);
    hands[0].runs.clear();
    rig.live(secs(8), &mut hands);
    let Some(PartPhase::Ended(result)) = rig.last_phase() else { panic!("not ended") };
    assert!(result.workflows[0].reason.starts_with("timed out while every gate was silent"));
}
