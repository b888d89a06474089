//! Whatever is durable when a gate dies, the next boot goes on from there.

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::gate::models::{Job, Owner};
use hyperscale_core::ids::{JobId, LogIndex, Lsn, Term};
use hyperscale_core::input::Input;
use hyperscale_core::journal::{LedgerSnapshot, Record, RecoverError, Recovered, Snapshot};
use hyperscale_core::machine::Role;
use hyperscale_core::node::Node;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::wire::PartPhase;

use super::world::*;

/// One life of a job with a crash after `cut` records were made durable: what happens until it has
/// ended.
fn live_through(cut: usize, cancel: bool) -> (JobStatus, usize) {
    let mut world = World::fresh(config(1));
    let mut records = 0;
    let mut crashed = false;
    let mut acknowledged = None;
    for round in 1..100 {
        let state = acknowledged.and_then(|job| Some((job, world.node.role().ledger().job(job)?)));
        let input = match state {
            Some((_, job)) if job.status.is_terminal() => return (job.status, records),
            _ if !world.node.role().leads() => Input::Wake,
            None => called(round, submit("k", &plan("p"))),
            Some((id, job)) => match &job.parts[0] {
                part if part.offer.is_none() => Input::Wake,
                part if part.begun.is_none() && job.cancel.is_none() => {
                    received(EAST, world.heard(id, round, PartPhase::Accepted))
                }
                _ if cancel && job.cancel.is_none() => called(round, Command::Cancel(id)),
                _ => {
                    let status =
                        if cancel { WorkflowStatus::Cancelled } else { WorkflowStatus::Completed };
                    received(EAST, world.heard(id, round, ended(status)))
                }
            },
        };
        world.step(input);
        while world.journal.last().is_some_and(|(lsn, _)| *lsn > world.durable) {
            if records == cut && !crashed {
                crashed = true;
                world.crash();
                break;
            }
            world.sync(1);
            records += 1;
        }
        for effect in world.released() {
            if let hyperscale_core::effect::Effect::Reply { reply, .. } = effect
                && let Reply::Submitted { job, .. } = *reply
            {
                assert!(acknowledged.is_none_or(|known| known == job), "one job per key");
                acknowledged = Some(job);
            }
        }
        world.node.role().check_all().unwrap();
        assert!(world.node.role().jobs().count() <= 1, "one job per key");
    }
    panic!("never ended");
}

#[test]
fn every_durable_prefix_leads_to_the_same_end() {
    for (cancel, expected) in [(false, JobStatus::Completed), (true, JobStatus::Cancelled)] {
        let (status, all) = live_through(usize::MAX, cancel);
        assert_eq!(status, expected);
        assert!(all >= 8, "{all} records");
        for cut in 0..all {
            assert_eq!(live_through(cut, cancel).0, expected, "crash after {cut} records");
        }
    }
}

#[test]
fn a_restart_continues_every_duty_and_its_clock() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.crash();
    // Booted, Ballot, the term's entry, the session, the job.
    let sent = ["n10 claim j3/p0 f7 @l12", "n10 offer j3/p0 f4 @l12"];
    assert_eq!(world.run(Input::Wake), sent);
    let accepted = world.heard(job, 1, PartPhase::Accepted);
    world.report(EAST, accepted);
    world.wake_until(70 * S);
    world.crash();
    let sent = ["n10 claim j3/p0 f11 @l18", "n10 begin j3/p0 f8 of f4 @l18"];
    assert_eq!(world.run(Input::Wake), sent);
    world.wake_until(74 * S);
    assert_eq!(world.node.role().ledger().job(job).unwrap().status, JobStatus::Running);
    world.wake_until(S);
    assert_eq!(world.node.role().ledger().job(job).unwrap().status, JobStatus::TimedOut);
}

#[test]
fn claims_are_sent_until_a_report_arrives() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    world.crash();
    assert_eq!(world.run(Input::Wake).len(), 2);
    let claim = |(_, line): &(u64, String)| line == "n10 claim j3/p0 f8 @l13";
    assert_eq!(world.wake_until(5 * S).iter().filter(|sent| claim(sent)).count(), 3);
    let running = world.heard(job, 9, PartPhase::Running);
    world.report(EAST, running);
    assert_eq!(world.wake_until(20 * S), []);
}

#[test]
fn reports_before_leading_change_nothing() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    let accepted = world.heard(job, 1, PartPhase::Accepted);
    world.crash();
    let effects = world.step(received(EAST, accepted.clone()));
    assert!(effects.iter().all(|effect| !line(effect).contains("begin")), "{effects:?}");
    world.run(Input::Wake);
    world.report(EAST, accepted);
    assert_eq!(world.node.role().ledger().job(job).unwrap().status, JobStatus::Running);
}

#[test]
fn recovery_gives_the_live_state_with_and_without_a_snapshot() {
    for entries in [1, 3, 1000] {
        let mut config = config(1);
        config.checkpoint_entries = entries;
        let mut world = World::fresh(config);
        world.run(Input::Wake);
        let done = world.submit("a", &plan("p"));
        world.begin(done);
        let report = world.heard(done, 3, ended(WorkflowStatus::Completed));
        world.report(EAST, report);
        let live = world.submit("b", &plan("p"));
        world.begin(live);
        assert_eq!(world.snapshot.is_some(), entries < 1000);
        let jobs = |world: &World| {
            let without_owner =
                |(id, job): (JobId, &Job)| (id, Job { owner: Owner::default(), ..job.clone() });
            world.node.role().jobs().map(without_owner).collect::<Vec<_>>()
        };
        let before = (world.node.role().durable_digest(), jobs(&world));
        world.crash();
        let digest = world.node.role().durable_digest();
        world.run(Input::Wake);
        assert_eq!((digest, jobs(&world)), before);
        assert_eq!(world.node.role().ledger().job(done).unwrap().status, JobStatus::Completed);
        assert_eq!(
            world.ask(submit("c", &plan("p"))),
            Reply::Submitted {
                job: JobId::new(world.node.role().jobs().next_back().unwrap().0.get()),
                existing: false
            }
        );
    }
}

#[test]
fn a_managers_disk_is_refused() {
    let boot = hyperscale_core::ids::Boot {
        id: hyperscale_core::ids::BootId::new(1),
        entropy: 1,
        disk: hyperscale_core::ids::DiskId::new(1),
    };
    let entry = hyperscale_core::consensus::Entry {
        term: Term::new(1),
        index: LogIndex::new(1),
        origin: None,
        payload: hyperscale_core::consensus::Payload::Opened,
    };
    let records = vec![(Lsn::new(1), Record::Manager(entry))];
    let foreign = RecoverError::ForeignRecord { lsn: Lsn::new(1), found: "manager", role: "gate" };
    let disk = Recovered { snapshot: None, records, last: Lsn::new(1) };
    let refused = Node::<hyperscale_core::gate::Gate>::recover(GATE, config(1), boot, disk);
    assert_eq!(refused.err(), Some(foreign.clone()));
    let snapshot = Snapshot {
        head: hyperscale_core::consensus::Head::default(),
        ledger: LedgerSnapshot::Manager(Box::default()),
    };
    let disk =
        Recovered { snapshot: Some((Lsn::new(1), snapshot)), records: vec![], last: Lsn::new(1) };
    let refused = Node::<hyperscale_core::gate::Gate>::recover(GATE, config(1), boot, disk);
    assert_eq!(refused.err(), Some(foreign));
}
