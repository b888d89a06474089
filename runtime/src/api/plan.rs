//! A submitted plan's text as a checked plan.

use hyperscale_core::plan::Plan;

use super::{Answer, Problem};

pub(super) fn checked(text: &str) -> Answer<Plan> {
    serde_json::from_str(text).map_err(|error| {
        let mut problem = Problem::plan_invalid(error.to_string());
        problem.line = Some(error.line() as u64);
        problem.column = Some(error.column() as u64);
        Box::new(problem)
    })
}
