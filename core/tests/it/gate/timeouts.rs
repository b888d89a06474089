//! The timeout of a job.

use std::time::Duration;

use hyperscale_core::ids::JobId;
use hyperscale_core::input::Input;
use hyperscale_core::plan::Plan;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::stat::Stat;

use super::world::*;

fn limited(timeout: Duration) -> Plan {
    Plan { timeout: Some(timeout), ..plan("p") }
}

fn status(world: &World, job: JobId) -> JobStatus {
    world.node.role().ledger().job(job).unwrap().status
}

fn begun(timeout: Duration) -> (World, JobId) {
    let mut world = World::led(1);
    let job = world.submit("k", &limited(timeout));
    world.begin(job);
    (world, job)
}

#[test]
fn a_job_is_ended_at_its_timeout_and_keeps_what_it_did() {
    let (mut world, job) = begun(4 * S);
    world.wake_until(4 * S - S / 100);
    assert_eq!(status(&world, job), JobStatus::Running);
    let sent = world.wake_until(S / 10);
    assert!(sent.iter().any(|(_, line)| line.starts_with("n10 cancel j3/p0")), "{sent:?}");
    assert_eq!(status(&world, job), JobStatus::Cancelling);
    let report = world.heard(job, 4, ended(WorkflowStatus::Cancelled));
    world.report(EAST, report);
    let known = world.node.role().ledger().job(job).unwrap();
    assert_eq!(known.status, JobStatus::TimedOut);
    assert_eq!(known.reason, "it ran for its timeout of 4s");
    let kept = &known.result.as_ref().unwrap().result.workflows[0];
    assert_eq!(kept.totals, result(WorkflowStatus::Cancelled).workflows[0].totals);
    assert_eq!(world.node.stats().count(Stat::JobTimedOut), 1);
    assert!(world.node.role().is_idle());
}

#[test]
fn a_completion_and_a_timeout_at_one_instant_have_one_outcome_by_the_log() {
    // The timeout is proposed first, the result arrives before it is committed.
    let (mut world, job) = begun(4 * S);
    world.wake_until(4 * S - S / 100);
    world.now = world.now.after(S / 100);
    let report = world.heard(job, 4, ended(WorkflowStatus::Completed));
    let _ = world.step(Input::Wake);
    let _ = world.step(received(EAST, report));
    let _ = world.sync(usize::MAX);
    assert_eq!(status(&world, job), JobStatus::TimedOut);
    // The other way round.
    let (mut world, job) = begun(4 * S);
    world.wake_until(4 * S - S / 100);
    let report = world.heard(job, 4, ended(WorkflowStatus::Completed));
    let _ = world.step(received(EAST, report));
    let _ = world.sync(usize::MAX);
    assert_eq!(status(&world, job), JobStatus::Completed);
    world.wake_until(2 * S);
    assert_eq!(status(&world, job), JobStatus::Completed);
}

#[test]
fn another_life_counts_on_from_what_was_committed() {
    let (mut world, job) = begun(8 * S);
    world.wake_until(5 * S + S / 2);
    world.crash();
    world.run(Input::Wake);
    let elapsed = world.node.role().ledger().job(job).unwrap().elapsed;
    assert!(elapsed >= 4 * S && elapsed <= 6 * S, "{elapsed:?}");
    world.wake_until(8 * S - elapsed - S / 2);
    assert_eq!(status(&world, job), JobStatus::Running);
    world.wake_until(S);
    assert_eq!(status(&world, job), JobStatus::Cancelling);
}
