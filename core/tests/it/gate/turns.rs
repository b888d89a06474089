//! What a gate takes from clients, and whose turn it is.

use hyperscale_core::api::{ClusterView, Command, JobView, Refusal, Reply, Tenant};
use hyperscale_core::ids::{CallId, JobId};
use hyperscale_core::input::{Input, Sample};
use hyperscale_core::machine::Role;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::Capacity;

use super::world::*;

fn world(jobs_running_max: u32) -> World {
    let mut config = config(1);
    config.admission.jobs_running_max = jobs_running_max;
    config.admission.submissions = 5;
    let mut world = World::fresh(config);
    world.run(Input::Wake);
    world
}

fn ask_as(world: &mut World, tenant: &str, command: Command) -> Reply {
    let (call, client) = (CallId::new(999), Tenant::truncated(tenant));
    world.step(Input::Called { call, client, command: Box::new(command) });
    while world.journal.last().is_some_and(|(lsn, _)| *lsn > world.durable) {
        world.sync(usize::MAX);
    }
    let mut replies = world.released().into_iter().filter_map(|effect| match effect {
        hyperscale_core::effect::Effect::Reply { reply, .. } => Some(*reply),
        _ => None,
    });
    replies.next().expect("a reply")
}

fn submit_as(world: &mut World, tenant: &str, key: &str) -> JobId {
    match ask_as(world, tenant, submit(key, &plan("p"))) {
        Reply::Submitted { job, existing: false } => job,
        other => panic!("{other:?}"),
    }
}

fn view(world: &mut World, job: JobId) -> JobView {
    match world.ask(Command::Status(job)) {
        Reply::Status(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn stands(world: &mut World, job: JobId) -> (JobStatus, Option<u32>) {
    let view = view(world, job);
    (view.status, view.position)
}

fn cluster(world: &mut World) -> ClusterView {
    match world.ask(Command::Cluster) {
        Reply::Cluster(view) => *view,
        other => panic!("{other:?}"),
    }
}

/// Ends a job that was offered.
fn end(world: &mut World, job: JobId) {
    world.ask(Command::Cancel(job));
    let report = world.heard(job, 1, ended(WorkflowStatus::Cancelled));
    world.report(EAST, report);
    assert_eq!(view(world, job).status, JobStatus::Cancelled);
    world.node.role().check_all().unwrap();
}

fn sampled(world: &mut World, cpu: u16, times: u32) {
    for _ in 0..times {
        world.now = world.now.after(S / 4);
        world.run(Input::Sampled(Sample { cpu, ..Sample::default() }));
    }
}

#[test]
fn tenants_take_turns_and_the_oldest_of_each_goes_first() {
    let mut world = world(1);
    let [a1, a2, a3] = ["a1", "a2", "a3"].map(|key| submit_as(&mut world, "a", key));
    let b1 = submit_as(&mut world, "b", "b1");
    assert_eq!(stands(&mut world, a1), (JobStatus::Dispatching, None));
    let queued = |place| (JobStatus::Queued, Some(place));
    assert_eq!(stands(&mut world, b1), queued(1), "a had its turn");
    assert_eq!(stands(&mut world, a2), queued(2));
    assert_eq!(stands(&mut world, a3), queued(3));
    let flow = cluster(&mut world).flow;
    assert_eq!((flow.running, flow.waiting, flow.running_max), (1, 3, 1));
    end(&mut world, a1);
    assert_eq!(stands(&mut world, b1), (JobStatus::Dispatching, None));
    assert_eq!(stands(&mut world, a2), queued(1));
    assert!(matches!(world.ask(Command::Cancel(a2)), Reply::Cancelling(_)));
    assert_eq!(view(&mut world, a2).status, JobStatus::Cancelled, "it never ran");
    assert_eq!(stands(&mut world, a3), queued(1));
    end(&mut world, b1);
    assert_eq!(stands(&mut world, a3), (JobStatus::Dispatching, None));
    let count = |stat| world.node.stats().count(stat);
    assert_eq!((count(Stat::JobQueued), count(Stat::JobAdmitted)), (3, 2));
    end(&mut world, a3);
    assert!(world.node.role().is_idle());
}

#[test]
fn who_waits_keeps_its_place_over_a_restart() {
    let mut world = world(1);
    let [a1, a2] = ["a1", "a2"].map(|key| submit_as(&mut world, "a", key));
    let b1 = submit_as(&mut world, "b", "b1");
    world.crash();
    world.run(Input::Wake);
    world.wake_until(3 * S);
    assert_eq!(stands(&mut world, b1), (JobStatus::Queued, Some(1)));
    assert_eq!(stands(&mut world, a2), (JobStatus::Queued, Some(2)));
    end(&mut world, a1);
    assert_eq!(stands(&mut world, b1).0, JobStatus::Dispatching);
    assert_eq!(stands(&mut world, a2), (JobStatus::Queued, Some(1)));
}

#[test]
fn a_full_datacenter_is_waited_for_and_one_without_cores_is_not() {
    let mut world = world(64);
    let capacity = |free, cores| Capacity { workers: 1, cores, free, ..Capacity::default() };
    world.answers.insert(EAST, capacity(0, 2));
    world.wake_until(3 * S);
    let waits = submit_as(&mut world, "a", "waits");
    assert_eq!(stands(&mut world, waits), (JobStatus::Queued, Some(1)));
    world.answers.insert(EAST, capacity(0, 2));
    world.wake_until(3 * S);
    assert_eq!(stands(&mut world, waits).0, JobStatus::Queued);
    world.answers.insert(EAST, capacity(1, 2));
    world.wake_until(3 * S);
    assert_eq!(stands(&mut world, waits), (JobStatus::Dispatching, None));
    let next = submit_as(&mut world, "a", "next");
    assert_eq!(stands(&mut world, next).0, JobStatus::Queued, "the free core is spoken for");
    world.answers.insert(EAST, capacity(0, 0));
    world.wake_until(3 * S);
    assert_eq!(stands(&mut world, next).0, JobStatus::Dispatching, "a manager says why it fails");
}

#[test]
fn an_overloaded_gate_sheds_all_but_control_and_recovers() {
    let mut world = world(64);
    sampled(&mut world, 990, 3);
    for command in [submit("k", &plan("p")), Command::Status(JobId::new(9)), Command::List] {
        let reply = ask_as(&mut world, "a", command);
        let Reply::Refused(Refusal::Busy { retry_after }) = reply else { panic!("{reply:?}") };
        assert!(retry_after >= 4 * S && retry_after <= 6 * S);
    }
    let unknown = JobId::new(99);
    let no_job = Reply::Refused(Refusal::NoSuchJob(unknown));
    assert_eq!(ask_as(&mut world, "a", Command::Cancel(unknown)), no_job);
    let flow = cluster(&mut world).flow;
    assert_eq!(flow.level, "overloaded");
    let shed: Vec<u64> = flow.classes.iter().map(|class| class.shed).collect();
    assert_eq!(shed, [0, 1, 1, 1]);
    sampled(&mut world, 750, 2);
    assert!(matches!(ask_as(&mut world, "a", Command::List), Reply::Refused(Refusal::Busy { .. })));
    assert_eq!(ask_as(&mut world, "a", Command::Status(unknown)), no_job);
    sampled(&mut world, 100, 2);
    submit_as(&mut world, "a", "k");
    world.node.role().check_all().unwrap();
    assert_eq!(world.node.stats().count(Stat::CallShed), 4);
    assert_eq!(world.node.stats().count(Stat::OverloadChanged), 3);
}

#[test]
fn a_client_beyond_its_rate_waits_and_another_does_not() {
    let mut world = world(64);
    for n in 0..5 {
        submit_as(&mut world, "a", &format!("k{n}"));
    }
    let reply = ask_as(&mut world, "a", submit("more", &plan("p")));
    let Reply::Refused(Refusal::Limited { retry_after }) = reply else { panic!("{reply:?}") };
    assert!(retry_after <= 3 * S, "{retry_after:?}");
    submit_as(&mut world, "b", "other");
    world.now = world.now.after(retry_after);
    submit_as(&mut world, "a", "more");
    assert_eq!(world.node.stats().count(Stat::CallLimited), 1);
    assert_eq!(cluster(&mut world).flow.limited, 1);
}
