//! Datacenters and how they share the load.

use std::collections::BTreeMap;

use crate::limits;
use crate::plan::raw::RawDatacenters;
use crate::plan::{Datacenters, Executor, Plan, PlanError, Site};

use super::at::At;
use super::text;

pub(super) fn lower(raw: Option<&RawDatacenters>, at: &At<'_>) -> Result<Datacenters, PlanError> {
    let site = |name: &str, weight| Site { name: name.to_owned(), weight };
    let sites = match raw {
        None => return Ok(Datacenters::default()),
        Some(RawDatacenters::Count(count)) => {
            let max = limits::DATACENTERS_MAX;
            return u16::try_from(*count)
                .map(Datacenters::Any)
                .map_err(|_| at.error(format_args!("at most {max} are allowed")));
        }
        Some(RawDatacenters::Names(names)) => names.iter().map(|name| site(name, 1)).collect(),
        Some(RawDatacenters::Weights(weights)) => {
            weights.iter().map(|(name, weight)| site(name, *weight)).collect()
        }
    };
    // In a list a name has no key of its own, so its place is told here.
    if let Some(RawDatacenters::Names(names)) = raw {
        let mut seen = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            text::unique(&mut seen, name, &at.index(place))?;
            text::name(name, &at.index(place))?;
        }
    }
    Ok(Datacenters::Named(at.bounded(sites, "datacenters")?))
}

pub(super) fn verify(plan: &Plan, at: &At<'_>) -> Result<(), PlanError> {
    let max = limits::DATACENTERS_MAX;
    let count = plan.datacenters.count();
    at.ensure(count > 0, "at least one datacenter is needed")?;
    at.ensure(count <= max, format_args!("at most {max} are allowed"))?;
    let Datacenters::Named(sites) = &plan.datacenters else { return Ok(()) };
    let mut names = BTreeMap::new();
    for site in sites {
        let at = at.key(&site.name);
        text::name(&site.name, &at)?;
        text::unique(&mut names, &site.name, &at)?;
        let weights = 1..=limits::WEIGHT_MAX;
        let max = limits::WEIGHT_MAX;
        at.ensure(weights.contains(&site.weight), format_args!("a weight is 1 to {max}"))?;
    }
    Ok(())
}

/// Whether there is something to do for every datacenter.
pub(super) fn enough(executor: &Executor, parts: usize, at: &At<'_>) -> Result<(), PlanError> {
    let parts = u64::try_from(parts).unwrap_or(u64::MAX);
    let (vus, items) = match *executor {
        Executor::ConstantVus { .. } | Executor::PerVuIterations { .. } => ("vus", None),
        Executor::SharedIterations { iterations, .. } => ("vus", Some(("iterations", iterations))),
        Executor::ConstantArrivalRate { .. } => {
            ("max_vus", executor.planned_items().map(|items| ("rate", items)))
        }
    };
    let given = [Some((vus, u64::from(executor.vus()))), items];
    for (option, has) in given.into_iter().flatten() {
        let what = if option == "rate" { "arrivals" } else { option };
        let message = format_args!("{has} {what} are too few for {parts} datacenters");
        at.key(option).ensure(has >= parts, message)?;
    }
    Ok(())
}
