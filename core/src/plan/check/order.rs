//! The order of workflows: `after` must lead somewhere and never back.

use std::collections::BTreeSet;

use crate::plan::{PlanError, Workflow};

use super::at::At;

pub(super) fn verify(workflows: &[Workflow], at: &At<'_>) -> Result<(), PlanError> {
    for workflow in workflows {
        let at = at.key(&workflow.name);
        let after_at = at.key("after");
        let mut seen = BTreeSet::new();
        for (place, index) in workflow.after.iter().enumerate() {
            let at = after_at.index(place);
            let before = workflows.get(usize::from(index.get()));
            let before = before.ok_or_else(|| at.error("there is no such workflow"))?;
            at.ensure(seen.insert(*index), format_args!("`{}` is given twice", before.name))?;
        }
    }
    // A workflow is settled when all before it are; what never settles lies on or behind a cycle.
    let mut settled = BTreeSet::new();
    for _ in workflows {
        for (place, workflow) in workflows.iter().enumerate() {
            if workflow.after.iter().all(|index| settled.contains(&usize::from(index.get()))) {
                settled.insert(place);
            }
        }
    }
    match (0..workflows.len()).find(|place| !settled.contains(place)) {
        Some(place) => Err(cycle(workflows, &settled, place, at)),
        None => Ok(()),
    }
}

/// Walks backwards through what is not settled until a workflow comes twice.
fn cycle(
    workflows: &[Workflow],
    settled: &BTreeSet<usize>,
    start: usize,
    at: &At<'_>,
) -> PlanError {
    let before = |place: usize| {
        let after = workflows.get(place).into_iter().flat_map(|workflow| workflow.after.iter());
        after.map(|index| usize::from(index.get())).find(|place| !settled.contains(place))
    };
    let mut walk = vec![start];
    while let Some(next) = walk.last().and_then(|last| before(*last)) {
        let closed = walk.iter().position(|place| *place == next);
        walk.push(next);
        if let Some(first) = closed {
            walk.drain(..first);
            break;
        }
    }
    let names = walk.iter().filter_map(|place| workflows.get(*place));
    let names: Vec<&str> = names.map(|workflow| workflow.name.as_str()).collect();
    let first = names.first().copied().unwrap_or("");
    let at = at.key(first);
    at.key("after").error(format_args!("a cycle: {}", names.join(" after ")))
}
