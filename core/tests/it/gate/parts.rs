//! From offer to acknowledgement.

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::models::{Reachability, Standing};
use hyperscale_core::ids::{GroupId, JobId, NodeId, PartIx};
use hyperscale_core::input::Input;
use hyperscale_core::machine::Role;
use hyperscale_core::plan::{Comparison, Metric, Threshold, ThresholdStat};
use hyperscale_core::report::{JobResult, JobStatus, WorkflowStatus};
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::PartPhase;

use super::world::*;

fn status(world: &World, job: JobId) -> JobStatus {
    world.node.role().ledger().job(job).unwrap().status
}

fn job_result(world: &mut World, job: JobId) -> JobResult {
    match world.ask(Command::Result(job)) {
        Reply::Result(result) => *result,
        other => panic!("{other:?}"),
    }
}

fn lines(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(line).collect()
}

#[test]
fn a_part_goes_from_offer_to_acknowledgement_and_each_step_is_committed_first() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    let accepted = world.heard(job, 1, PartPhase::Accepted);
    let effects = world.step(received(EAST, accepted.clone()));
    assert_eq!(lines(&effects), ["l8 i5 begin j3 [i4]"]);
    let again = hyperscale_core::wire::PartReport { seq: (1, 2), ..accepted };
    assert_eq!(world.step(received(EAST, again)), [], "a begin is in flight");
    let effects = world.sync(1);
    assert_eq!(lines(&effects), ["j3 #3.3 Running @l8", "n10 begin j3/p0 f5 of f4 @l8"]);
    let mut running = world.heard(job, 3, PartPhase::Running);
    running.workflows.push(live(1, totals(5, 0))).unwrap();
    assert_eq!(lines(&world.step(received(EAST, running))), ["j3 #3.4 Running @l8"]);
    world.left();
    assert_eq!(world.wake_until(5 * S), [], "an answered begin is not sent again");

    let report = world.heard(job, 4, ended(WorkflowStatus::Completed));
    assert_eq!(lines(&world.step(received(EAST, report.clone()))), ["l9 i6 end j3/p0 reported"]);
    assert_eq!(world.step(received(EAST, report.clone())), []);
    assert_eq!(
        lines(&world.sync(1)),
        ["n10 ack j3/p0 @l9", "l10 i7 end j3 Completed"],
        "acknowledged once the end is committed"
    );
    assert_eq!(lines(&world.step(received(EAST, report.clone()))), ["n10 ack j3/p0 @l9"]);
    assert_eq!(lines(&world.sync(1)), ["j3 #7.1 Completed @l10"]);
    assert_eq!(lines(&world.step(received(EAST, report))), ["n10 ack j3/p0 @l10"]);
    assert!(world.node.role().is_idle());
    let told = job_result(&mut world, job);
    assert_eq!(
        (told.status, told.result),
        (JobStatus::Completed, result(WorkflowStatus::Completed))
    );
    assert_eq!(told.names[0].steps[0], "get");
}

#[test]
fn offers_and_begins_are_sent_again_with_back_off() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    let sent = world.wake_until(20 * S);
    assert!(sent.iter().all(|(_, line)| line == "n10 offer j3/p0 f4 @l7"), "{sent:?}");
    // 0.5, 1, 2, 4 and 8 s, each with up to a quarter on top.
    assert_eq!(sent.len(), 5, "{sent:?}");
    let accepted = world.heard(job, 1, PartPhase::Accepted);
    world.report(EAST, accepted);
    let sent = world.wake_until(5 * S);
    assert!(sent.iter().all(|(_, line)| line == "n10 begin j3/p0 f5 of f4 @l8"), "{sent:?}");
    assert_eq!(sent.len(), 3, "{sent:?}");
}

#[test]
fn reports_count_once_in_order_and_from_whom_they_should() {
    let mut world = World::led(2);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let running = world.heard(job, 5, PartPhase::Running);
    assert_eq!(world.report(EAST, running.clone()).len(), 1);
    let before = world.node.role().durable_digest();
    let stale = [
        running.clone(),
        hyperscale_core::wire::PartReport { seq: (1, 4), ..running.clone() },
        hyperscale_core::wire::PartReport { seq: (0, 9), ..running.clone() },
    ];
    for report in stale {
        assert_eq!(world.report(EAST, report), [] as [&str; 0]);
    }
    assert_eq!(world.node.stats().count(Stat::ReportStale), 3);

    let newer = hyperscale_core::wire::PartReport { seq: (2, 1), ..running };
    let mut foreign = newer.clone();
    foreign.fence.group = GroupId::new(1);
    let mut unheard = newer.clone();
    unheard.part.job = JobId::new(1 << 40);
    let mut second = newer.clone();
    second.part.part = PartIx::new(1);
    let mut views = newer.clone();
    views.workflows.push(live(1, totals(1, 0))).unwrap();
    views.workflows[0].workflow = hyperscale_core::ids::WorkflowIx::new(9);
    let mut odd = world.heard(job, 99, ended(WorkflowStatus::Completed));
    if let PartPhase::Ended(result) = &mut odd.phase {
        result.workflows[0].workflow = hyperscale_core::ids::WorkflowIx::new(9);
    }
    for report in [foreign, unheard, second, views, odd] {
        assert_eq!(world.report(EAST, report), [] as [&str; 0]);
    }
    assert_eq!(world.report(NodeId::new(77), newer.clone()), [] as [&str; 0]);
    assert_eq!(world.node.stats().count(Stat::MessageForeign), 6);
    assert_eq!(world.node.role().durable_digest(), before);
    assert_eq!(world.report(EAST, newer).len(), 1, "a higher term counts from one");
}

#[test]
fn a_refused_offer_goes_to_the_next_datacenter_and_then_the_job_fails() {
    let mut world = World::led(2);
    let job = world.submit("k", &plan("p"));
    let refused = PartPhase::Refused { reason: "full".into() };
    let report = world.heard(job, 1, refused.clone());
    let sent = world.report(EAST, report.clone());
    assert_eq!(sent, ["j3 #3.3 Dispatching @l8", "n20 offer j3/p0 f5 @l8"]);
    assert_eq!(world.report(EAST, report), [] as [&str; 0], "it is not offered there any more");
    let report = world.heard(job, 1, refused);
    assert_eq!(world.report(WEST, report), ["j3 #7.1 Failed @l10"]);
    let told = job_result(&mut world, job);
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Failed, "full"));
    assert_eq!(told.result.workflows[0].planned_ms, 0);
    assert!(world.node.role().is_idle());
}

#[test]
fn a_datacenter_that_accepts_what_has_moved_is_told_to_end_it() {
    let mut world = World::led(2);
    let job = world.submit("k", &plan("p"));
    let accepted = world.heard(job, 1, PartPhase::Accepted);
    let moved = world.wake_until(31 * S);
    assert!(moved.iter().any(|(at, line)| *at == 30 && line == "n20 offer j3/p0 f5 @l8"));
    assert_eq!(world.report(EAST, accepted), ["n10 cancel j3/p0 f5 @l8"]);
    let gone = world.heard(job, 3, ended(WorkflowStatus::Cancelled));
    assert_eq!(world.report(EAST, gone), ["n10 ack j3/p0 @l8"]);
    assert_eq!(status(&world, job), JobStatus::Dispatching);
}

#[test]
fn a_begun_part_never_moves() {
    let mut world = World::led(2);
    let job = world.submit("k", &plan("p"));
    let late = world.heard(job, 3, PartPhase::Refused { reason: "late".into() });
    world.begin(job);
    assert_eq!(world.report(EAST, late), [] as [&str; 0], "a refusal of the offer is stale");
    assert_eq!(status(&world, job), JobStatus::Running);
    let refused = world.heard(job, 4, PartPhase::Refused { reason: "unknown here".into() });
    world.report(EAST, refused);
    assert_eq!(status(&world, job), JobStatus::Failed);
    assert_eq!(job_result(&mut world, job).reason, "unknown here");
}

#[test]
fn an_unanswered_offer_ends_in_a_cancel_so_that_a_late_acceptance_is_ended_too() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    let accepted = world.heard(job, 1, PartPhase::Accepted);
    world.wake_until(30 * S);
    assert_eq!(status(&world, job), JobStatus::Cancelling);
    assert_eq!(world.report(EAST, accepted), [] as [&str; 0]);
    let sent = world.wake_until(10 * S);
    assert!(sent.iter().all(|(_, line)| line == "n10 cancel j3/p0 f5 @l8"), "{sent:?}");
    let report = world.heard(job, 2, ended(WorkflowStatus::Cancelled));
    world.report(EAST, report);
    assert_eq!(job_result(&mut world, job).reason, "no datacenter answered the offer in time");
    assert_eq!(status(&world, job), JobStatus::Failed);
}

#[test]
fn a_silent_datacenter_is_missing_after_the_plan_and_its_grace() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    // 10 s of load, 5 s of graceful stop, 60 s of grace.
    world.wake_until(74 * S);
    assert_eq!(status(&world, job), JobStatus::Running);
    let sent = world.wake_until(S);
    assert!(matches!(sent.as_slice(), [(_, line)] if line == "j3 #7.1 TimedOut @l10"), "{sent:?}");
    let told = job_result(&mut world, job);
    assert_eq!(told.reason, "no result from datacenter east in time");
    assert!(told.is_degraded(), "nothing of it is covered");
    assert!(world.node.role().is_idle());

    let running = world.heard(job, 9, PartPhase::Running);
    assert_eq!(world.report(EAST, running), ["n10 cancel j3/p0 f7 @l10"]);
    let late = world.heard(job, 10, ended(WorkflowStatus::Completed));
    assert_eq!(world.report(EAST, late), ["n10 ack j3/p0 @l10"]);
    assert_eq!(world.node.stats().count(Stat::PartResultLate), 1);
    assert_eq!(job_result(&mut world, job), told);
}

#[test]
fn a_datacenter_that_is_heard_has_its_grace_from_then() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    world.wake_until(70 * S);
    let running = world.heard(job, 9, PartPhase::Running);
    world.report(EAST, running);
    world.wake_until(59 * S);
    assert_eq!(status(&world, job), JobStatus::Running);
    world.wake_until(S);
    assert_eq!(status(&world, job), JobStatus::TimedOut);
}

#[test]
fn results_decide_the_status() {
    let mut failed = result(WorkflowStatus::Failed);
    failed.workflows[0].reason = "no worker".into();
    let mut stopped = result(WorkflowStatus::Cancelled);
    stopped.cancelled = true;
    let cases = [
        (result(WorkflowStatus::Completed), JobStatus::Completed, ""),
        (result(WorkflowStatus::Skipped), JobStatus::Completed, ""),
        (failed, JobStatus::Failed, "workflow w failed: no worker"),
        (stopped, JobStatus::Partial, "the datacenter ended the load by itself"),
    ];
    for (result, expected, reason) in cases {
        let mut world = World::led(1);
        let job = world.submit("k", &plan("p"));
        world.begin(job);
        let report = world.heard(job, 3, PartPhase::Ended(Box::new(result.clone())));
        world.report(EAST, report);
        let told = job_result(&mut world, job);
        assert_eq!((told.status, told.reason.as_str(), told.result), (expected, reason, result));
    }
}

fn threshold(bound_micro: u64, abort_on_fail: bool) -> Threshold {
    Threshold {
        metric: Metric::HttpReqFailed,
        workflow: None,
        step: None,
        stat: ThresholdStat::Rate,
        op: Comparison::Less,
        bound_micro,
        abort_on_fail,
        text: format!("rate<0.0{}", bound_micro / 10_000),
    }
}

#[test]
fn thresholds_are_judged_on_the_merged_result() {
    let mut world = World::led(1);
    let mut plan = plan("p");
    plan.thresholds = vec![threshold(20_000, true), threshold(10_000, false)].try_into().unwrap();
    let job = world.submit("k", &plan);
    world.begin(job);
    let report = world.heard(job, 3, ended(WorkflowStatus::Completed));
    world.report(EAST, report);
    let told = job_result(&mut world, job);
    let outcomes: Vec<_> = told.thresholds.iter().map(|t| (t.ok, t.observed_micro)).collect();
    assert_eq!(outcomes, [(true, Some(10_000)), (false, Some(10_000))]);
    assert_eq!(told.status, JobStatus::Completed, "a failed threshold is told, not a failed job");
}

#[test]
fn a_threshold_with_abort_ends_the_job_once_it_fails_on_live_figures() {
    let mut world = World::led(1);
    let mut plan = plan("p");
    plan.thresholds = vec![threshold(10_000, true)].try_into().unwrap();
    let job = world.submit("k", &plan);
    world.begin(job);
    let mut running = world.heard(job, 3, PartPhase::Running);
    running.workflows.push(live(1, totals(0, 0))).unwrap();
    assert_eq!(world.report(EAST, running).len(), 1, "no samples, no verdict");
    let mut running = world.heard(job, 4, PartPhase::Running);
    running.workflows.push(live(2, totals(100, 1))).unwrap();
    let effects = world.step(received(EAST, running.clone()));
    let reason = "http_req_failed: rate<0.01";
    assert_eq!(
        lines(&effects),
        ["j3 #3.6 Running @l8".to_owned(), format!("l9 i6 abort j3 {reason}")]
    );
    running.seq = (1, 5);
    assert_eq!(world.step(received(EAST, running)).len(), 1, "the abort is in flight");
    let sent: Vec<_> = world.sync(1).iter().map(line).collect();
    assert_eq!(sent, ["j3 #3.8 Cancelling @l9", "n10 cancel j3/p0 f6 @l9"]);
    let report = world.heard(job, 6, ended(WorkflowStatus::Cancelled));
    world.report(EAST, report);
    let told = job_result(&mut world, job);
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Failed, reason));
}

#[test]
fn capacity_makes_a_datacenter_reachable_for_three_intervals() {
    let mut world = World::fresh(config(2));
    world.answers = [(WEST, capacity(3))].into();
    world.run(Input::Wake);
    world.run(received(NodeId::new(77), capacity(1)));
    assert_eq!(world.node.stats().count(Stat::MessageForeign), 1);
    world.run(received(EAST, capacity(4)));
    assert_eq!(world.node.stats().count(Stat::MessageStale), 1, "no answer to any probe");
    let Reply::Cluster(view) = world.ask(Command::Cluster) else { panic!("a view") };
    assert!(view.ready);
    let reachable = |standing: &Standing| standing.reachability == Reachability::Reachable;
    let seen: Vec<_> =
        view.datacenters.iter().map(|d| (d.name.as_str(), reachable(d), d.free)).collect();
    assert_eq!(seen, [("east", false, 0), ("west", true, 3)]);
    let job = world.submit("k", &plan("p"));
    let placed = world.node.role().ledger().job(job).unwrap().part(PartIx::new(0)).unwrap();
    assert_eq!(placed.datacenter, "west", "the only one that is known to have a core");
    world.now = world.now.after(4 * S);
    let Reply::Cluster(view) = world.ask(Command::Cluster) else { panic!("a view") };
    assert!(!reachable(&view.datacenters[1]));
}
