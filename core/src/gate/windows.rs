//! Windows of live jobs: what was measured per plan second, over all their datacenters.
//!
//! In: every accepted live view and every committed result of a part. A part's totals are cut by
//! its manager at a whole plan second, so that differences of them are windows; parts are aligned
//! on plan time by the same cut (`stats::Cutter`). A boundary waits for every part whose workflow
//! has not ended there, at most `LATE_AFTER` behind the part that is furthest: a part that is cut
//! off delays windows and makes them incomplete, and what it measured is in a later one.
//! Totals that fall (a new leader of a datacenter knows nothing of a run that was lost with the old
//! one) are written off, not taken out of windows. At every step, for every workflow: what is
//! before the kept windows, the windows and what is open are the totals shown and what is written
//! off (windows-sum). Kept by the gate that acts for the job, and after the job's end as long as
//! its history. Another owner starts with one wide window.
//! Bounds: those of `Series` per workflow, and `WINDOW_CELLS_MAX` for all.

use std::collections::BTreeMap;

use super::Gate;
use super::models::Job;
use super::stats::{self, final_view};
use crate::api::{JobStats, JobView, Reply, WindowView, WorkflowStats};
use crate::ids::{JobId, PartId, PartIx, WorkflowIx};
use crate::invariant::{Inv, Violation};
use crate::limits::WINDOW_CELLS_MAX;
use crate::machine::Cx;
use crate::report::{PartResult, WorkflowView};
use crate::stat::Stat;
use crate::stats::{Cutter, Histogram, Series, Totals, Window};

/// How many plan seconds a part may lag behind another before windows are closed without it: a
/// datacenter whose workers report every ten seconds, with one of them late.
const LATE_AFTER: u32 = 20;

/// The windows of every job that this gate acts for, or acted for to the end.
#[derive(Debug, Default)]
pub(super) struct Windows {
    all: BTreeMap<(JobId, WorkflowIx), Line>,
    cells: usize,
}

/// The windows of a workflow.
#[derive(Debug, Default)]
pub struct Line {
    cutter: Cutter<PartIx>,
    known: BTreeMap<PartIx, Known>,
    written_off: Totals,
    series: Series,
    /// The plan second in which this gate first looked, and the furthest.
    looked: Option<u32>,
    furthest: u32,
}

#[derive(Debug, Default)]
struct Known {
    second: u32,
    totals: Totals,
}

impl Line {
    /// The closed windows.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// What is in no closed window.
    pub fn rest(&self) -> Totals {
        self.cutter.rest()
    }

    /// What was shown and is no part of the totals any more.
    pub fn written_off(&self) -> &Totals {
        &self.written_off
    }

    /// The totals by the newest views and results of all parts.
    pub fn shown(&self) -> Totals {
        let mut shown = Totals::default();
        self.known.values().for_each(|known| shown.merge(&known.totals));
        shown
    }

    fn on_totals(&mut self, cx: &mut Cx<'_>, part: PartIx, second: u32, totals: Totals) {
        let known = self.known.entry(part).or_default();
        let gain = totals.since(&known.totals);
        let fell = known.totals.since(&totals);
        if !fell.is_zero() {
            cx.count(Stat::TotalsRestated);
            self.written_off.merge(&fell);
        }
        let second = second.max(known.second);
        *known = Known { second, totals };
        self.cutter.credit(part, second, &gain);
    }

    fn advance(&mut self, cx: &mut Cx<'_>, plan_second: u32) {
        self.furthest = self.furthest.max(plan_second);
        let looked = *self.looked.get_or_insert(plan_second);
        let patient = self.furthest < looked.saturating_add(LATE_AFTER);
        let overdue = if patient { 0 } else { self.furthest.saturating_sub(LATE_AFTER) };
        while let Some(window) = self.cutter.pop(overdue) {
            self.keep(cx, window);
        }
    }

    fn flush(&mut self, cx: &mut Cx<'_>) {
        while let Some(window) = self.cutter.flush() {
            self.keep(cx, window);
        }
    }

    fn keep(&mut self, cx: &mut Cx<'_>, window: Window) {
        cx.count(Stat::WindowClosed);
        if window.shards < window.of {
            cx.count(Stat::WindowIncomplete);
        }
        self.series.push(window);
        cx.count_many(Stat::WindowFolded, self.series.take_folded());
    }
}

impl Windows {
    /// A live view of a part was accepted; `parts`: every part of the job.
    pub(super) fn on_views(
        &mut self,
        cx: &mut Cx<'_>,
        id: PartId,
        (parts, views): (&[PartIx], &[WorkflowView]),
    ) {
        for view in views {
            let line = self.all.entry((id.job, view.workflow)).or_default();
            if line.known.is_empty() {
                parts.iter().for_each(|part| line.cutter.open(*part, 0, (0, 0)));
            }
            let totals = view.totals.brief();
            if view.status.is_terminal() {
                // By the clocks of their workers, runs may have ended beyond the workflow's end.
                let shards = u32::from(view.shards).max(1);
                line.cutter.open(id.part, 0, (shards, shards));
                line.on_totals(cx, id.part, view.plan_time.seconds_begun(), totals);
                line.cutter.close(id.part);
            } else if line.cutter.has(id.part) {
                if line.known.get(&id.part).is_none_or(|known| view.second > known.second) {
                    line.on_totals(cx, id.part, view.second, totals);
                }
                let shards = (u32::from(view.shards), u32::from(view.shards_late));
                line.cutter.open(id.part, 0, shards);
            }
            line.advance(cx, view.plan_time.second());
        }
        self.fit(cx);
    }

    /// A part ended, with a result or without; `parts`: those that have not ended.
    fn on_part_ended(
        &mut self,
        cx: &mut Cx<'_>,
        id: PartId,
        (parts, result): (&[PartIx], Option<&PartResult>),
    ) {
        let results = result.into_iter().flat_map(|result| result.workflows.iter());
        let views = results.map(final_view).collect::<Vec<_>>();
        self.on_views(cx, id, (parts, &views));
        for (_, line) in self.all.range_mut(of(id.job)) {
            line.cutter.close(id.part);
        }
    }

    /// A job ended with these totals of its workflows: what is not in its result is written off,
    /// and what is open is closed.
    pub(super) fn on_job_ended(&mut self, cx: &mut Cx<'_>, id: JobId, job: &Job) {
        for (part, end) in job.numbered() {
            self.on_part_ended(cx, PartId { job: id, part }, (&[], end.reported()));
            let gone = end.reported().is_none_or(|result| result.workflows.is_empty());
            for (_, line) in self.all.range_mut(of(id)).filter(|_| gone) {
                if line.known.contains_key(&part) {
                    line.on_totals(cx, part, 0, Totals::default());
                }
            }
        }
        for (_, line) in self.all.range_mut(of(id)) {
            line.flush(cx);
        }
        self.fit(cx);
    }

    /// This gate acts for the job no more.
    pub(super) fn forget(&mut self, job: JobId) {
        self.all.retain(|(id, _), _| *id != job);
    }

    /// Jobs left the history.
    pub(super) fn retain(&mut self, mut known: impl FnMut(JobId) -> bool) {
        self.all.retain(|(job, _), _| known(*job));
    }

    /// The windows of a workflow.
    pub(super) fn line(&self, job: JobId, workflow: WorkflowIx) -> Option<&Line> {
        self.all.get(&(job, workflow))
    }

    /// The newest window of every workflow of a job.
    pub(super) fn newest(&self, job: JobId) -> Vec<WindowView> {
        let newest = |((_, ix), line): (&(JobId, WorkflowIx), &Line)| {
            line.series.newest().map(|window| shown(*ix, window))
        };
        self.all.range(of(job)).filter_map(newest).collect()
    }

    /// Every kept window of a job, added up to `width` plan seconds.
    pub(super) fn regrouped(&self, job: JobId, width: u32) -> Vec<WorkflowStats> {
        let of_line = |((_, ix), line): (&(JobId, WorkflowIx), &Line)| WorkflowStats {
            workflow: *ix,
            before: requests(line.series.before()),
            windows: line.series.regrouped(width).iter().map(|one| shown(*ix, one)).collect(),
            open: requests(&line.rest()),
            written_off: requests(&line.written_off),
        };
        self.all.range(of(job)).map(of_line).collect()
    }

    /// Checks the bounds.
    pub(super) fn check(&self) -> Result<(), Violation> {
        if self.cells <= WINDOW_CELLS_MAX {
            return Ok(());
        }
        Err(Violation::new(Inv::Bounded, format!("{} buckets in windows", self.cells)))
    }

    /// Adds up the oldest windows of the longest lists until all fit.
    fn fit(&mut self, cx: &mut Cx<'_>) {
        self.cells = self.all.values().map(|line| line.series.cells()).sum();
        while self.cells > WINDOW_CELLS_MAX {
            let longest = self.all.values_mut().max_by_key(|line| line.series.cells());
            let Some(longest) = longest else { return };
            let before = longest.series.cells();
            if !longest.series.drop_oldest() {
                return;
            }
            cx.count(Stat::WindowEvicted);
            cx.count_many(Stat::WindowFolded, longest.series.take_folded());
            self.cells = self.cells.saturating_sub(before).saturating_add(longest.series.cells());
        }
    }
}

impl Gate {
    /// The windows of a workflow of a job that this gate acts for, or acted for to its end.
    pub fn windows(&self, job: JobId, workflow: WorkflowIx) -> Option<&Line> {
        self.windows.line(job, workflow)
    }

    /// A job as a client sees it, but for its place among those that wait.
    pub(super) fn view_live(&self, id: JobId, job: &Job) -> JobView {
        let live = super::merge::live(id, job, &self.sync);
        stats::view(id, job, &live, self.windows.newest(id))
    }

    /// A live view of a part was accepted.
    pub(super) fn on_views(&mut self, cx: &mut Cx<'_>, part: PartId) {
        let Some(job) = self.ledger.job(part.job) else { return };
        self.windows.on_views(cx, part, (&open_parts(job), self.sync.views(part)));
    }

    /// Parts of a job have ended, by what is committed.
    pub(super) fn on_parts_ended(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.ledger.job(id) else { return };
        let open = open_parts(job);
        for (ix, part) in job.numbered().filter(|(_, part)| part.end.is_some()) {
            let ended = PartId { job: id, part: ix };
            self.windows.on_part_ended(cx, ended, (&open, part.reported()));
        }
    }

    /// The windows of a job, for a client that asks now.
    pub(super) fn pull(&self, cx: &mut Cx<'_>, id: JobId, job: &Job, width: u32) -> Reply {
        cx.count(Stat::WindowsPulled);
        let JobView { name, status, workflow_names, .. } = stats::view(id, job, &[], Vec::new());
        let workflows = self.windows.regrouped(id, width);
        Reply::Stats(Box::new(JobStats { job: id, name, status, workflow_names, workflows }))
    }
}

fn open_parts(job: &Job) -> Vec<PartIx> {
    job.numbered().filter(|(_, part)| part.end.is_none()).map(|(ix, _)| ix).collect()
}

fn of(job: JobId) -> std::ops::RangeInclusive<(JobId, WorkflowIx)> {
    (job, WorkflowIx::new(0))..=(job, WorkflowIx::new(u16::MAX))
}

fn requests(totals: &Totals) -> u64 {
    totals.steps.iter().fold(0, |sum, step| sum.saturating_add(step.requests))
}

fn shown(workflow: WorkflowIx, window: &Window) -> WindowView {
    let totals = &window.totals;
    let mut duration = Histogram::default();
    let (mut failed, mut errors) = (0u64, crate::stats::Errors::default());
    for step in &totals.steps {
        duration.merge(&step.duration);
        failed = failed.saturating_add(step.failed);
        errors.merge(step.errors);
    }
    WindowView {
        workflow,
        from: window.from,
        until: window.until,
        shards: window.shards,
        of: window.of,
        late: window.late,
        iterations: totals.iterations,
        dropped: totals.dropped,
        requests: requests(totals),
        failed,
        errors,
        p50_us: duration.quantile(50_000),
        p95_us: duration.quantile(95_000),
        p99_us: duration.quantile(99_000),
        max_us: duration.max(),
    }
}
