//! Three gates: who owns a job, who answers, and what a gate that is cut off may not do.

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::ids::JobId;
use hyperscale_core::machine::Role;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::Message;

use super::group::{Gates, gate};
use super::world::{S, ended, plan, submit};

fn status(all: &mut Gates, n: usize, job: JobId) -> JobStatus {
    match all.answer(n, Command::Status(job)) {
        Reply::Status(view) => view.status,
        other => panic!("{other:?}"),
    }
}

fn running(all: &mut Gates, n: usize, key: &str) -> JobId {
    let job = all.submit(n, key);
    all.until(5 * S, |all| all.role(n).ledger().job(job).unwrap().status == JobStatus::Running);
    job
}

fn follower(all: &Gates) -> usize {
    (all.leader().unwrap() + 1) % 3
}

#[test]
fn the_gate_that_is_asked_owns_the_job_and_every_gate_answers_for_it() {
    let mut all = Gates::new(3);
    for n in 0..3 {
        let job = running(&mut all, n, &format!("k{n}"));
        assert_eq!(all.owner(job), Some(n));
        all.finish(job);
        all.run_for(S);
        for other in 0..3 {
            assert_eq!(status(&mut all, other, job), JobStatus::Completed);
            let Reply::Result(_) = all.answer(other, Command::Result(job)) else { panic!() };
        }
    }
    all.run_for(S);
    assert!((0..3).all(|n| all.role(n).is_idle()));
}

#[test]
fn one_key_at_three_gates_at_once_makes_one_job() {
    let mut all = Gates::new(3);
    let calls = [0, 1, 2].map(|n| all.ask(n, submit("k", &plan("p"))));
    let other = all.ask(0, submit("k", &plan("q")));
    all.run_for(S);
    let answers = calls.map(|call| match all.replies[&call] {
        Reply::Submitted { job, existing } => (job, existing),
        ref other => panic!("{other:?}"),
    });
    assert!(answers.iter().all(|(job, _)| *job == answers[0].0), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, existing)| !existing).count(), 1, "{answers:?}");
    assert_eq!(all.replies[&other], Reply::Refused(Refusal::KeyReused(answers[0].0)));
    assert_eq!(all.role(0).jobs().count(), 1);
}

#[test]
fn a_dead_owner_is_followed_by_one_with_a_higher_fence_that_goes_on() {
    for leads in [false, true] {
        let mut all = Gates::new(3);
        let n = if leads { all.leader().unwrap() } else { follower(&all) };
        let job = running(&mut all, n, "k");
        let fence = all.role(n).ledger().job(job).unwrap().owner.fence;
        let last = all.published.last().unwrap().1.seq;
        all.crash(n);
        all.run_for(S);
        assert_eq!(all.owner(job), None, "its session may last");
        all.until(6 * S, |all| all.owner(job).is_some());
        let heir = all.owner(job).unwrap();
        assert!(all.role(heir).ledger().job(job).unwrap().owner.fence > fence);
        all.run_for(S);
        assert_eq!(all.reports_to(job), gate(heir));
        let claims = all.told.iter().filter(|(_, msg)| matches!(msg, Message::Claim(_)));
        assert_eq!(claims.count(), 1, "answered");
        all.finish(job);
        all.run_for(S);
        assert_eq!(status(&mut all, heir, job), JobStatus::Completed);
        let (_, update) = all.published.last().unwrap();
        assert!(update.seq > last && update.view.status == JobStatus::Completed);
        all.start(n);
        all.run_for(3 * S);
        assert_eq!(status(&mut all, n, job), JobStatus::Completed);
    }
}

#[test]
fn a_part_that_was_accepted_and_not_begun_is_begun_by_the_heir() {
    let mut all = Gates::new(3);
    let n = follower(&all);
    all.works = false;
    let job = all.submit(n, "k");
    all.run_for(S / 10);
    all.works = true;
    all.crash(n);
    all.until(10 * S, |all| (0..3).any(|n| all.owner(job) == Some(n) && all.has_begun(n, job)));
    let heir = all.owner(job).unwrap();
    assert_ne!(heir, n);
    all.finish(job);
    all.run_for(S);
    assert_eq!(status(&mut all, heir, job), JobStatus::Completed);
}

#[test]
fn a_gate_that_restarts_in_time_owns_its_jobs_under_a_new_session() {
    let mut all = Gates::new(3);
    let n = follower(&all);
    let job = running(&mut all, n, "k");
    let before = all.role(n).ledger().job(job).unwrap().owner;
    all.crash(n);
    all.start(n);
    all.until(S, |all| all.owner(job) == Some(n));
    let owner = all.role(n).ledger().job(job).unwrap().owner;
    assert!(owner.fence > before.fence && owner.session > before.session);
    let leader = all.leader().unwrap();
    assert_eq!(all.count(leader, Stat::SessionExpired), 0);
}

#[test]
fn a_minority_refuses_reads_and_writes_in_time() {
    let mut all = Gates::new(3);
    let n = all.leader().unwrap();
    let job = running(&mut all, n, "k");
    all.cut(n);
    all.run_for(S / 2);
    let read = all.ask(n, Command::Status(job));
    let write = all.ask(n, submit("more", &plan("p")));
    let cancel = all.ask(n, Command::Cancel(job));
    all.run_for(2 * S + S / 100);
    assert_eq!(all.replies[&read], Reply::Refused(Refusal::NotReady));
    assert_eq!(all.replies.get(&write), None);
    all.run_for(3 * S);
    for call in [write, cancel] {
        assert_eq!(all.replies[&call], Reply::Refused(Refusal::OutcomeUnknown));
    }
    assert_eq!(all.count(n, Stat::QuorumMissed), 3);
    let heir = all.owner(job).expect("the majority goes on");
    assert_ne!(heir, n);
    assert_eq!(status(&mut all, heir, job), JobStatus::Running);
    // What it had promised to try comes to pass when it is heard again, once.
    all.heal();
    all.run_for(3 * S);
    let statuses = [0, 1, 2].map(|n| status(&mut all, n, job));
    assert_eq!(statuses, [JobStatus::Cancelled; 3]);
    let Reply::Submitted { existing: true, .. } = all.answer(heir, submit("more", &plan("p")))
    else {
        panic!("the write came to pass")
    };
}

#[test]
fn what_a_deposed_owner_decided_changes_nothing() {
    let mut all = Gates::new(3);
    let n = follower(&all);
    let job = running(&mut all, n, "k");
    all.cut(n);
    // It hears of the end while its session lasts, and no gate hears what it decides.
    all.hear(n, job, ended(WorkflowStatus::Failed));
    all.until(6 * S, |all| all.owner(job).is_some_and(|owner| owner != n));
    let heir = all.owner(job).unwrap();
    all.heal();
    all.run_for(3 * S);
    assert_eq!([0, 1, 2].map(|n| all.count(n, Stat::OwnerFenced)), [1; 3], "all refuse it");
    assert_eq!([0, 1, 2].map(|n| status(&mut all, n, job)), [JobStatus::Running; 3]);
    assert_eq!(all.owner(job), Some(heir));
    all.finish(job);
    all.run_for(S);
    assert_eq!(status(&mut all, n, job), JobStatus::Completed);
}

#[test]
fn a_report_to_another_gate_is_sent_on() {
    let mut all = Gates::new(3);
    let job = running(&mut all, 1, "k");
    all.run_for(S / 10);
    all.report_to(2, job);
    all.run_for(S / 10);
    assert_eq!(all.reports_to(job), gate(1));
    assert_eq!(all.count(2, Stat::ReportRedirected), 1);
}

#[test]
fn a_watcher_is_sent_to_the_owner_and_told_when_that_changes() {
    let mut all = Gates::new(3);
    let job = running(&mut all, 1, "k");
    let watch = |after| Command::Watch { job, after };
    let elsewhere = Reply::Refused(Refusal::Elsewhere { gate: gate(1) });
    assert_eq!(all.answer(0, watch(0)), elsewhere);
    let Reply::Watching { updates, truncated: false } = all.answer(1, watch(0)) else {
        panic!("watches")
    };
    let last = updates.last().unwrap().seq;
    all.cut(1);
    all.run_for(3 * S);
    let (from, told) = all.published.iter().find(|(_, update)| update.moved).expect("told");
    assert_eq!((*from, told.seq), (gate(1), last));
    all.until(6 * S, |all| all.owner(job).is_some());
    all.heal();
    all.run_for(S);
    let heir = all.owner(job).unwrap();
    let elsewhere = Reply::Refused(Refusal::Elsewhere { gate: gate(heir) });
    assert_eq!(all.answer(1, watch(last)), elsewhere);
    let Reply::Watching { updates, truncated: true } = all.answer(heir, watch(last)) else {
        panic!("watches on")
    };
    assert!(updates.iter().all(|update| update.seq > last) && !updates.is_empty());
}

#[test]
fn draining_moves_jobs_and_leadership() {
    let mut all = Gates::new(3);
    let n = all.leader().unwrap();
    let jobs = ["a", "b", "c"].map(|key| running(&mut all, n, key));
    all.moving = true;
    all.drain(n);
    assert!(!all.role(n).is_drained());
    let refused = Reply::Refused(Refusal::Draining);
    assert_eq!(all.answer(n, submit("new", &plan("p"))), refused);
    all.until(5 * S, |all| all.role(n).is_drained());
    assert_ne!(all.leader(), Some(n));
    let owners = jobs.map(|job| all.owner(job).expect("owned"));
    assert!(owners.iter().all(|owner| *owner != n), "{owners:?}");
    assert!((0..3).filter(|n| owners.contains(n)).count() == 2, "shared out: {owners:?}");
    all.crash(n);
    for job in jobs {
        all.finish(job);
    }
    all.run_for(2 * S);
    let heir = owners[0];
    for job in jobs {
        assert_eq!(status(&mut all, heir, job), JobStatus::Completed);
    }
}

#[test]
fn a_gate_that_was_away_for_long_catches_up_and_serves() {
    let mut all = Gates::new(3);
    let n = follower(&all);
    let other = all.leader().unwrap();
    all.crash(n);
    let jobs: Vec<_> = (0..30).map(|i| running(&mut all, other, &format!("k{i}"))).collect();
    all.start(n);
    all.until(5 * S, |all| all.role(n).session().is_some());
    for job in &jobs {
        assert_eq!(status(&mut all, n, *job), JobStatus::Running);
    }
    for job in jobs {
        all.finish(job);
    }
    all.run_for(2 * S);
    assert!((0..3).all(|n| all.role(n).ledger().live_count() == 0));
}
