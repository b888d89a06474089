//! Wishes about where the gate places parts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::raw::RawPlacement;
use crate::plan::{Datacenters, Placement, Plan, PlanError};

use super::at::At;
use super::text;

pub(super) fn lower(raw: Option<&RawPlacement>, at: &At<'_>) -> Result<Placement, PlanError> {
    let Some(raw) = raw else { return Ok(Placement::default()) };
    let prefer = raw.prefer.as_ref().map(|names| names.0.clone()).unwrap_or_default();
    Ok(Placement {
        prefer: at.key("prefer").bounded(prefer, "datacenters")?,
        max_rtt: raw.max_rtt.map(|rtt| rtt.0),
    })
}

pub(super) fn verify(plan: &Plan, at: &At<'_>) -> Result<(), PlanError> {
    let Placement { prefer, max_rtt } = &plan.placement;
    let prefer_at = at.key("prefer");
    let mut names = BTreeMap::new();
    for (place, name) in prefer.iter().enumerate() {
        let at = prefer_at.index(place);
        text::name(name, &at)?;
        text::unique(&mut names, name, &at)?;
    }
    at.key("max_rtt").above_zero(*max_rtt != Some(Duration::ZERO))?;
    let chooses = matches!(plan.datacenters, Datacenters::Any(_));
    at.ensure(
        chooses || plan.placement == Placement::default(),
        "`datacenters` names them, so there is nothing to choose",
    )
}
