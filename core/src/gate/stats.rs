//! What is told about a job: its view, its result, its thresholds, and when its plan ends. Pure.
//!
//! A job has one part, so its merged result is that part's; where none was reported, the workflows
//! stand in it with nothing covered, and after a cancel with nothing planned either.

use std::time::Duration;

use super::models::{CancelCause, Job, PartEnd};
use crate::api::{JobSummary, JobView};
use crate::bounded::BoundedVec;
use crate::ids::{JobId, WorkflowIx};
use crate::limits::{STEPS_MAX, THRESHOLDS_MAX, WORKFLOWS_MAX};
use crate::plan::threshold::{JobTotalsView, evaluate};
use crate::plan::{Plan, PlanTime, Step, Workflow};
use crate::report::{
    JobResult, PartResult, ThresholdOutcome, WorkflowNames, WorkflowResult, WorkflowStatus,
    WorkflowView,
};
use crate::stats::{StepTotals, Totals};

/// One line about a job.
pub(super) fn summary(id: JobId, job: &Job) -> JobSummary {
    JobSummary { job: id, name: job.name.clone(), status: job.status }
}

/// A job as a client sees it: with its result's figures once it has ended, else with the newest
/// live ones.
pub(super) fn view(id: JobId, job: &Job, live: &[WorkflowView]) -> JobView {
    let (workflow_names, workflows) = match (&job.result, &job.plan) {
        (Some(result), _) => (
            result.names.iter().map(|names| names.name.clone()).collect(),
            result.result.workflows.iter().map(final_view).collect(),
        ),
        (None, Some(plan)) => {
            (plan.workflows.iter().map(|w| w.name.clone()).collect(), live.to_vec())
        }
        (None, None) => (Vec::new(), Vec::new()),
    };
    let reason = match (&job.reason, &job.cancel) {
        (reason, Some(cancel)) if reason.is_empty() => match &cancel.cause {
            CancelCause::Client => String::new(),
            CancelCause::Aborted { reason } => reason.clone(),
        },
        (reason, _) => reason.clone(),
    };
    JobView {
        job: id,
        name: job.name.clone(),
        status: job.status,
        reason,
        workflow_names,
        workflows,
    }
}

fn final_view(result: &WorkflowResult) -> WorkflowView {
    let plan_time = PlanTime::at(result.ran);
    WorkflowView {
        workflow: result.workflow,
        status: result.status,
        plan_time,
        vus: 0,
        shards_live: 0,
        shards: result.shards,
        second: plan_time.second(),
        totals: result.totals.clone(),
    }
}

/// The result of a job that has reached its terminal status and still has its plan.
pub(super) fn job_result(
    id: JobId,
    job: &Job,
    thresholds: BoundedVec<ThresholdOutcome, THRESHOLDS_MAX>,
) -> JobResult {
    let result = merged(job);
    let takes = |ix: usize| result.workflows.get(ix).map_or(Duration::ZERO, |one| one.ran);
    JobResult {
        job: id,
        name: job.name.clone(),
        status: job.status,
        reason: job.reason.clone(),
        ran: job.plan.as_deref().map(|plan| plan.longest_chain(takes)).unwrap_or_default(),
        result,
        names: job.plan.as_deref().map(names).unwrap_or_default(),
        thresholds,
    }
}

/// The parts' results, merged.
pub(super) fn merged(job: &Job) -> PartResult {
    let reported = job.part.as_ref().and_then(|part| part.result.as_deref());
    let mut result = reported.cloned().unwrap_or_else(|| PartResult {
        cancelled: job.cancel.is_some(),
        workers_lost: 0,
        workers: 0,
        workflows: BoundedVec::new(),
    });
    if result.workflows.is_empty()
        && let Some(plan) = &job.plan
    {
        for (ix, workflow) in (0..).zip(plan.workflows.iter()) {
            // The plan has no more workflows than a result may have.
            let _ = result.workflows.push(missing(job, WorkflowIx::new(ix), workflow));
        }
    }
    result
}

fn missing(job: &Job, ix: WorkflowIx, workflow: &Workflow) -> WorkflowResult {
    let end = job.part.as_ref().and_then(|part| part.end.as_ref());
    let lost = job.has_begun() && end == Some(&PartEnd::TimedOut);
    let (status, reason) = match end {
        Some(PartEnd::TimedOut) if lost => (WorkflowStatus::Failed, "no result in time".into()),
        Some(PartEnd::Refused { reason }) => (WorkflowStatus::Failed, reason.clone()),
        Some(PartEnd::Reported | PartEnd::TimedOut) | None => {
            (WorkflowStatus::Cancelled, String::new())
        }
    };
    let planned =
        u64::try_from(workflow.executor.planned_duration().as_millis()).unwrap_or(u64::MAX);
    let steps = steps(workflow).map(|_| StepTotals::default()).collect::<Vec<_>>();
    WorkflowResult {
        workflow: ix,
        status,
        reason,
        ran: Duration::ZERO,
        start_skew: Duration::ZERO,
        shards: 0,
        totals: Box::new(Totals {
            steps: steps.try_into().unwrap_or_default(),
            ..Totals::default()
        }),
        planned_ms: if lost { planned } else { 0 },
        covered_ms: 0,
        losses: BoundedVec::new(),
    }
}

fn names(plan: &Plan) -> BoundedVec<WorkflowNames, WORKFLOWS_MAX> {
    let all = plan.workflows.iter().map(|workflow| {
        let names: Vec<_> = steps(workflow).map(str::to_owned).collect();
        let steps: BoundedVec<_, STEPS_MAX> = names.try_into().unwrap_or_default();
        WorkflowNames { name: workflow.name.clone(), steps }
    });
    all.collect::<Vec<_>>().try_into().unwrap_or_default()
}

fn steps(workflow: &Workflow) -> impl Iterator<Item = &str> {
    workflow.flow.iter().filter_map(|step| match step {
        Step::Request(request) => Some(request.name.as_str()),
        Step::Think { .. } => None,
    })
}

/// Whether a reported result fits the plan: all its workflows in order, or none after a cancel.
pub(super) fn fits(plan: &Plan, result: &PartResult) -> bool {
    let complete = result.workflows.len() == plan.workflows.len()
        && (0..).zip(result.workflows.iter()).all(|(ix, w)| w.workflow == WorkflowIx::new(ix));
    complete || (result.cancelled && result.workflows.is_empty())
}

/// Whether live views fit the plan: its workflows, each at most once, in order.
pub(super) fn fits_live(plan: &Plan, views: &[WorkflowView]) -> bool {
    let known = |v: &WorkflowView| usize::from(v.workflow.get()) < plan.workflows.len();
    views.iter().all(known) && views.is_sorted_by(|a, b| a.workflow < b.workflow)
}

/// How long the plan takes when every workflow starts as soon as those before it have ended: its
/// critical path.
pub(super) fn planned_end(plan: &Plan) -> Duration {
    let count = plan.workflows.len();
    let mut ends = vec![Duration::ZERO; count];
    // A path has at most as many edges as there are workflows, so this is enough in any order.
    for _ in 0..count {
        for (ix, workflow) in plan.workflows.iter().enumerate() {
            let before = workflow.after.iter().filter_map(|dep| ends.get(usize::from(dep.get())));
            let start = before.max().copied().unwrap_or_default();
            let takes = workflow.executor.planned_duration().saturating_add(workflow.graceful_stop);
            if let Some(end) = ends.get_mut(ix) {
                *end = start.saturating_add(takes);
            }
        }
    }
    ends.into_iter().max().unwrap_or_default()
}

/// Every threshold of a job that is about to end, with its outcome over the merged result.
pub(super) fn outcomes(job: &Job) -> BoundedVec<ThresholdOutcome, THRESHOLDS_MAX> {
    let Some(plan) = &job.plan else { return BoundedVec::new() };
    let result = merged(job);
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
