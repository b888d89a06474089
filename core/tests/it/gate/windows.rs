//! Windows of a job over its datacenters: aligned, exact, pushed and pulled.

use hyperscale_core::api::{Command, JobStats, Reply, WindowView};
use hyperscale_core::ids::JobId;
use hyperscale_core::limits::{HISTOGRAM_MAX_US, WINDOW_CELLS_MAX, WINDOWS_HOT_MAX};
use hyperscale_core::report::WorkflowStatus;
use hyperscale_core::stat::Stat;
use hyperscale_core::stats::{Histogram, Recorder, StepTotals, Totals};
use hyperscale_core::wire::PartPhase;

use super::datacenters::{MANAGERS, begun, say, spread};
use super::world::{World, ended, live, totals};

struct Told {
    world: World,
    job: JobId,
    seq: u64,
}

impl Told {
    fn new() -> Self {
        let mut world = World::led(2);
        let job = begun(&mut world, &spread(&[("east", 1), ("west", 1)]));
        Self { world, job, seq: 10 }
    }

    /// A datacenter's totals at a plan second.
    fn live(&mut self, part: u16, second: u64, requests: u64, late: u16) {
        self.seq += 1;
        let mut report = self.world.heard_of(self.job, part, self.seq, PartPhase::Running);
        let mut view = live(second, totals(requests, 0));
        view.shards_late = late;
        report.workflows.push(view).unwrap();
        self.world.report(MANAGERS[usize::from(part)], report);
    }

    fn stats(&mut self, width: u32) -> JobStats {
        match self.world.ask(Command::Stats { job: self.job, width }) {
            Reply::Stats(stats) => *stats,
            other => panic!("{other:?}"),
        }
    }

    fn spans(&mut self, width: u32) -> Vec<(u32, u32, u64, u32, u32, u32)> {
        let stats = self.stats(width);
        let span = |w: &WindowView| (w.from, w.until, w.requests, w.shards, w.of, w.late);
        stats.workflows[0].windows.iter().map(span).collect()
    }
}

#[test]
fn windows_of_datacenters_are_aligned_on_plan_time() {
    let mut told = Told::new();
    for second in 1..=4 {
        told.live(0, second, second * 10, 0);
    }
    assert_eq!(told.spans(1), [], "the other one may have measured something then");
    told.live(1, 2, 50, 0);
    assert_eq!(told.spans(1), [(0, 2, 70, 2, 2, 0)], "it skipped a second");
    told.live(1, 3, 60, 0);
    told.live(1, 4, 75, 0);
    let expected = [(0, 2, 70, 2, 2, 0), (2, 3, 20, 2, 2, 0), (3, 4, 25, 2, 2, 0)];
    assert_eq!(told.spans(1), expected);
    assert_eq!(told.spans(60), [(0, 4, 115, 2, 2, 0)]);
    let Reply::Status(view) = told.world.ask(Command::Status(told.job)) else { panic!() };
    assert_eq!((view.windows[0].until, view.windows[0].requests), (4, 25), "pushed with updates");
    assert_eq!(told.world.node.stats().count(Stat::WindowsPulled), 4);
}

#[test]
fn reordered_and_doubled_views_and_ones_of_unknown_jobs_change_no_window() {
    let mut told = Told::new();
    told.live(0, 1, 10, 0);
    told.live(1, 1, 10, 0);
    told.live(0, 2, 20, 0);
    // A new leader there that has not heard of everything yet.
    told.live(0, 1, 3, 0);
    told.live(0, 2, 20, 0);
    told.live(1, 2, 30, 0);
    assert_eq!(told.spans(1), [(0, 1, 20, 2, 2, 0), (1, 2, 30, 2, 2, 0)]);
    let Reply::Status(view) = told.world.ask(Command::Status(told.job)) else { panic!() };
    assert_eq!(*view.workflows[0].totals, totals(50, 0), "progress never goes back");
    assert_eq!(told.world.node.stats().count(Stat::ViewStale), 1);
    let unknown = Command::Stats { job: JobId::new(999), width: 1 };
    assert!(matches!(told.world.ask(unknown), Reply::Refused(_)));
}

#[test]
fn a_datacenter_that_is_cut_off_makes_windows_incomplete_and_is_in_a_later_one() {
    let mut told = Told::new();
    told.live(1, 1, 10, 0);
    for second in 1..=22 {
        told.live(0, second, second, 0);
    }
    let spans = told.spans(1);
    assert_eq!(spans, [(0, 1, 11, 2, 2, 0), (1, 2, 1, 1, 2, 0)], "20 s behind the furthest");
    told.live(1, 22, 430, 0);
    let spans = told.spans(1);
    assert_eq!(spans[2..], [(2, 22, 440, 2, 2, 1)]);
    told.live(0, 23, 23, 1);
    told.live(1, 23, 440, 0);
    assert_eq!(told.spans(1)[3], (22, 23, 11, 1, 2, 0), "a shard of it is late");
    let sum: u64 = told.spans(1).iter().map(|window| window.2).sum();
    assert_eq!(sum, 463);
}

#[test]
fn totals_that_are_lost_with_their_run_are_written_off_and_the_end_settles_everything() {
    let mut told = Told::new();
    for (part, second, requests) in [(0, 1, 40), (1, 1, 40), (0, 2, 30), (1, 2, 60)] {
        told.live(part, second, requests, 0);
    }
    let stats = told.stats(1);
    assert_eq!(stats.workflows[0].written_off, 10);
    let (mut world, job) = (told.world, told.job);
    say(&mut world, job, 0, 100, ended(WorkflowStatus::Completed));
    say(&mut world, job, 1, 100, ended(WorkflowStatus::Completed));
    let mut told = Told { world, job, seq: 200 };
    let stats = told.stats(1);
    let workflow = &stats.workflows[0];
    let sum: u64 = workflow.windows.iter().map(|window| window.requests).sum();
    assert_eq!((sum + workflow.before, workflow.open), (200 + workflow.written_off, 0));
}

/// A histogram with a sample in about every bucket.
fn wide() -> Histogram {
    let mut recorder = Recorder::default();
    let values = std::iter::successors(Some(0), |us: &u64| Some(us + us / 2_000 + 1));
    values.take_while(|us| *us < HISTOGRAM_MAX_US).for_each(|us| recorder.record(us));
    recorder.snapshot()
}

#[test]
fn windows_of_too_many_buckets_in_all_are_added_up_early_and_nothing_is_lost() {
    let mut told = Told::new();
    let duration = wide();
    let cells = duration.buckets().len();
    let step = StepTotals { requests: duration.count(), duration, ..StepTotals::default() };
    let mut all = StepTotals::default();
    let needed = WINDOW_CELLS_MAX / (cells * 8) + 2;
    assert!(needed < WINDOWS_HOT_MAX, "they are too many before they are too old: {needed}");
    for second in 1..=needed as u64 {
        all.requests += step.requests;
        all.duration.merge(&step.duration);
        let totals = Totals { steps: vec![all.clone(); 8].try_into().unwrap(), ..totals(0, 0) };
        for part in [0, 1] {
            let own = if part == 0 { totals.clone() } else { Totals::default() };
            told.seq += 1;
            let mut report = told.world.heard_of(told.job, part, told.seq, PartPhase::Running);
            report.workflows.push(live(second, own)).unwrap();
            told.world.report(MANAGERS[usize::from(part)], report);
        }
    }
    let stats = told.world.node.stats();
    assert_eq!(stats.count(Stat::WindowEvicted), 2);
    assert_eq!(stats.count(Stat::WindowFolded), 2);
    let line = told.stats(1).workflows.remove(0);
    let kept: u64 = line.windows.iter().map(|window| window.requests).sum();
    assert_eq!((line.windows.len(), line.before), (needed - 2, 2 * 8 * step.requests));
    assert_eq!(kept + line.before, needed as u64 * 8 * step.requests);
    assert_eq!(line.open, 0);
}
