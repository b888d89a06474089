//! The parts of a job added up: live views, results, thresholds over both. Pure.
//!
//! Totals, planned and covered time, workers and shards are sums; histograms are added bucket by
//! bucket, so percentiles of the whole are those of one histogram (totals-exact). A workflow ran as
//! long as in the datacenter where it ran longest, and ended as in the one where it ended worst.
//!
//! A part without a result stands in the sum with nothing covered. If it was begun, it may have
//! issued all of its share: every workflow declares that share as lost, and plans shard time for it
//! in proportion to the shares that reported, so that coverage does not overstate. After a cancel
//! that came before the begin nothing was planned.

use std::time::Duration;

use super::models::{Job, Part, PartEnd};
use super::stats::{final_view, steps};
use super::sync::Sync;
use crate::bounded::BoundedVec;
use crate::ids::{JobId, NodeId, PartId, PartIx, ShardIx, WorkflowIx};
use crate::limits::{DATACENTERS_MAX, THRESHOLDS_MAX};
use crate::plan::threshold::{JobTotalsView, evaluate};
use crate::plan::{Plan, PlanTime, Workflow};
use crate::report::{
    Loss, LossKind, PartOutcome, PartResult, PartRow, ThresholdOutcome, WorkflowResult,
    WorkflowStatus, WorkflowView,
};
use crate::stats::{StepTotals, Totals};

/// The newest live view of a job: of ended parts their results, of the others what they said last.
pub(super) fn live(id: JobId, job: &Job, sync: &Sync) -> Vec<WorkflowView> {
    let mut all: Vec<WorkflowView> = Vec::new();
    for (ix, part) in job.numbered() {
        let ended = part.reported().map(|result| result.workflows.iter().map(final_view));
        let views = match ended {
            Some(views) => views.collect(),
            None => sync.views(PartId { job: id, part: ix }).to_vec(),
        };
        for view in views {
            match all.iter_mut().find(|known| known.workflow == view.workflow) {
                Some(known) => add_view(known, &view),
                None => all.push(view),
            }
        }
    }
    all.sort_by_key(|view| view.workflow);
    all
}

fn add_view(sum: &mut WorkflowView, view: &WorkflowView) {
    sum.second = match (sum.status.is_terminal(), view.status.is_terminal()) {
        (true, true) => sum.second.max(view.second),
        (true, false) => view.second,
        (false, true) => sum.second,
        (false, false) => sum.second.min(view.second),
    };
    sum.status = sum.status.max_by_rank(view.status);
    sum.plan_time = sum.plan_time.max(view.plan_time);
    sum.vus = sum.vus.saturating_add(view.vus);
    sum.shards_live = sum.shards_live.saturating_add(view.shards_live);
    sum.shards = sum.shards.saturating_add(view.shards);
    sum.totals.merge(&view.totals);
    sum.shards_late = sum.shards_late.saturating_add(view.shards_late);
}

/// The parts' results merged, and how each part ended. The job has its plan.
pub(super) fn merged(job: &Job) -> (PartResult, BoundedVec<PartRow, DATACENTERS_MAX>) {
    let mut sum: Option<PartResult> = None;
    let mut rows = BoundedVec::new();
    for (ix, part) in job.numbered() {
        let result = complete(job, ix, part);
        // A job has no more parts than there may be rows.
        let _ = rows.push(row(job, part, &result));
        match &mut sum {
            None => sum = Some(result),
            Some(sum) => add(sum, result),
        }
    }
    let none = || PartResult {
        cancelled: job.cancel.is_some(),
        workers_lost: 0,
        workers: 0,
        workflows: BoundedVec::new(),
    };
    (sum.unwrap_or_else(none), rows)
}

fn add(sum: &mut PartResult, result: PartResult) {
    sum.cancelled |= result.cancelled;
    sum.workers = sum.workers.saturating_add(result.workers);
    sum.workers_lost = sum.workers_lost.saturating_add(result.workers_lost);
    for (sum, more) in sum.workflows.iter_mut().zip(result.workflows.into_vec()) {
        if sum.status.max_by_rank(more.status) != sum.status || sum.reason.is_empty() {
            sum.reason = more.reason;
        }
        sum.status = sum.status.max_by_rank(more.status);
        sum.ran = sum.ran.max(more.ran);
        sum.start_skew = sum.start_skew.max(more.start_skew);
        sum.shards = sum.shards.saturating_add(more.shards);
        sum.totals.merge(&more.totals);
        sum.planned_ms = sum.planned_ms.saturating_add(more.planned_ms);
        sum.covered_ms = sum.covered_ms.saturating_add(more.covered_ms);
        for loss in more.losses.into_vec() {
            loss.declare(&mut sum.losses);
        }
    }
}

/// A part's result with every workflow of the plan in it.
fn complete(job: &Job, ix: PartIx, part: &Part) -> PartResult {
    let mut result = part.reported().cloned().unwrap_or_else(|| PartResult {
        cancelled: job.cancel.is_some(),
        workers_lost: 0,
        workers: 0,
        workflows: BoundedVec::new(),
    });
    if result.workflows.is_empty()
        && let Some(plan) = &job.plan
    {
        for (place, workflow) in (0..).map(WorkflowIx::new).zip(plan.workflows.iter()) {
            // The plan has no more workflows than a result may have.
            let _ = result.workflows.push(absent((job, plan), (ix, part), (place, workflow)));
        }
    } else {
        for workflow in &mut result.workflows {
            if !workflow.reason.is_empty() {
                workflow.reason = job.of(part, &workflow.reason);
            }
        }
    }
    result
}

/// A workflow of a part without a result.
fn absent(
    (job, plan): (&Job, &Plan),
    (ix, part): (PartIx, &Part),
    (place, workflow): (WorkflowIx, &Workflow),
) -> WorkflowResult {
    let lost = part.begun.is_some() && part.reported().is_none();
    let (status, reason) = match &part.end {
        Some(PartEnd::TimedOut) if lost => (WorkflowStatus::Failed, "no result in time"),
        Some(PartEnd::Refused { reason }) => (WorkflowStatus::Failed, reason.as_str()),
        Some(PartEnd::Reported | PartEnd::TimedOut) | None => (WorkflowStatus::Cancelled, ""),
    };
    let reason = if reason.is_empty() { String::new() } else { job.of(part, reason) };
    let empty = steps(workflow).map(|_| StepTotals::default()).collect::<Vec<_>>();
    let totals = Totals { steps: empty.try_into().unwrap_or_default(), ..Totals::default() };
    let mut losses = BoundedVec::new();
    if lost {
        let share = plan.part_share(ix, &workflow.executor);
        let items = share.and_then(|share| share.items(&workflow.executor));
        let duration = workflow.executor.planned_duration();
        let loss = Loss {
            part: ix,
            shard: ShardIx::new(0),
            worker: NodeId::new(0),
            kind: LossKind::Unreported,
            from: PlanTime::ZERO,
            until: PlanTime::at(duration.saturating_add(workflow.graceful_stop)),
            items: items.unwrap_or(u64::MAX),
        };
        loss.declare(&mut losses);
    }
    WorkflowResult {
        workflow: place,
        status,
        reason,
        ran: Duration::ZERO,
        start_skew: Duration::ZERO,
        shards: 0,
        totals: Box::new(totals),
        planned_ms: if lost { planned((job, plan), ix, (place, workflow)) } else { 0 },
        covered_ms: 0,
        losses,
    }
}

/// The shard time of a part without a result: by its weight, as much as those that reported had by
/// theirs; one shard if none did.
fn planned(
    (job, plan): (&Job, &Plan),
    ix: PartIx,
    (place, workflow): (WorkflowIx, &Workflow),
) -> u64 {
    let weights = plan.datacenters.weights();
    let weight = |ix: PartIx| weights.get(usize::from(ix.get())).copied().unwrap_or(0);
    let (mut time, mut known) = (0u128, 0u128);
    for (other, part) in job.numbered() {
        let result = part.reported().and_then(|r| r.workflows.get(usize::from(place.get())));
        let Some(result) = result.filter(|result| result.planned_ms > 0) else { continue };
        time = time.saturating_add(u128::from(result.planned_ms));
        known = known.saturating_add(u128::from(weight(other)));
    }
    if known == 0 {
        let duration = workflow.executor.planned_duration().as_millis();
        return u64::try_from(duration).unwrap_or(u64::MAX);
    }
    let planned = time.saturating_mul(u128::from(weight(ix))).div_ceil(known);
    u64::try_from(planned).unwrap_or(u64::MAX)
}

fn row(job: &Job, part: &Part, result: &PartResult) -> PartRow {
    let told = part.reported().map(|result| result.workflows.iter());
    let failed = told.into_iter().flatten().find(|w| w.status == WorkflowStatus::Failed);
    let (outcome, reason) = match &part.end {
        Some(PartEnd::Refused { reason }) => (PartOutcome::Refused, reason.clone()),
        Some(PartEnd::TimedOut) if part.is_missing() => {
            (PartOutcome::Missing, "no result in time".to_owned())
        }
        Some(PartEnd::Reported) if result.cancelled => (PartOutcome::Cancelled, String::new()),
        Some(PartEnd::Reported) => match failed {
            Some(failed) => (PartOutcome::Failed, failed.reason.clone()),
            None => (PartOutcome::Completed, String::new()),
        },
        Some(PartEnd::TimedOut) => {
            let reason = "cancelled before it began, and not heard of since";
            (PartOutcome::Cancelled, reason.to_owned())
        }
        None => (PartOutcome::Cancelled, job.reason.clone()),
    };
    let sum = |of: fn(&WorkflowResult) -> u64| {
        result.workflows.iter().map(of).fold(0, u64::saturating_add)
    };
    PartRow {
        datacenter: part.datacenter.clone(),
        outcome,
        reason,
        workers: result.workers,
        workers_lost: result.workers_lost,
        planned_ms: sum(|workflow| workflow.planned_ms),
        covered_ms: sum(|workflow| workflow.covered_ms),
    }
}

/// Every threshold of a job that is about to end, with its outcome over the merged result.
pub(super) fn outcomes(job: &Job) -> BoundedVec<ThresholdOutcome, THRESHOLDS_MAX> {
    let Some(plan) = &job.plan else { return BoundedVec::new() };
    let (result, _) = merged(job);
    let outcomes = evaluate(plan, &JobTotalsView::of_results(&result.workflows));
    // One per threshold of the plan.
    outcomes.try_into().unwrap_or_default()
}

/// The first threshold with `abort_on_fail` that fails on live views. Without samples it says
/// nothing yet.
pub(super) fn aborts(job: &Job, live: &[WorkflowView]) -> Option<String> {
    let plan = job.plan.as_deref()?;
    if !plan.thresholds.iter().any(|threshold| threshold.abort_on_fail) {
        return None;
    }
    let outcomes = evaluate(plan, &JobTotalsView::of_views(live));
    let mut judged = plan.thresholds.iter().zip(outcomes);
    let failed = judged.find(|(threshold, outcome)| {
        threshold.abort_on_fail && !outcome.ok && outcome.observed_micro.is_some()
    });
    failed.map(|(_, outcome)| format!("{}: {}", outcome.metric, outcome.text))
}
