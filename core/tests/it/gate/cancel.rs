//! A cancel beats completion until completion is committed.

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::JobId;
use hyperscale_core::machine::Role;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::PartPhase;

use super::world::*;

fn lines(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(line).collect()
}

fn status(world: &World, job: JobId) -> JobStatus {
    world.node.role().ledger().job(job).unwrap().status
}

#[test]
fn a_cancel_is_answered_once_committed_and_sent_until_the_part_has_ended() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    assert_eq!(lines(&world.step(called(1, Command::Cancel(job)))), ["l7 i5 cancel j2"]);
    assert_eq!(world.step(called(2, Command::Cancel(job))), [], "joins the one in flight");
    assert_eq!(
        lines(&world.sync(1)),
        [
            "call1 cancelling j2 @l7",
            "call2 cancelling j2 @l7",
            "j2 #1.5 Cancelling @l7",
            "n10 cancel j2/p0 f5 @l7"
        ]
    );
    world.left();
    assert_eq!(world.call(3, Command::Cancel(job)), ["call3 cancelling j2 @l7"]);
    let cancelling = world.heard(job, 3, PartPhase::Cancelling);
    assert_eq!(world.report(EAST, cancelling), ["j2 #1.6 Cancelling @l7"]);
    let sent = world.wake_until(4 * S);
    assert!(sent.iter().all(|(_, line)| line == "n10 cancel j2/p0 f5 @l7"), "{sent:?}");
    assert_eq!(sent.len(), 3, "being cancelled is not having ended");
    let report = world.heard(job, 4, ended(WorkflowStatus::Cancelled));
    assert_eq!(world.report(EAST, report), ["n10 ack j2/p0 @l8", "j2 #1.7 Cancelled @l9"]);
    assert_eq!(world.node.stats().count(Stat::JobCancelled), 1);
    assert!(world.node.role().is_idle());
}

#[test]
fn a_job_that_was_not_begun_is_never_begun_after_its_cancel() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    let accepted = world.heard(job, 1, PartPhase::Accepted);
    let _ = world.step(called(1, Command::Cancel(job)));
    let effects = world.step(received(EAST, accepted));
    assert_eq!(lines(&effects), ["l7 i5 begin j2 [i3]"], "proposed behind the cancel");
    let effects = lines(&world.sync(usize::MAX));
    assert_eq!(effects.last().unwrap(), "n10 cancel j2/p0 f4 @l7");
    assert!(!effects.iter().any(|line| line.contains("begin")), "{effects:?}");
    world.left();
    let accepted = world.heard(job, 2, PartPhase::Accepted);
    assert_eq!(world.step(received(EAST, accepted)), []);
    let sent = world.wake_until(4 * S);
    assert!(sent.iter().all(|(_, line)| line == "n10 cancel j2/p0 f4 @l7"), "{sent:?}");
    assert_eq!(world.node.role().ledger().job(job).unwrap().parts[0].begun, None);
}

#[test]
fn a_cancel_before_the_placing_ends_the_job_without_a_datacenter() {
    let mut world = World::led(1);
    let _ = world.step(called(1, submit("k", &plan("p"))));
    world.sync(1);
    let job = JobId::new(2);
    // The placing is in flight: the cancel is committed behind it, but before it is known.
    let _ = world.step(called(2, Command::Cancel(job)));
    world.sync(2);
    assert_eq!(status(&world, job), JobStatus::Cancelling);
    world.wake_until(59 * S);
    assert_eq!(status(&world, job), JobStatus::Cancelling);
    world.wake_until(2 * S);
    assert_eq!(status(&world, job), JobStatus::Cancelled, "its datacenter never answered");
    let Reply::Result(told) = world.ask(Command::Result(job)) else { panic!("a result") };
    assert_eq!(told.reason, "no result from datacenter east in time");
    assert!(!told.is_degraded(), "nothing was to run");
}

#[test]
fn a_cancel_committed_before_completion_wins_whatever_was_proposed() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let report = world.heard(job, 3, ended(WorkflowStatus::Completed));
    let _ = world.step(received(EAST, report));
    let _ = world.step(called(1, Command::Cancel(job)));
    // The part's end commits first and proposes a completion, which the cancel overtakes.
    assert_eq!(lines(&world.sync(1)), ["n10 ack j2/p0 @l7", "l9 i7 end j2 Completed"]);
    assert_eq!(lines(&world.sync(1)), ["call1 cancelling j2 @l9", "j2 #1.5 Cancelling @l9"]);
    assert_eq!(lines(&world.sync(1)), ["l10 i8 end j2 Cancelled"]);
    assert_eq!(lines(&world.sync(1)), ["j2 #1.6 Cancelled @l10"]);
    let Reply::Result(told) = world.ask(Command::Result(job)) else { panic!("a result") };
    assert_eq!(told.result, result(WorkflowStatus::Completed), "what ran is told all the same");
}

#[test]
fn a_completion_committed_before_the_cancel_stays_and_the_cancel_says_so() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let report = world.heard(job, 3, ended(WorkflowStatus::Completed));
    let _ = world.step(received(EAST, report));
    world.sync(1);
    assert_eq!(lines(&world.step(called(1, Command::Cancel(job)))), ["l9 i7 cancel j2"]);
    assert_eq!(
        lines(&world.sync(2)),
        ["j2 #1.5 Completed @l9", "call1 refused AlreadyEnded(Completed) @l9"]
    );
    let again = Reply::Refused(Refusal::AlreadyEnded(JobStatus::Completed));
    assert_eq!(world.ask_now(Command::Cancel(job)), again);
    assert_eq!(world.node.stats().count(Stat::CancelTooLate), 2);
    assert_eq!(status(&world, job), JobStatus::Completed);
    world.node.role().check_all().unwrap();
}
