//! What a workflow's result is made of: sums over ended runs counted once, coverage, declared
//! losses. All pure.
//!
//! Coverage: a shard's planned span is the planned duration where the plan has one; else, and for a
//! cancelled workflow, the time its runs held it. A run covers from its joining to the last plan
//! second in its totals.
//!
//! Invariants: counted-once (a run's totals are added by the one entry that ends it),
//! coverage-honest.

use std::time::Duration;

use super::models::{Shard, StopCause, WorkflowState};
use crate::ids::WorkflowIx;
use crate::plan::{Executor, PlanTime};
use crate::report::{Loss, LossKind, WorkflowResult, WorkflowStatus};

pub(super) use crate::report::Losses;

/// How an ending workflow ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    /// A terminal status.
    pub(super) status: WorkflowStatus,
    /// Why; empty if there is nothing to say.
    pub(super) reason: &'a str,
    /// Plan time at the end.
    pub(super) plan_time: PlanTime,
    /// Start skew.
    pub(super) start_skew: Duration,
}

/// How long the plan lets every shard of a workflow run; `None` where its items decide.
pub(super) fn planned_span(executor: &Executor) -> Option<Duration> {
    match executor {
        Executor::ConstantVus { duration, .. } | Executor::ConstantArrivalRate { duration, .. } => {
            Some(*duration)
        }
        Executor::PerVuIterations { .. } | Executor::SharedIterations { .. } => None,
    }
}

/// Plan milliseconds of a span.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Declares losses; what was not served counts as dropped. Above the cap they are folded into the
/// last.
pub(super) fn declare(state: &mut WorkflowState, losses: &[Loss]) {
    for loss in losses {
        if loss.kind == LossKind::Unserved {
            state.totals.dropped = state.totals.dropped.saturating_add(loss.items);
        }
        loss.declare(&mut state.losses);
    }
}

/// The result of a workflow that ends; its shards and sums move into it.
pub(super) fn conclude(
    state: &mut WorkflowState,
    workflow: WorkflowIx,
    executor: Option<&Executor>,
    ending: Ending<'_>,
) -> WorkflowResult {
    let shards = std::mem::take(&mut state.shards);
    let span = match (&state.stop, ending.status) {
        (Some(StopCause::Cancelled), _) | (_, WorkflowStatus::Cancelled) => None,
        _ => executor.and_then(planned_span),
    };
    let planned_ms = shards.iter().map(|shard| planned_ms(shard, span, ending)).sum::<u64>();
    WorkflowResult {
        workflow,
        status: ending.status,
        reason: ending.reason.to_owned(),
        ran: state.plan_time.map_or(Duration::ZERO, |_| ending.plan_time.elapsed()),
        start_skew: ending.start_skew,
        shards: u16::try_from(shards.len()).unwrap_or(u16::MAX),
        totals: std::mem::take(&mut state.totals),
        planned_ms,
        covered_ms: state.covered_ms.min(planned_ms),
        losses: std::mem::take(&mut state.losses),
    }
}

fn planned_ms(shard: &Shard, span: Option<Duration>, ending: Ending<'_>) -> u64 {
    if let Some(span) = span {
        return millis(span);
    }
    let held = shard.ended().map_or(Duration::ZERO, |ended| ended.until.elapsed());
    let unserved = ending.status != WorkflowStatus::Cancelled && !shard.is_completed();
    millis(if unserved { held.max(ending.plan_time.elapsed()) } else { held })
}
