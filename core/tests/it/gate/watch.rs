//! Updates resume by sequence number and say when some are gone.

use std::time::Duration;

use hyperscale_core::api::{Command, JobView, Reply, Update};
use hyperscale_core::ids::JobId;
use hyperscale_core::input::Input;
use hyperscale_core::limits::{UPDATES_ALL_MAX, UPDATES_MAX};
use hyperscale_core::machine::Role;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::stats::Recorder;
use hyperscale_core::wire::{Capacity, PartPhase};

use super::world::*;

fn watch(world: &mut World, job: JobId, after: u64) -> (Vec<Update>, bool) {
    match world.ask(Command::Watch { job, after }) {
        Reply::Watching { updates, truncated } => (updates, truncated),
        other => panic!("{other:?}"),
    }
}

fn report(world: &mut World, job: JobId, seq: u64) {
    let mut running = world.heard(job, seq, PartPhase::Running);
    running.workflows.push(live(seq, totals(seq, 0))).unwrap();
    world.report(EAST, running);
}

#[test]
fn a_watcher_resumes_where_it_stopped() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let (all, truncated) = watch(&mut world, job, 0);
    assert!(!truncated);
    let statuses: Vec<_> = all.iter().map(|update| update.view.status).collect();
    let running = JobStatus::Running;
    assert_eq!(statuses, [JobStatus::Submitted, JobStatus::Dispatching, running, running]);
    report(&mut world, job, 7);
    let (next, truncated) = watch(&mut world, job, all[3].seq);
    assert_eq!((next.len(), truncated), (1, false));
    assert_eq!(*next[0].view.workflows[0].totals, totals(7, 0));
    assert_eq!(next[0].seq, all[3].seq + 1);
    assert_eq!(watch(&mut world, job, next[0].seq), (vec![], false));
}

#[test]
fn what_is_not_kept_is_told() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let (first, _) = watch(&mut world, job, 0);
    for seq in 0..UPDATES_MAX as u64 {
        report(&mut world, job, 10 + seq);
    }
    let (kept, truncated) = watch(&mut world, job, first[1].seq);
    assert_eq!((kept.len(), truncated), (UPDATES_MAX, true));
    assert!(!watch(&mut world, job, first[3].seq).1);
    assert!(kept.is_sorted_by(|a, b| a.seq + 1 == b.seq));
}

#[test]
fn all_jobs_together_keep_so_many() {
    let mut world = World::led(1);
    world.answers.insert(EAST, Capacity { cores: 64, free: 64, ..capacity(4) });
    world.wake_until(Duration::from_secs(3));
    let jobs: Vec<_> = (0..6).map(|i| world.submit(&format!("k{i}"), &plan("p"))).collect();
    for job in &jobs {
        world.begin(*job);
    }
    for seq in 0..1000 {
        for job in &jobs {
            report(&mut world, *job, 10 + seq);
        }
    }
    let kept: usize = jobs.iter().map(|job| watch(&mut world, *job, 0).0.len()).sum();
    assert_eq!(kept, UPDATES_ALL_MAX);
    world.node.role().check_all().unwrap();
}

#[test]
fn a_later_boot_continues_above_and_says_that_earlier_updates_are_gone() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let (before, _) = watch(&mut world, job, 0);
    world.crash();
    world.run(Input::Wake);
    let (after, truncated) = watch(&mut world, job, before[3].seq);
    assert!(truncated);
    assert_eq!(after.len(), 1, "where it stands");
    assert_eq!(after[0].view.status, JobStatus::Running);
    assert!(after[0].seq > before[3].seq);
    assert_eq!(watch(&mut world, job, after[0].seq), (vec![], false));
}

#[test]
fn a_watcher_of_an_ended_job_hears_its_end_with_the_figures_of_the_result() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let done = world.heard(job, 3, ended(WorkflowStatus::Completed));
    world.report(EAST, done);
    let (all, _) = watch(&mut world, job, 0);
    world.crash();
    world.run(Input::Wake);
    let (again, _) = watch(&mut world, job, 0);
    assert_eq!(again.len(), 1);
    let told = JobView { windows: Vec::new(), ..(*all.last().unwrap().view).clone() };
    assert_eq!(*again[0].view, told, "windows are not kept over a restart");
    assert_eq!(again[0].view.status, JobStatus::Completed);
    assert_eq!(*again[0].view.workflows[0].totals, totals(100, 1));
}

#[test]
fn only_the_newest_kept_update_has_its_histograms() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    world.begin(job);
    let mut recorder = Recorder::new();
    recorder.record(7);
    for seq in 7..10 {
        let mut figures = totals(seq, 0);
        figures.iteration_duration = recorder.snapshot();
        let mut running = world.heard(job, seq, PartPhase::Running);
        running.workflows.push(live(seq, figures)).unwrap();
        world.report(EAST, running);
    }
    let (updates, _) = watch(&mut world, job, 0);
    let (newest, older) = updates.split_last().unwrap();
    let samples = |update: &Update| {
        let live = update.view.workflows.iter();
        live.map(|view| view.totals.iteration_duration.count()).sum::<u64>()
    };
    assert!(older.len() > 2);
    assert!(samples(newest) > 0);
    assert!(older.iter().all(|update| samples(update) == 0));
}
