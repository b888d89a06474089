//! What a part needs next: which workflows may start, which shards need a worker, what has ended.
//! Pure: reads the ledger and what the manager holds in its head, and names decisions; the manager
//! carries them out.
//!
//! Invariants: dag-order, no-resurrection (nothing is decided for what a command in flight is about
//! to end).

use std::collections::BTreeSet;

use super::endings::planned_from;
use super::leadership::{Intent, Pending};
use super::leases::Leases;
use super::ledger::shards_of;
use super::models::{
    ManagerCommand, Part, Retry, RunOutcome, Shard, StopCause, WorkflowKey, WorkflowState,
};
use super::stats::{Losses, planned_span};
use super::windows::Cuts;
use super::workflow_lifecycle::{Readiness, readiness};
use crate::ids::{NodeId, ShardId, WorkflowIx};
use crate::plan::{OnWorkerLoss, PlanTime, shares};
use crate::report::{Loss, LossKind, WorkflowStatus};
use crate::time::Instant;

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Decision {
    /// Split this workflow once there are cores.
    Ready(WorkflowKey),
    /// Give this shard to a worker.
    Vacant(ShardId),
    /// Nobody will run the rest of this shard.
    GiveUp(ShardId),
    /// A budget of retries is used up.
    Exhausted,
    /// Every run is ready.
    Start(WorkflowKey),
    /// Put this into the log.
    Propose(ManagerCommand),
}

/// What the manager holds in its head.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The time of the step.
    pub(super) now: Instant,
    /// Commands in flight.
    pub(super) pending: &'a Pending,
    /// Open runs.
    pub(super) leases: &'a Leases,
    /// Shards whose rest nobody will run.
    pub(super) given_up: &'a BTreeSet<ShardId>,
    /// How far workers' plan clocks went.
    pub(super) cuts: &'a Cuts,
    /// Assignments of one shard before its workflow fails.
    pub(super) assigns_max: u32,
}

/// What a part needs next.
pub(super) fn decide(part: &Part, view: View<'_>) -> Vec<Decision> {
    let mut decisions = Vec::new();
    if part.begun || part.cancelled {
        for (workflow, state) in part.states() {
            let key = WorkflowKey { job: part.id.job, workflow };
            match state.status {
                WorkflowStatus::Pending => pending(part, key, &mut decisions),
                WorkflowStatus::Dispatched | WorkflowStatus::Running => {
                    active(part, key, view, &mut decisions);
                }
                WorkflowStatus::Cancelling => stopping(part, key, view, &mut decisions),
                WorkflowStatus::Completed
                | WorkflowStatus::Failed
                | WorkflowStatus::Cancelled
                | WorkflowStatus::Skipped => {}
            }
        }
    }
    decisions
}

fn pending(part: &Part, key: WorkflowKey, decisions: &mut Vec<Decision>) {
    match readiness(part, key.workflow) {
        Readiness::Waiting => {}
        Readiness::Ready => decisions.push(Decision::Ready(key)),
        Readiness::Unmet => {
            let reason = "what it depends on did not end as it requires".to_owned();
            decisions.push(Decision::Propose(ManagerCommand::EndWorkflow {
                part: part.id,
                workflow: key.workflow,
                status: WorkflowStatus::Skipped,
                reason,
                plan_time: PlanTime::ZERO,
                start_skew_ns: 0,
                losses: Losses::new(),
            }));
        }
    }
}

/// What a shard of an active workflow needs.
enum Need {
    Nothing,
    Worker,
    GiveUp,
    /// Its workers were lost too often.
    Shrink,
    /// It failed too often.
    Exhausted(String),
    Fail(String),
    Abort(NodeId),
}

fn need(part: &Part, workflow: WorkflowIx, shard: &Shard, assigns_max: u32) -> Need {
    let Some(run) = &shard.run else { return Need::Worker };
    let Some(ended) = &run.ended else { return Need::Nothing };
    let spent = match part.may_retry(workflow, run) {
        Retry::Spent { whose, most } => Some((whose, most)),
        Retry::Free | Retry::Charged => None,
    };
    match &ended.outcome {
        RunOutcome::Completed => return Need::Nothing,
        RunOutcome::Stopped => {}
        RunOutcome::Failed { reason } => {
            if let Some((whose, most)) = spent {
                return Need::Exhausted(format!(
                    "the {most} retries of {whose} are used up, at last: {reason}"
                ));
            }
            if shard.assigns >= assigns_max {
                let times = shard.assigns;
                return Need::Fail(format!("a shard failed {times} times, at last: {reason}"));
            }
        }
        RunOutcome::Vacated { .. } => {}
        RunOutcome::Lost => match part.plan.on_worker_loss {
            OnWorkerLoss::Replace => {}
            OnWorkerLoss::Shrink => return Need::GiveUp,
            OnWorkerLoss::Abort => return Need::Abort(run.worker),
        },
    }
    match spent {
        Some(_) => Need::Shrink,
        None if shard.assigns >= assigns_max => Need::GiveUp,
        None => Need::Worker,
    }
}

fn active(part: &Part, key: WorkflowKey, view: View<'_>, decisions: &mut Vec<Decision>) {
    let Some(state) = part.workflow(key.workflow) else { return };
    let (mut all_ready, mut all_done, mut any_open) = (true, true, false);
    for (id, shard) in shards_of(key, state) {
        if shard.open().is_some() {
            any_open = true;
            all_done = false;
            all_ready &= view.leases.lease(id).is_some_and(|lease| lease.may_be_confirmed());
            continue;
        }
        if shard.is_completed() || view.given_up.contains(&id) {
            continue;
        }
        all_done = false;
        all_ready = false;
        if view.pending.holds(&Intent::Assign(id)) {
            continue;
        }
        match need(part, key.workflow, shard, view.assigns_max) {
            Need::Nothing => {}
            Need::Worker => decisions.push(Decision::Vacant(id)),
            Need::GiveUp => decisions.push(Decision::GiveUp(id)),
            Need::Shrink => {
                decisions.push(Decision::Exhausted);
                decisions.push(Decision::GiveUp(id));
            }
            Need::Exhausted(reason) => {
                decisions.push(Decision::Exhausted);
                let workflow = Some(key.workflow);
                let command = ManagerCommand::Fail { part: part.id, workflow, reason };
                decisions.push(Decision::Propose(command));
            }
            Need::Fail(reason) => decisions.push(Decision::Propose(ManagerCommand::Fail {
                part: part.id,
                workflow: Some(key.workflow),
                reason,
            })),
            Need::Abort(worker) => decisions.push(Decision::Propose(ManagerCommand::Fail {
                part: part.id,
                workflow: None,
                reason: format!("worker {worker} was lost and the plan says abort"),
            })),
        }
    }
    if all_done {
        decisions.push(Decision::Propose(finish(part, key, state, view)));
    } else if state.status == WorkflowStatus::Dispatched && all_ready && any_open {
        decisions.push(Decision::Start(key));
    }
}

fn finish(part: &Part, key: WorkflowKey, state: &WorkflowState, view: View<'_>) -> ManagerCommand {
    let completed = state.shards.iter().any(Shard::is_completed);
    let status = if completed { WorkflowStatus::Completed } else { WorkflowStatus::Failed };
    let is_spent = |shard: &Shard| {
        let run = shard.run.as_ref().filter(|_| !shard.is_completed());
        run.is_some_and(|run| matches!(part.may_retry(key.workflow, run), Retry::Spent { .. }))
    };
    let reason = if state.shards.iter().any(is_spent) {
        "too many workers were lost to replace more"
    } else if completed {
        ""
    } else {
        "no worker is left to run it"
    };
    let at = plan_time(key, state, view);
    let losses = if state.has_started() { unserved(part, key, state, at) } else { Losses::new() };
    end(part, key.workflow, view, (status, reason.to_owned(), at, losses))
}

fn stopping(part: &Part, key: WorkflowKey, view: View<'_>, decisions: &mut Vec<Decision>) {
    let Some(state) = part.workflow(key.workflow) else { return };
    if state.has_open_runs() {
        return;
    }
    let (status, reason) = match &state.stop {
        Some(StopCause::Failed { reason }) if !part.cancelled => {
            (WorkflowStatus::Failed, reason.clone())
        }
        Some(StopCause::Failed { .. } | StopCause::Cancelled) | None => {
            (WorkflowStatus::Cancelled, String::new())
        }
    };
    let at = plan_time(key, state, view);
    let end = end(part, key.workflow, view, (status, reason, at, Losses::new()));
    decisions.push(Decision::Propose(end));
}

fn end(
    part: &Part,
    workflow: WorkflowIx,
    view: View<'_>,
    (status, reason, plan_time, losses): (WorkflowStatus, String, PlanTime, Losses),
) -> ManagerCommand {
    let key = WorkflowKey { job: part.id.job, workflow };
    let start_skew_ns = view.leases.start_skew_ns(key);
    let part = part.id;
    ManagerCommand::EndWorkflow { part, workflow, status, reason, plan_time, start_skew_ns, losses }
}

fn plan_time(key: WorkflowKey, state: &WorkflowState, view: View<'_>) -> PlanTime {
    let at = view.leases.plan_time(key, view.now).or(state.plan_time).unwrap_or_default();
    // A worker's clock may be ahead: the workflow does not end before its runs did.
    at.max(view.cuts.furthest(key)).max(PlanTime::ZERO)
}

/// What nobody will run of the shards that were given up.
fn unserved(part: &Part, key: WorkflowKey, state: &WorkflowState, at: PlanTime) -> Losses {
    let mut losses = Losses::new();
    let Some(planned) = part.planned(key.workflow) else { return losses };
    let executor = &planned.executor;
    let end = planned_span(executor).map_or(at, PlanTime::at);
    let count = u16::try_from(state.shards.len()).unwrap_or(u16::MAX);
    let Some(share) = part.share(key.workflow) else { return losses };
    let shares = shares(executor, &share, count);
    for ((id, shard), share) in shards_of(key, state).zip(&shares) {
        if shard.is_completed() {
            continue;
        }
        let (from, ceiling) = shard.ended().map_or((PlanTime::ZERO, 0), |e| (e.until, e.ceiling));
        let loss = Loss {
            part: part.id.part,
            shard: id.shard,
            worker: shard.run.as_ref().map_or(NodeId::new(0), |run| run.worker),
            kind: LossKind::Unserved,
            from,
            until: end.max(from),
            items: planned_from(executor, share, ceiling),
        };
        if losses.push(loss).is_err() {
            break;
        }
    }
    losses
}
