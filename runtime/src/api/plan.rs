//! A submitted plan's text as a checked plan.

use hyperscale_core::plan::Plan;

use super::{Answer, Problem};
use crate::plan_text::{Position, parse_and_check};

pub(super) fn checked(text: &str) -> Answer<Plan> {
    parse_and_check(text, "plan").map_err(|error| {
        let hint = error.hint.iter().map(|hint| format!(", {hint}"));
        let detail = hint.fold(error.message.clone(), |detail, hint| detail + &hint);
        let mut problem = Problem::plan_invalid(detail);
        if let Some(Position { line, column }) = error.position {
            (problem.line, problem.column) = (Some(line), Some(column));
        }
        Box::new(problem)
    })
}
