//! How datacenters are judged over time, and what becomes of parts that find none.

use std::time::Duration;

use hyperscale_core::api::{Command, Explanation, Refusal, Reply};
use hyperscale_core::gate::models::{Exclusion, Reachability, Registration, Verdict, Why};
use hyperscale_core::health::HealthClass;
use hyperscale_core::ids::JobId;
use hyperscale_core::input::Input;
use hyperscale_core::report::JobStatus;
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::Capacity;

use super::world::*;

fn classes(world: &World) -> Vec<HealthClass> {
    world.node.role().standings(world.now).iter().map(|standing| standing.class).collect()
}

/// The class of every datacenter after each of so many seconds.
fn watched(world: &mut World, secs: usize) -> Vec<Vec<HealthClass>> {
    let mut after = || {
        world.wake_until(S);
        classes(world)
    };
    (0..secs).map(|_| after()).collect()
}

fn explained(world: &mut World, job: JobId) -> Explanation {
    match world.ask(Command::Explain(job)) {
        Reply::Explained(told) => *told,
        other => panic!("{other:?}"),
    }
}

fn place(world: &World, job: JobId) -> String {
    world.node.role().ledger().job(job).unwrap().parts[0].datacenter.clone()
}

use HealthClass::{Busy, Degraded, Healthy, Unhealthy};

/// S-184: datacenters that fall silent together are held, one alone is not.
#[test]
fn correlated_silences_are_held_and_independent_ones_are_not() {
    let mut world = World::led(3);
    world.answers.clear();
    world.wake_until(12 * S);
    assert_eq!(classes(&world), [Degraded; 3]);
    assert!(world.node.role().standings(world.now).iter().all(|standing| standing.is_held));
    assert_eq!(world.node.stats().count(Stat::NetworkBlamed), 1);
    let job = world.submit("k", &plan("p"));
    assert_eq!(place(&world, job), "east", "the last resort is still one");
    world.wake_until(60 * S);
    assert_eq!(classes(&world), [Unhealthy; 3], "the hold ends");

    let mut world = World::led(3);
    world.answers.remove(&EAST);
    world.wake_until(12 * S);
    assert_eq!(classes(&world), [Unhealthy, Healthy, Healthy]);
    assert_eq!(world.node.stats().count(Stat::NetworkBlamed), 0);
    let job = world.submit("k", &plan("p"));
    assert_eq!(place(&world, job), "west");
    let told = explained(&mut world, job);
    let last = told.decisions[0].decision.candidates.last().unwrap();
    assert_eq!(last.verdict, Verdict::Excluded(Exclusion::Unreachable));
}

/// S-188: one region after the other fails; each recovers step by step and never turns back.
#[test]
fn a_cascade_of_regions_and_its_recovery() {
    let mut world = World::led(3);
    let answers = world.answers.clone();
    world.answers.remove(&EAST);
    world.wake_until(40 * S);
    world.answers.remove(&WEST);
    world.wake_until(12 * S);
    assert_eq!(classes(&world), [Unhealthy, Unhealthy, Healthy]);
    let job = world.submit("k", &plan("p"));
    assert_eq!(place(&world, job), "north");
    world.answers = answers;
    let seen = watched(&mut world, 40);
    for dc in 0..2 {
        let mut steps: Vec<_> = seen.iter().map(|classes| classes[dc]).collect();
        steps.dedup();
        assert_eq!(steps, [Degraded, Busy, Healthy], "datacenter {dc}");
    }
}

/// S-191: a burst of lost probes evicts nobody.
#[test]
fn a_burst_of_losses_evicts_nobody() {
    let mut world = World::led(3);
    let answers = std::mem::take(&mut world.answers);
    let mut seen = watched(&mut world, 2);
    world.answers = answers;
    seen.extend(watched(&mut world, 10));
    assert!(seen.iter().flatten().all(|class| *class == Healthy), "{seen:?}");
    assert_eq!(world.node.stats().count(Stat::DatacenterSuspected), 0);
    assert_eq!(world.node.stats().count(Stat::DatacenterFailed), 0);
}

/// S-185, S-183: answers that take up to half a second, of which some are lost, are no failure.
#[test]
fn slow_answers_of_which_some_are_lost_are_no_failure() {
    let mut world = World::led(3);
    let answers = world.answers.clone();
    for round in 0..120_u32 {
        world.trip = [100, 500, 300, 450, 200].map(Duration::from_millis)[round as usize % 5];
        world.answers = answers.clone();
        if round % 20 == 7 {
            world.answers.remove(&WEST);
        }
        world.wake_until(S);
        assert_eq!(classes(&world), [Healthy; 3], "round {round}");
    }
    let count = |stat| world.node.stats().count(stat);
    assert_eq!((count(Stat::DatacenterSuspected), count(Stat::DatacenterFailed)), (0, 0));
    let (usual, worst) = world.node.role().standings(world.now)[0].rtt.expect("measured");
    assert_eq!((usual, worst), (300_000, 500_000));
}

/// S-183: what answers no recent probe changes nothing, and who answers a probe leads, whoever led
/// when it was sent.
#[test]
fn a_leader_that_changes_between_probe_and_answer_is_followed() {
    let mut config = config(1);
    config.datacenters[0].managers = vec![EAST, WEST];
    let mut world = World::fresh(config);
    let second = world.answers.remove(&WEST).unwrap();
    world.run(Input::Wake);
    world.wake_until(2 * S);
    let leader = |world: &World| world.node.role().standings(world.now)[0].leader;
    assert_eq!(leader(&world), Some(EAST));
    // From here on the other one answers the probes that are under way.
    world.answers.remove(&EAST);
    world.answers.insert(WEST, second.clone());
    world.trip = S / 2;
    world.wake_until(2 * S);
    assert_eq!(leader(&world), Some(WEST));
    let stale = world.node.stats().count(Stat::MessageStale);
    world.run(received(EAST, Capacity { probe: 7, ..second }));
    assert_eq!(world.node.stats().count(Stat::MessageStale), stale + 1);
    assert_eq!(leader(&world), Some(WEST));
    let sent = world.run(called(1, submit("k", &plan("p"))));
    assert!(sent.iter().any(|line| line.starts_with("n20 offer")), "{sent:?}");
}

/// S-194: every transition is told once, and the recovery clears it.
#[test]
fn alerts_are_told_once_for_each_transition() {
    let mut world = World::led(2);
    let count = |world: &World, stat| world.node.stats().count(stat);
    assert_eq!(count(&world, Stat::DatacenterReached), 2);
    assert_eq!(count(&world, Stat::RegistrationMoved), 2);
    let west = world.answers.remove(&WEST).unwrap();
    world.wake_until(30 * S);
    let expected = [(Stat::DatacenterSuspected, 1), (Stat::DatacenterUnreachable, 1)];
    for (stat, times) in expected {
        assert_eq!(count(&world, stat), times, "{stat:?}");
    }
    assert_eq!(count(&world, Stat::DatacenterFailed), 2, "degraded, then unhealthy");
    world.answers.insert(WEST, west);
    world.wake_until(30 * S);
    assert_eq!(count(&world, Stat::DatacenterReached), 3);
    assert_eq!(count(&world, Stat::DatacenterFailed), 2);
    assert_eq!(count(&world, Stat::DatacenterWell), 3, "two at the start");
    assert_eq!(count(&world, Stat::RegistrationMoved), 4);
}

/// S-189: a datacenter that comes and goes is held back.
#[test]
fn a_datacenter_that_flaps_is_held_back() {
    let mut world = World::led(2);
    for _ in 0..3 {
        let west = world.answers.remove(&WEST).unwrap();
        world.wake_until(5 * S);
        world.answers.insert(WEST, west);
        world.wake_until(25 * S);
    }
    assert_eq!(world.node.stats().count(Stat::DatacenterFlaps), 1);
    assert_eq!(classes(&world), [Healthy, Degraded], "though it answers");
    world.wake_until(60 * S);
    assert_eq!(classes(&world), [Healthy, Healthy]);
}

#[test]
fn a_gate_that_knows_no_datacenter_refuses_for_the_moment() {
    let mut world = World::fresh(config(2));
    let answers = std::mem::take(&mut world.answers);
    world.run(Input::Wake);
    let refused = Reply::Refused(Refusal::NotReady);
    assert_eq!(world.ask_now(submit("k", &plan("p"))), refused);
    let standing = &world.node.role().standings(world.now)[0];
    assert_eq!(standing.registration, Registration::Awaiting);
    assert_eq!(standing.reachability, Reachability::Unreachable);
    world.answers = answers;
    world.wake_until(S);
    let job = world.submit("k", &plan("p"));
    assert_eq!(place(&world, job), "east");
}

#[test]
fn a_part_waits_for_a_datacenter_and_its_job_fails_in_time_with_the_reason() {
    let mut world = World::fresh(config(1));
    world.answers.insert(EAST, Capacity { workers: 0, ..Capacity::default() });
    world.run(Input::Wake);
    world.wake_until(S);
    let job = world.submit("k", &plan("p"));
    let other = world.submit("l", &plan("p"));
    assert_eq!(place(&world, job), "");
    let told = explained(&mut world, job);
    assert!(told.decisions.is_empty());
    assert_eq!(told.reason, "east: unhealthy, no worker that stays");
    world.wake_until(10 * S);
    world.answers.insert(EAST, capacity(4));
    world.wake_until(2 * S);
    assert_eq!((place(&world, job), place(&world, other)), ("east".into(), "east".into()));

    let mut world = World::fresh(config(1));
    world.answers.insert(EAST, Capacity { workers: 0, ..Capacity::default() });
    world.run(Input::Wake);
    world.wake_until(S);
    let job = world.submit("k", &plan("p"));
    world.wake_until(32 * S);
    let job = world.node.role().ledger().job(job).unwrap();
    let reason = "no datacenter is left to run it (east: unhealthy, no worker that stays)";
    assert_eq!((job.status, job.reason.as_str()), (JobStatus::Failed, reason));
}

#[test]
fn a_placing_is_explained_by_its_entry_and_survives_a_restart() {
    let mut world = World::led(2);
    world.answers.insert(WEST, capacity(0));
    world.wake_until(S);
    let job = world.submit("k", &plan("p"));
    let told = explained(&mut world, job);
    let [decided] = told.decisions.as_slice() else { panic!("{told:?}") };
    assert_eq!((decided.decision.gate, decided.decision.why), (GATE, Why::Best));
    let seen: Vec<_> =
        decided.decision.candidates.iter().map(|c| (c.name.as_str(), c.class, c.verdict)).collect();
    let expected = [("east", Healthy, Verdict::Chosen), ("west", Busy, Verdict::Fallback)];
    assert_eq!(seen, expected);
    world.crash();
    world.run(Input::Wake);
    assert_eq!(explained(&mut world, job), told);
    let missing = JobId::new(99);
    let refused = Reply::Refused(Refusal::NoSuchJob(missing));
    assert_eq!(world.ask(Command::Explain(missing)), refused);
}
