//! Thresholds: `metric{workflow:browse,step:items}` and a list of expressions.

use crate::bounded::BoundedVec;
use crate::ids::WorkflowIx;
use crate::limits;
use crate::plan::raw::RawPlan;
use crate::plan::{Metric, Plan, PlanError, Step, Threshold, Workflow, threshold};

use super::at::At;

const SELECTORS: [&str; 2] = ["workflow", "step"];

pub(super) fn lower(
    raw: &RawPlan,
    workflows: &[Workflow],
    at: &At<'_>,
) -> Result<BoundedVec<Threshold, { limits::THRESHOLDS_MAX }>, PlanError> {
    let mut thresholds = Vec::new();
    for (key, expressions) in raw.thresholds.iter().flat_map(|map| map.iter()) {
        let at = at.key(key);
        let selected = select(key, workflows, &at)?;
        at.ensure(!expressions.is_empty(), "there is no expression")?;
        for (place, raw) in expressions.iter().enumerate() {
            let text = &raw.expression;
            let at = at.index(place);
            let (stat, op, bound_micro) =
                threshold::parse(text).map_err(|message| at.error(message))?;
            let metric = selected.metric;
            let message = format_args!("`{text}` asks for what `{}` does not have", metric.name());
            at.ensure(metric.has(stat), message)?;
            thresholds.push(Threshold {
                metric,
                workflow: selected.workflow,
                step: selected.step.clone(),
                stat,
                op,
                bound_micro,
                abort_on_fail: raw.abort_on_fail,
                text: text.clone(),
            });
        }
    }
    at.bounded(thresholds, "thresholds")
}

struct Selected {
    metric: Metric,
    workflow: Option<WorkflowIx>,
    step: Option<String>,
}

fn select(key: &str, workflows: &[Workflow], at: &At<'_>) -> Result<Selected, PlanError> {
    let (name, selectors) = match key.split_once('{') {
        None => (key, ""),
        Some((name, rest)) => {
            let closed = rest.strip_suffix('}').ok_or_else(|| at.error("`{` is not closed"))?;
            (name, closed)
        }
    };
    let name = name.trim();
    let metric = Metric::from_name(name).ok_or_else(|| {
        let names = Metric::ALL.iter().map(|metric| metric.name());
        at.error(format_args!("unknown metric `{name}`")).with_nearest(name, names)
    })?;
    let mut selected = Selected { metric, workflow: None, step: None };
    for selector in selectors.split(',').filter(|_| !selectors.trim().is_empty()) {
        let Some((tag, value)) = selector.split_once(':') else {
            let error = at.error(format_args!("`{}` selects nothing", selector.trim()));
            return Err(error.with_hint("write `workflow:name` or `step:name`"));
        };
        let (tag, value) = (tag.trim(), value.trim());
        match tag {
            "workflow" if selected.workflow.is_none() => {
                selected.workflow = Some(workflow_of(value, workflows, at)?);
            }
            "step" if selected.step.is_none() => selected.step = Some(value.to_owned()),
            "workflow" | "step" => {
                return Err(at.error(format_args!("`{tag}` is selected twice")));
            }
            _ => {
                let error = at.error(format_args!("unknown selector `{tag}`"));
                return Err(error.with_nearest(tag, SELECTORS));
            }
        }
    }
    Ok(selected)
}

fn workflow_of(name: &str, workflows: &[Workflow], at: &At<'_>) -> Result<WorkflowIx, PlanError> {
    let found = workflows.iter().position(|workflow| workflow.name == name);
    let index = found.and_then(|index| u16::try_from(index).ok()).map(WorkflowIx::new);
    index.ok_or_else(|| {
        let names = workflows.iter().map(|workflow| workflow.name.as_str());
        at.error(format_args!("unknown workflow `{name}`")).with_nearest(name, names)
    })
}

/// What must hold of thresholds, whoever made them.
pub(super) fn verify(plan: &Plan, at: &At<'_>) -> Result<(), PlanError> {
    for threshold in &plan.thresholds {
        let key = key(plan, threshold);
        let at = at.key(&key);
        let known = |index: WorkflowIx| usize::from(index.get()) < plan.workflows.len();
        at.ensure(threshold.workflow.is_none_or(known), "there is no such workflow")?;
        let read = threshold::parse(&threshold.text).map_err(|message| at.error(message))?;
        let same = read == (threshold.stat, threshold.op, threshold.bound_micro);
        at.ensure(same, "the expression and what was read from it differ")?;
        let metric = threshold.metric;
        at.ensure(metric.has(threshold.stat), "the metric does not have that value")?;
        let Some(step) = &threshold.step else { continue };
        let per_step = format_args!("`{}` is not measured per step", metric.name());
        at.ensure(metric.is_per_step(), per_step)?;
        let workflows = plan.workflows.iter().enumerate().filter(|(place, _)| {
            threshold.workflow.is_none_or(|index| usize::from(index.get()) == *place)
        });
        let steps = workflows.flat_map(|(_, workflow)| workflow.flow.iter());
        let names: Vec<&str> = steps.filter_map(step_name).collect();
        if !names.contains(&step.as_str()) {
            let error = at.error(format_args!("unknown step `{step}`"));
            return Err(error.with_nearest(step, names));
        }
    }
    Ok(())
}

fn step_name(step: &Step) -> Option<&str> {
    match step {
        Step::Request(request) => Some(&request.name),
        Step::Think { .. } => None,
    }
}

/// The key under which a plan file holds the threshold, in its plainest spelling.
fn key(plan: &Plan, threshold: &Threshold) -> String {
    let workflow =
        threshold.workflow.and_then(|index| plan.workflows.get(usize::from(index.get())));
    let workflow = workflow.map(|workflow| format!("workflow:{}", workflow.name));
    let step = threshold.step.as_ref().map(|step| format!("step:{step}"));
    let selectors: Vec<String> = workflow.into_iter().chain(step).collect();
    let name = threshold.metric.name();
    if selectors.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", selectors.join(","))
    }
}
