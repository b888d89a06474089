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
    assert_eq!(lines(&world.step(called(1, Command::Cancel(job)))), ["l9 i6 cancel j3"]);
    assert_eq!(world.step(called(2, Command::Cancel(job))), [], "joins the one in flight");
    assert_eq!(
        lines(&world.sync(1)),
        [
            "call1 cancelling j3 @l9",
            "call2 cancelling j3 @l9",
            "j3 #3.5 Cancelling @l9",
            "n10 cancel j3/p0 f6 @l9"
        ]
    );
    world.left();
    assert_eq!(world.call(3, Command::Cancel(job)), ["call3 cancelling j3 @l9"]);
    let cancelling = world.heard(job, 3, PartPhase::Cancelling);
    assert_eq!(world.report(EAST, cancelling), ["j3 #3.6 Cancelling @l9"]);
    let sent = world.wake_until(4 * S);
    assert!(sent.iter().all(|(_, line)| line == "n10 cancel j3/p0 f6 @l9"), "{sent:?}");
    assert_eq!(sent.len(), 3, "being cancelled is not having ended");
    let report = world.heard(job, 4, ended(WorkflowStatus::Cancelled));
    assert_eq!(world.report(EAST, report), ["n10 ack j3/p0 @l10", "j3 #8.1 Cancelled @l11"]);
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
    assert_eq!(lines(&effects), ["l9 i6 begin j3 [i4]"], "proposed behind the cancel");
    let effects = lines(&world.sync(usize::MAX));
    assert_eq!(effects.last().unwrap(), "n10 cancel j3/p0 f5 @l9");
    assert!(!effects.iter().any(|line| line.contains("begin")), "{effects:?}");
    world.left();
    let accepted = world.heard(job, 2, PartPhase::Accepted);
    assert_eq!(world.step(received(EAST, accepted)), []);
    let sent = world.wake_until(4 * S);
    assert!(sent.iter().all(|(_, line)| line == "n10 cancel j3/p0 f5 @l9"), "{sent:?}");
    assert_eq!(world.node.role().ledger().job(job).unwrap().parts[0].begun, None);
}

#[test]
fn a_cancel_before_the_placing_ends_the_job_without_a_datacenter() {
    let mut world = World::led(1);
    let _ = world.step(called(1, submit("k", &plan("p"))));
    world.sync(1);
    let job = JobId::new(3);
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
    assert_eq!(lines(&world.sync(1)), ["n10 ack j3/p0 @l9", "l11 i8 end j3 Completed"]);
    assert_eq!(lines(&world.sync(1)), ["call1 cancelling j3 @l11", "j3 #3.5 Cancelling @l11"]);
    assert_eq!(lines(&world.sync(1)), ["l12 i9 end j3 Cancelled"]);
    assert_eq!(lines(&world.sync(1)), ["j3 #9.1 Cancelled @l12"]);
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
    assert_eq!(lines(&world.step(called(1, Command::Cancel(job)))), ["l11 i8 cancel j3"]);
    assert_eq!(
        lines(&world.sync(2)),
        ["j3 #7.1 Completed @l11", "call1 refused AlreadyEnded(Completed) @l11"]
    );
    let again = Reply::Refused(Refusal::AlreadyEnded(JobStatus::Completed));
    assert_eq!(world.ask_now(Command::Cancel(job)), again);
    assert_eq!(world.node.stats().count(Stat::CancelTooLate), 2);
    assert_eq!(status(&world, job), JobStatus::Completed);
    world.node.role().check_all().unwrap();
}
