//! Workflows and their executors.

use crate::bounded::BoundedVec;
use crate::ids::WorkflowIx;
use crate::limits;
use crate::plan::raw::{
    RawDuration, RawExecutor, RawMap, RawPriority, RawRate, RawWhen, RawWorkflow,
};
use crate::plan::{DataSource, Executor, PlanError, Priority, Rate, When, Workflow};
use std::time::Duration;

use super::at::At;
use super::{refuse_unbuilt, required, retries, step};

const GRACEFUL_STOP: Duration = Duration::from_secs(30);
const MAX_DURATION: Duration = Duration::from_secs(600);
const TIME_UNIT: Duration = Duration::from_secs(1);

type Workflows = BoundedVec<Workflow, { limits::WORKFLOWS_MAX }>;

pub(super) fn lower(
    raw: &RawMap<RawWorkflow>,
    data: &[DataSource],
    at: &At<'_>,
) -> Result<Workflows, PlanError> {
    let names: Vec<&str> = raw.iter().map(|(name, _)| name).collect();
    let mut workflows = Vec::new();
    for (name, workflow) in raw.iter() {
        let at = at.key(name);
        // Before anything else: a wrong executor explains most other errors.
        let executor = lower_executor(workflow, &at)?;
        let (flow, captures) = step::lower_flow(workflow, data, &at)?;
        workflows.push(Workflow {
            name: name.to_owned(),
            after: lower_after(workflow, &names, &at.key("after"))?,
            when: match workflow.when {
                None => When::default(),
                Some(RawWhen::Ok) => When::Ok,
                Some(RawWhen::Always) => When::Always,
                Some(RawWhen::Failed) => When::Failed,
            },
            executor,
            graceful_stop: workflow.graceful_stop.map_or(GRACEFUL_STOP, |span| span.0),
            flow,
            captures,
            priority: match workflow.priority {
                None | Some(RawPriority::Auto) => Priority::Auto,
                Some(RawPriority::Low) => Priority::Low,
                Some(RawPriority::Normal) => Priority::Normal,
                Some(RawPriority::High) => Priority::High,
                Some(RawPriority::Exclusive) => Priority::Exclusive,
            },
            retries: retries(workflow.retries, limits::WORKFLOW_RETRIES),
        });
    }
    at.bounded(workflows, "workflows")
}

fn lower_after(
    raw: &RawWorkflow,
    names: &[&str],
    at: &At<'_>,
) -> Result<BoundedVec<WorkflowIx, { limits::WORKFLOWS_MAX }>, PlanError> {
    let mut after = Vec::new();
    for (place, wanted) in raw.after.iter().flat_map(|after| &after.0).enumerate() {
        let found = names.iter().position(|name| name == wanted);
        let index = found.and_then(|index| u16::try_from(index).ok());
        let at = at.index(place);
        let index = index.ok_or_else(|| {
            let error = at.error(format_args!("unknown workflow `{wanted}`"));
            error.with_nearest(wanted, names.iter().copied())
        })?;
        after.push(WorkflowIx::new(index));
    }
    at.bounded(after, "workflows")
}

fn lower_executor(raw: &RawWorkflow, at: &At<'_>) -> Result<Executor, PlanError> {
    let executor = *required(raw.executor.as_ref(), "executor", at)?;
    match executor {
        RawExecutor::RampingVus
        | RawExecutor::RampingArrivalRate
        | RawExecutor::ExternallyControlled => {
            let name = executor.name();
            return Err(at.key("executor").error(format_args!("`{name}` is not built yet")));
        }
        RawExecutor::ConstantVus
        | RawExecutor::PerVuIterations
        | RawExecutor::SharedIterations
        | RawExecutor::ConstantArrivalRate => {}
    }
    refuse_unbuilt_options(raw, at)?;
    refuse_foreign_options(raw, executor, at)?;
    let vus = raw.vus.unwrap_or(1);
    let iterations = raw.iterations.unwrap_or(1);
    let max_duration = raw.max_duration.map_or(MAX_DURATION, |span| span.0);
    let duration = || required(raw.duration.as_ref(), "duration", at).map(|span| span.0);
    Ok(match executor {
        RawExecutor::PerVuIterations => Executor::PerVuIterations { vus, iterations, max_duration },
        RawExecutor::SharedIterations => {
            Executor::SharedIterations { vus, iterations, max_duration }
        }
        RawExecutor::ConstantArrivalRate => Executor::ConstantArrivalRate {
            rate: lower_rate(required(raw.rate.as_ref(), "rate", at)?, raw.time_unit, at)?,
            duration: duration()?,
            max_vus: *required(raw.max_vus.as_ref(), "max_vus", at)?,
        },
        RawExecutor::ConstantVus
        | RawExecutor::RampingVus
        | RawExecutor::RampingArrivalRate
        | RawExecutor::ExternallyControlled => Executor::ConstantVus { vus, duration: duration()? },
    })
}

fn lower_rate(
    rate: &RawRate,
    time_unit: Option<RawDuration>,
    at: &At<'_>,
) -> Result<Rate, PlanError> {
    let unit = match (rate.unit, time_unit) {
        (Some(_), Some(_)) => {
            return Err(at.key("time_unit").error("`rate` has a unit of its own"));
        }
        (Some(unit), None) | (None, Some(RawDuration(unit))) => unit,
        (None, None) => TIME_UNIT,
    };
    Ok(Rate { count: rate.count, unit })
}

fn refuse_unbuilt_options(raw: &RawWorkflow, at: &At<'_>) -> Result<(), PlanError> {
    if raw.pre_allocated_vus.is_some() {
        let error = at.key("pre_allocated_vus").error("`pre_allocated_vus` is not built yet");
        return Err(error.with_hint("`max_vus` alone bounds the open iterations"));
    }
    let unbuilt = [
        ("stages", raw.stages),
        ("start_vus", raw.start_vus),
        ("start_rate", raw.start_rate),
        ("graceful_ramp_down", raw.graceful_ramp_down),
        ("start_time", raw.start_time),
        ("exec", raw.exec),
        ("env", raw.env),
        ("tags", raw.tags),
        ("script", raw.script),
    ];
    refuse_unbuilt(at, &unbuilt)
}

fn refuse_foreign_options(
    raw: &RawWorkflow,
    executor: RawExecutor,
    at: &At<'_>,
) -> Result<(), PlanError> {
    use RawExecutor::{ConstantArrivalRate, ConstantVus, PerVuIterations, SharedIterations};
    const CLOSED: &[RawExecutor] = &[ConstantVus, PerVuIterations, SharedIterations];
    const TIMED: &[RawExecutor] = &[ConstantVus, ConstantArrivalRate];
    const COUNTED: &[RawExecutor] = &[PerVuIterations, SharedIterations];
    const OPEN: &[RawExecutor] = &[ConstantArrivalRate];
    let options = [
        ("vus", raw.vus.is_some(), CLOSED),
        ("duration", raw.duration.is_some(), TIMED),
        ("iterations", raw.iterations.is_some(), COUNTED),
        ("max_duration", raw.max_duration.is_some(), COUNTED),
        ("rate", raw.rate.is_some(), OPEN),
        ("time_unit", raw.time_unit.is_some(), OPEN),
        ("max_vus", raw.max_vus.is_some(), OPEN),
    ];
    let foreign = options.iter().find(|(_, given, of)| *given && !of.contains(&executor));
    let Some((name, _, of)) = foreign else { return Ok(()) };
    let owners: Vec<&str> = of.iter().map(|owner| owner.name()).collect();
    let (owners, executor) = (owners.join(", "), executor.name());
    let message = format!("`{name}` is an option of {owners}, not of {executor}");
    Err(at.key(name).error(message))
}
