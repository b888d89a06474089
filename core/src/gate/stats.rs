//! What is told about a job: its view, its result, and when its plan ends. Pure.

use std::time::Duration;

use super::merge::merged;
use super::models::{CancelCause, Job};
use crate::api::{JobSummary, JobView, WindowView};
use crate::bounded::BoundedVec;
use crate::ids::{JobId, PartIx, WorkflowIx};
use crate::limits::{STEPS_MAX, THRESHOLDS_MAX, WORKFLOWS_MAX};
use crate::plan::{Plan, PlanTime, Step, Workflow};
use crate::report::{
    JobResult, PartResult, ThresholdOutcome, WorkflowNames, WorkflowResult, WorkflowView,
};

/// One line about a job.
pub(super) fn summary(id: JobId, job: &Job) -> JobSummary {
    JobSummary { job: id, name: job.name.clone(), status: job.status, position: None }
}

/// A job as a client sees it: with its result's figures once it has ended, else with the newest
/// live ones.
pub(super) fn view(
    id: JobId,
    job: &Job,
    live: &[WorkflowView],
    windows: Vec<WindowView>,
) -> JobView {
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
            CancelCause::Aborted { reason } | CancelCause::TimedOut { reason } => reason.clone(),
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
        position: None,
        windows,
    }
}

pub(super) fn final_view(result: &WorkflowResult) -> WorkflowView {
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
        shards_late: 0,
    }
}

/// The result of a job that has reached its terminal status and still has its plan.
pub(super) fn job_result(
    id: JobId,
    job: &Job,
    thresholds: BoundedVec<ThresholdOutcome, THRESHOLDS_MAX>,
) -> JobResult {
    let (result, parts) = merged(job);
    let takes = |ix: usize| result.workflows.get(ix).map_or(Duration::ZERO, |one| one.ran);
    JobResult {
        job: id,
        name: job.name.clone(),
        status: job.status,
        reason: job.reason.clone(),
        ran: job.plan.as_deref().map(|plan| plan.longest_chain(takes)).unwrap_or_default(),
        result,
        parts,
        names: job.plan.as_deref().map(names).unwrap_or_default(),
        thresholds,
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

pub(super) fn steps(workflow: &Workflow) -> impl Iterator<Item = &str> {
    workflow.flow.iter().filter_map(|step| match step {
        Step::Request(request) => Some(request.name.as_str()),
        Step::Think { .. } => None,
    })
}

/// Whether a reported result fits the plan: all its workflows in order, or none after a cancel,
/// and losses of no other part.
pub(super) fn fits(plan: &Plan, part: PartIx, result: &PartResult) -> bool {
    let losses = result.workflows.iter().flat_map(|workflow| &workflow.losses);
    let complete = result.workflows.len() == plan.workflows.len()
        && losses.into_iter().all(|loss| loss.part == part)
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
