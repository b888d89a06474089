//! From the raw plan to the checked plan.
//!
//! Two halves. Lowering (`data`, `workflow`, `step`, `capture`, `template`, `threshold`) turns
//! names into indexes, notations into values and fills in k6's defaults; it refuses what cannot be
//! expressed in a `Plan`: unknown names, options of another executor, what is not built.
//! `verify` then judges the plan itself: limits, zeroes, cycles, duplicates, order of captures. A
//! plan that a peer sends is judged by the second half alone, `Plan::check_again`, so a plan that
//! the first half makes is held to nothing less. Pure: no file is read and no clock.

mod at;
mod capture;
mod data;
mod datacenters;
mod order;
mod placement;
mod step;
mod template;
mod text;
mod threshold;
mod verify;
mod workflow;

use super::raw::{RawGateLoss, RawPlan, RawWorkerLoss, Unbuilt};
use super::{OnGateLoss, OnWorkerLoss, Plan, PlanError};
use crate::limits;
use at::At;

/// The checked plan that `raw` describes.
///
/// # Errors
/// The first thing that is wrong with it, with its path.
pub fn check(raw: &RawPlan) -> Result<Plan, PlanError> {
    let root = At::ROOT;
    let unbuilt = [("setup", raw.setup), ("teardown", raw.teardown), ("script", raw.script)];
    refuse_unbuilt(&root, &unbuilt)?;
    let base_url = required(raw.base_url.as_ref(), "base_url", &root)?;
    verify::base_url(base_url, &root.key("base_url"))?;
    let data = data::lower(raw, &root.key("data"))?;
    let workflows = required(raw.workflows.as_ref(), "workflows", &root)?;
    let workflows = workflow::lower(workflows, &data, &root.key("workflows"))?;
    let thresholds = threshold::lower(raw, &workflows, &root.key("thresholds"))?;
    let plan = Plan {
        name: raw.name.clone().unwrap_or_else(|| "plan".to_owned()),
        base_url: base_url.clone(),
        workflows,
        data,
        thresholds,
        datacenters: datacenters::lower(raw.datacenters.as_ref(), &root.key("datacenters"))?,
        placement: placement::lower(raw.placement.as_ref(), &root.key("placement"))?,
        on_worker_loss: worker_loss(raw.on_worker_loss),
        on_gate_loss: gate_loss(raw.on_gate_loss),
        seed: raw.seed.unwrap_or(0),
        index_header: raw.index_header.unwrap_or(false),
        timeout: raw.timeout.map(|span| span.0),
        retries: retries(raw.retries, limits::JOB_RETRIES),
    };
    plan.check_again()?;
    Ok(plan)
}

/// Above what fits, `verify` refuses what fits.
fn retries(raw: Option<u64>, otherwise: u8) -> u8 {
    raw.map_or(otherwise, |number| u8::try_from(number).unwrap_or(u8::MAX))
}

fn worker_loss(raw: Option<RawWorkerLoss>) -> OnWorkerLoss {
    match raw {
        None => OnWorkerLoss::default(),
        Some(RawWorkerLoss::Replace) => OnWorkerLoss::Replace,
        Some(RawWorkerLoss::Shrink) => OnWorkerLoss::Shrink,
        Some(RawWorkerLoss::Abort) => OnWorkerLoss::Abort,
    }
}

fn gate_loss(raw: Option<RawGateLoss>) -> OnGateLoss {
    match raw {
        None => OnGateLoss::default(),
        Some(RawGateLoss::Finish) => OnGateLoss::Finish,
        Some(RawGateLoss::StopAfter(span)) => OnGateLoss::StopAfter(span),
    }
}

fn required<'a, T>(value: Option<&'a T>, name: &str, at: &At<'_>) -> Result<&'a T, PlanError> {
    value.ok_or_else(|| at.error(format_args!("`{name}` is missing")))
}

fn refuse_unbuilt(at: &At<'_>, fields: &[(&str, Option<Unbuilt>)]) -> Result<(), PlanError> {
    match fields.iter().find(|(_, given)| given.is_some()) {
        Some((name, _)) => Err(at.key(name).error(format_args!("`{name}` is not built yet"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
