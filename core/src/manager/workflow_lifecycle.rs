//! The workflow's life: one transition table, and what a workflow may do next given how others of
//! its plan ended. All pure: the ledger applies it, the manager decides by it.
//!
//! Invariants: lifecycle-legal (nothing leaves a terminal status), dag-order, cancel-beats
//! (`Cancelling` never completes).

use std::collections::BTreeSet;

use super::models::Part;
use crate::ids::WorkflowIx;
use crate::plan::{Plan, When};
use crate::report::WorkflowStatus;

/// Whether a workflow may go from one status to another.
pub fn may_move(from: WorkflowStatus, to: WorkflowStatus) -> bool {
    use WorkflowStatus as S;
    match from {
        S::Pending => matches!(to, S::Dispatched | S::Failed | S::Cancelled | S::Skipped),
        S::Dispatched => matches!(to, S::Running | S::Cancelling | S::Failed),
        S::Running => matches!(to, S::Cancelling | S::Completed | S::Failed),
        S::Cancelling => matches!(to, S::Cancelled | S::Failed),
        S::Completed | S::Failed | S::Cancelled | S::Skipped => false,
    }
}

/// What a pending workflow may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Readiness {
    /// What it depends on has not all ended.
    Waiting,
    /// It may be split.
    Ready,
    /// It never will: what it depends on did not end as it requires.
    Unmet,
}

/// Whether a workflow's `after` have ended as its `when` requires.
pub(super) fn readiness(part: &Part, workflow: WorkflowIx) -> Readiness {
    let Some(planned) = part.planned(workflow) else { return Readiness::Waiting };
    let mut all_ended = true;
    let mut all_completed = true;
    let mut any_failed = false;
    for dependency in &planned.after {
        let status = part.status(*dependency).unwrap_or(WorkflowStatus::Skipped);
        all_ended &= status.is_terminal();
        all_completed &= !status.is_terminal() || status == WorkflowStatus::Completed;
        any_failed |= status == WorkflowStatus::Failed;
    }
    match planned.when {
        When::Ok if !all_completed => Readiness::Unmet,
        When::Ok | When::Always | When::Failed if !all_ended => Readiness::Waiting,
        When::Failed if !any_failed && !planned.after.is_empty() => Readiness::Unmet,
        When::Ok | When::Always | When::Failed => Readiness::Ready,
    }
}

/// A workflow and everything that depends on it, directly or not.
pub(super) fn with_dependents(plan: &Plan, workflow: WorkflowIx) -> BTreeSet<WorkflowIx> {
    let mut found = BTreeSet::from([workflow]);
    loop {
        let before = found.len();
        for (ix, planned) in (0u16..).map(WorkflowIx::new).zip(plan.workflows.iter()) {
            if planned.after.iter().any(|dependency| found.contains(dependency)) {
                found.insert(ix);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [WorkflowStatus; 8] = [
        WorkflowStatus::Pending,
        WorkflowStatus::Dispatched,
        WorkflowStatus::Running,
        WorkflowStatus::Cancelling,
        WorkflowStatus::Completed,
        WorkflowStatus::Failed,
        WorkflowStatus::Cancelled,
        WorkflowStatus::Skipped,
    ];

    #[test]
    fn terminal_is_final_and_everything_else_can_end() {
        for from in ALL {
            let next = ALL.into_iter().filter(|to| may_move(from, *to)).collect::<Vec<_>>();
            assert_eq!(next.is_empty(), from.is_terminal(), "{from:?}");
            assert!(!next.contains(&from));
        }
        assert!(!may_move(WorkflowStatus::Cancelling, WorkflowStatus::Completed));
        assert!(!may_move(WorkflowStatus::Pending, WorkflowStatus::Running));
    }
}
