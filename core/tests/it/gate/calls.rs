use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::ids::{JobId, WorkflowIx};
use hyperscale_core::input::{EngineEvent, Input};
use hyperscale_core::limits::{JOB_HISTORY_MAX, JOBS_LIVE_MAX, KEY_BYTES_MAX};
use hyperscale_core::machine::Role;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::stat::Stat;

use super::world::*;

fn lines(effects: &[hyperscale_core::effect::Effect]) -> Vec<String> {
    effects.iter().map(line).collect()
}

#[test]
fn a_boot_forms_its_group_and_reads_wait_until_it_leads() {
    let mut world = World::fresh(config(1));
    assert_eq!(world.node.next_wake().map(|wake| wake.why), Some("start"));
    let effects = lines(&world.step(called(1, Command::List)));
    assert!(effects[0].starts_with("l1 Formed"), "{effects:?}");
    let booted = ["l2 Booted", "l3 Ballot { term: t1, vote: Some(d1) }", "l4 i1 term"];
    assert_eq!(effects[1..], booted);
    world.now = world.now.after(2 * S);
    assert_eq!(lines(&world.step(Input::Wake)), ["call1 refused NotReady @l4"]);
    assert_eq!(world.node.stats().count(Stat::QuorumMissed), 1);
    assert_eq!(world.step(called(2, Command::List)), []);
    assert_eq!(lines(&world.sync(3)), [] as [&str; 0]);
    assert!(!world.node.role().leads());
    assert_eq!(lines(&world.sync(1)), ["l5 i2 enrol n1 boot 1", "call2 Jobs([]) @l5"]);
    assert!(world.node.role().leads() && !world.node.role().is_idle());
    assert_eq!(lines(&world.sync(1)), [] as [&str; 0]);
    assert!(world.node.role().is_idle(), "it has a session");
}

#[test]
fn a_write_that_is_not_committed_in_time_has_an_unknown_outcome_and_is_made_once() {
    let mut world = World::led(1);
    assert_eq!(lines(&world.step(called(1, submit("k", &plan("p"))))), ["l6 i3 create k"]);
    // Steps at one instant are a nanosecond apart on the node's clock.
    world.now = world.now.after(5 * S).after(S / 1000);
    assert_eq!(lines(&world.step(Input::Wake)), ["call1 refused OutcomeUnknown @l6"]);
    assert_eq!(world.step(called(2, submit("k", &plan("p")))), [], "joins the one in flight");
    let told = lines(&world.sync(1));
    assert_eq!(told[0], "call2 created j3 @l6", "{told:?}");
    assert!(!told.iter().any(|line| line.starts_with("call1")), "{told:?}");
}

#[test]
fn a_submission_is_answered_from_its_committed_entry_and_offered_from_the_placing() {
    let mut world = World::led(1);
    assert_eq!(lines(&world.step(called(1, submit("k", &plan("p"))))), ["l6 i3 create k"]);
    assert_eq!(
        world.ask_now(Command::Status(JobId::new(3))),
        Reply::Refused(Refusal::NoSuchJob(JobId::new(3)))
    );
    assert_eq!(
        lines(&world.sync(1)),
        ["call1 created j3 @l6", "j3 #3.1 Submitted @l6", "l7 i4 place j3/p0 east"]
    );
    assert_eq!(lines(&world.sync(1)), ["j3 #3.2 Dispatching @l7", "n10 offer j3/p0 f4 @l7"]);
    let stats = world.node.stats();
    assert_eq!((stats.count(Stat::JobCreated), stats.count(Stat::PartOffered)), (1, 1));
}

#[test]
fn one_key_makes_one_job_and_another_plan_is_refused() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    assert_eq!(world.ask(submit("k", &plan("p"))), Reply::Submitted { job, existing: true });
    let reused = Reply::Refused(Refusal::KeyReused(job));
    assert_eq!(world.ask(submit("k", &plan("q"))), reused);
    assert_ne!(world.submit("l", &plan("p")), job);
    world.crash();
    world.run(Input::Wake);
    assert_eq!(world.ask(submit("k", &plan("p"))), Reply::Submitted { job, existing: true });
    assert_eq!(world.ask(submit("k", &plan("q"))), reused);
}

#[test]
fn submissions_in_flight_with_one_key_share_the_entry() {
    let mut world = World::led(1);
    assert_eq!(world.step(called(1, submit("k", &plan("p")))).len(), 1);
    assert_eq!(world.step(called(2, submit("k", &plan("p")))), []);
    assert_eq!(world.step(called(3, submit("k", &plan("q")))), []);
    assert_eq!(
        lines(&world.sync(1)),
        [
            "call1 created j3 @l6",
            "call2 known j3 @l6",
            "call3 refused KeyReused(j3) @l6",
            "j3 #3.1 Submitted @l6",
            "l7 i4 place j3/p0 east"
        ]
    );
    assert_eq!(world.node.stats().count(Stat::JobDeduplicated), 1);
}

#[test]
fn keys_and_plans_are_checked() {
    let mut world = World::led(1);
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    for key in ["", &long] {
        assert_eq!(world.ask(submit(key, &plan("p"))), Reply::Refused(Refusal::KeyInvalid));
    }
    let mut cyclic = plan("p");
    cyclic.workflows[0].after.push(WorkflowIx::new(0)).unwrap();
    let Reply::Refused(Refusal::PlanInvalid(_)) = world.ask(submit("k", &cyclic)) else {
        panic!("a cycle was admitted")
    };
    assert_eq!(world.node.role().jobs().count(), 0);
    assert_eq!(world.node.stats().count(Stat::JobRefused), 3);
}

#[test]
fn live_jobs_are_bounded_counting_those_in_flight() {
    let mut world = World::led(1);
    for i in 0..JOBS_LIVE_MAX {
        world.step(called(i as u64, submit(&format!("k{i}"), &plan("p"))));
    }
    assert_eq!(world.ask(submit("more", &plan("p"))), Reply::Refused(Refusal::Full));
    assert_eq!(world.node.role().ledger().live_count(), JOBS_LIVE_MAX);
    world.node.role().check_all().unwrap();
    let (job, _) = world.node.role().jobs().next().unwrap();
    world.ask(Command::Cancel(job));
    let report = world.heard(job, 1, ended(WorkflowStatus::Cancelled));
    world.report(EAST, report);
    world.submit("more", &plan("p"));
}

#[test]
fn history_drops_the_oldest_end_and_keeps_its_key() {
    let mut world = World::led(1);
    let first = world.submit("first", &plan("p"));
    for i in 0..=JOB_HISTORY_MAX {
        let job = if i == 0 { first } else { world.submit(&format!("k{i}"), &plan("p")) };
        world.ask(Command::Cancel(job));
        let report = world.heard(job, 1, ended(WorkflowStatus::Cancelled));
        world.report(EAST, report);
    }
    assert_eq!(world.node.role().jobs().count(), JOB_HISTORY_MAX);
    assert_eq!(world.ask(Command::Status(first)), Reply::Refused(Refusal::NoSuchJob(first)));
    let known = Reply::Submitted { job: first, existing: true };
    assert_eq!(world.ask(submit("first", &plan("p"))), known);
    world.node.role().check_all().unwrap();
}

#[test]
fn keys_of_ended_jobs_are_forgotten_after_a_day_and_live_ones_never() {
    let mut world = World::led(1);
    let old = world.submit("old", &plan("p"));
    world.ask(Command::Cancel(old));
    let report = world.heard(old, 1, ended(WorkflowStatus::Cancelled));
    world.report(EAST, report);
    assert!(world.node.role().is_idle());
    world.now = world.now.after(23 * 3600 * S);
    world.run(Input::Wake);
    assert_eq!(world.ask(submit("old", &plan("p"))), Reply::Submitted { job: old, existing: true });
    world.now = world.now.after(3601 * S);
    world.run(Input::Wake);
    assert_ne!(world.submit("old", &plan("p")), old);
}

#[test]
fn a_draining_gate_answers_for_what_it_has() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.run(Input::Drain);
    assert_eq!(world.ask(submit("new", &plan("p"))), Reply::Refused(Refusal::Draining));
    assert_eq!(world.ask(submit("k", &plan("p"))), Reply::Submitted { job, existing: true });
    assert_eq!(world.ask(Command::Cancel(job)), Reply::Cancelling(job));
}

#[test]
fn reads_tell_what_is_committed() {
    let mut world = World::led(1);
    let a = world.submit("a", &plan("first"));
    let b = world.submit("b", &plan("second"));
    let Reply::Jobs(jobs) = world.ask(Command::List) else { panic!("a list") };
    let seen: Vec<_> = jobs.iter().map(|j| (j.job, j.name.as_str(), j.status)).collect();
    let dispatching = JobStatus::Dispatching;
    assert_eq!(seen, [(b, "second", dispatching), (a, "first", dispatching)]);
    assert_eq!(world.ask(Command::Result(a)), Reply::Refused(Refusal::NotEnded(dispatching)));
    let none = JobId::new(99);
    assert_eq!(world.ask(Command::Result(none)), Reply::Refused(Refusal::NoSuchJob(none)));
    assert_eq!(world.ask(Command::Cancel(none)), Reply::Refused(Refusal::NoSuchJob(none)));
    let watch = Command::Watch { job: none, after: 0 };
    assert_eq!(world.ask(watch), Reply::Refused(Refusal::NoSuchJob(none)));
    let Reply::Status(view) = world.ask(Command::Status(a)) else { panic!("a view") };
    assert_eq!((view.workflow_names, view.workflows.len()), (vec!["w".to_owned()], 0));
}

#[test]
fn what_is_not_for_a_gate_is_counted() {
    let mut world = World::led(1);
    let run = hyperscale_core::ids::RunId {
        shard: hyperscale_core::ids::ShardId {
            job: JobId::new(1),
            workflow: WorkflowIx::new(0),
            shard: hyperscale_core::ids::ShardIx::new(0),
        },
        fence: world.fence(1),
    };
    assert_eq!(world.step(Input::Engine(Box::new(EngineEvent::Prepared { run }))), []);
    assert_eq!(world.node.stats().count(Stat::InputForeign), 1);
}
