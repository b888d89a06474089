//! The ledger of a datacenter: parts, their workflows, shards and runs, and tombstones of parts
//! that must not come back.
//!
//! Changes only in [`ManagerLedger::apply`], the function that recovery folds. Reads no clock and
//! draws nothing: whatever time or chance decides is in the command. A command that no longer
//! applies changes nothing and says so.
//!
//! Invariants: lifecycle-legal, dag-order (a split is refused before its time), run-exclusive (one
//! open run per shard), fence-monotonic (a run's fence is its entry's index), counted-once,
//! cancel-beats, no-resurrection.
//! Does not do: deciding when. It only refuses what would break a promise.

mod wishes;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::models::{
    Ended, ManagerCommand, Part, Retry, Run, RunOutcome, Shard, Tombstone, WorkflowKey,
    WorkflowState,
};
use super::stats::{self, Ending};
use super::workflow_lifecycle::{Readiness, may_move, readiness};
use crate::bounded::{BoundedMap, BoundedVec};
use crate::flow::retry::Budget;
use crate::ids::{Fence, JobId, LogIndex, NodeId, PartId, PartIx, ShardId, WorkflowIx};
use crate::invariant::{Inv, Violation};
use crate::limits;
use crate::plan::{Executor, Plan, PlanTime};
use crate::report::{Loss, LossKind, WorkflowStatus};

/// A shard that was without a run for longer was not handed over: the gap is declared.
const HANDED_WITHIN: Duration = Duration::from_secs(1);

/// The ledger.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ManagerLedger {
    parts: BoundedMap<JobId, Part, { limits::PARTS_MAX }>,
    tombstones: BoundedMap<PartId, Tombstone, { limits::TOMBSTONES_MAX }>,
}

/// Whether a command changed anything.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// It did.
    Changed,
    /// It no longer applies; nothing changed.
    Ignored,
}

impl ManagerLedger {
    /// Takes the committed command at `index`.
    pub fn apply(&mut self, index: LogIndex, command: &ManagerCommand) -> Applied {
        let changed = match command {
            ManagerCommand::Accept { part, gate, fence, plan } => {
                self.accept(*part, *gate, *fence, plan)
            }
            ManagerCommand::Begin { part, gate, fence } => self.begin(*part, *gate, *fence),
            ManagerCommand::Cancel { part, gate, fence, workflow } => {
                self.cancel(*part, *gate, *fence, *workflow)
            }
            ManagerCommand::Split { part, workflow, shards } => {
                self.split(*part, *workflow, *shards)
            }
            ManagerCommand::Assign { shard, worker, boot, first } => {
                let run = Run {
                    index,
                    worker: *worker,
                    boot: *boot,
                    first: *first,
                    reserved: *first,
                    joined: PlanTime::ZERO,
                    is_handed: false,
                    ended: None,
                };
                self.assign(*shard, run)
            }
            ManagerCommand::Started { part, workflow } => {
                self.move_to(*part, *workflow, WorkflowStatus::Running)
            }
            ManagerCommand::Advanced { .. } => self.advance(command),
            ManagerCommand::EndRun { .. } => self.end_run(command),
            ManagerCommand::EndWorkflow { .. } => self.end_workflow(command),
            ManagerCommand::Close { part } => self.close(*part),
            ManagerCommand::Fail { part, workflow, reason } => self.fail(*part, *workflow, reason),
            ManagerCommand::Claim { part, gate, fence } => self.claim(*part, *gate, *fence),
            ManagerCommand::Expire { part, offer } => self.expire(*part, *offer),
            ManagerCommand::Ran { part, elapsed } => self.part_mut(*part).map(|part| {
                part.elapsed = part.elapsed.max(*elapsed);
            }),
        };
        if changed.is_some() { Applied::Changed } else { Applied::Ignored }
    }

    /// Every part.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.values()
    }

    /// The part of a job here, if any. A datacenter has at most one.
    pub fn of_job(&self, job: JobId) -> Option<&Part> {
        self.parts.get(&job)
    }

    /// A part.
    pub fn part(&self, part: PartId) -> Option<&Part> {
        self.parts.get(&part.job).filter(|known| known.id == part)
    }

    /// What remains of a part.
    pub fn tombstone(&self, part: PartId) -> Option<&Tombstone> {
        self.tombstones.get(&part)
    }

    /// Whether another part could be accepted.
    pub fn has_room(&self) -> bool {
        !self.parts.is_full()
    }

    /// A workflow's state.
    pub fn workflow(&self, key: WorkflowKey) -> Option<&WorkflowState> {
        self.of_job(key.job)?.workflow(key.workflow)
    }

    /// A workflow's executor.
    pub fn executor(&self, key: WorkflowKey) -> Option<&Executor> {
        Some(&self.of_job(key.job)?.planned(key.workflow)?.executor)
    }

    /// A shard.
    pub fn shard(&self, shard: ShardId) -> Option<&Shard> {
        self.workflow(WorkflowKey::of(shard))?.shards.get(usize::from(shard.shard.get()))
    }

    /// The latest run of every shard that has one.
    pub fn runs(&self) -> impl Iterator<Item = (ShardId, &Run)> {
        self.parts.values().flat_map(|part| {
            part.states().flat_map(|(workflow, state)| {
                let key = WorkflowKey { job: part.id.job, workflow };
                shards_of(key, state).filter_map(|(id, shard)| Some((id, shard.run.as_ref()?)))
            })
        })
    }

    /// Walks every promise that the ledger alone can show broken.
    ///
    /// # Errors
    /// The first.
    pub fn check_all(&self) -> Result<(), Violation> {
        let wrong = |inv, detail: String| Err(Violation::new(inv, detail));
        for (job, part) in self.parts.iter() {
            if part.id.job != *job || self.tombstones.contains_key(&part.id) {
                return wrong(Inv::NoResurrection, format!("{:?} lives and is buried", part.id));
            }
            for (ix, state) in part.states() {
                let at = format!("{:?} {ix} is {:?}", part.id, state.status);
                let most = part.share(ix).zip(part.planned(ix));
                let most = most.map(|(share, planned)| share.shards_max(&planned.executor));
                if most.is_none_or(|most| state.shards.len() > usize::from(most)) {
                    return wrong(Inv::SharesExact, at);
                }
                let ended = state.status.is_terminal();
                if ended != state.result.is_some() || (ended && !state.shards.is_empty()) {
                    return wrong(Inv::LifecycleLegal, at);
                }
                if (state.status == WorkflowStatus::Pending) && !state.shards.is_empty() {
                    return wrong(Inv::LifecycleLegal, at);
                }
                let active = !ended && state.status != WorkflowStatus::Pending;
                if active && readiness(part, ix) != Readiness::Ready {
                    return wrong(Inv::DagOrder, at);
                }
                let below =
                    |shard: &Shard| shard.run.as_ref().is_some_and(|r| r.reserved < r.first);
                if state.shards.iter().any(below) {
                    return wrong(Inv::IndexOnce, at);
                }
            }
        }
        Ok(())
    }

    fn part_mut(&mut self, part: PartId) -> Option<&mut Part> {
        self.parts.value_mut(&part.job).filter(|known| known.id == part)
    }

    fn state_mut(&mut self, part: PartId, workflow: WorkflowIx) -> Option<&mut WorkflowState> {
        self.part_mut(part)?.workflow_mut(workflow)
    }

    fn shard_state_mut(&mut self, shard: ShardId) -> Option<&mut WorkflowState> {
        self.parts.value_mut(&shard.job)?.workflow_mut(shard.workflow)
    }

    fn accept(&mut self, id: PartId, gate: NodeId, fence: Fence, plan: &Plan) -> Option<()> {
        if self.tombstone(id).is_some_and(|tombstone| !tombstone.allows(fence)) {
            return None;
        }
        if let Some(part) = self.parts.value_mut(&id.job) {
            let renewed = part.id == id && !part.begun && !part.cancelled && fence > part.fence;
            if !renewed {
                return None;
            }
            part.offer = fence;
            part.heed(gate, fence);
            return Some(());
        }
        let states = plan.workflows.iter().map(|_| WorkflowState::default()).collect::<Vec<_>>();
        let part = Part {
            id,
            gate,
            offer: fence,
            fence,
            plan: Box::new(plan.clone()),
            begun: false,
            cancelled: false,
            workers: BTreeSet::new(),
            lost: BTreeSet::new(),
            workflows: BoundedVec::try_from(states).ok()?,
            retries: Budget::default(),
            losses: Budget::default(),
            elapsed: Duration::ZERO,
        };
        self.parts.insert(id.job, part).ok()?;
        self.tombstones.remove(&id);
        Some(())
    }

    fn split(&mut self, id: PartId, workflow: WorkflowIx, shards: u16) -> Option<()> {
        let part = self.part_mut(id)?;
        let most = part.share(workflow)?.shards_max(&part.planned(workflow)?.executor);
        let ready = part.begun && readiness(part, workflow) == Readiness::Ready;
        if !ready || shards == 0 || shards > most {
            return None;
        }
        let state = part.workflow_mut(workflow)?;
        if !may_move(state.status, WorkflowStatus::Dispatched) {
            return None;
        }
        let empty = (0..shards).map(|_| Shard::default()).collect::<Vec<_>>();
        state.shards = BoundedVec::try_from(empty).ok()?;
        state.status = WorkflowStatus::Dispatched;
        Some(())
    }

    fn assign(&mut self, id: ShardId, mut run: Run) -> Option<()> {
        let known = self.of_job(id.job)?;
        let part = known.id.part;
        let before = self.shard(id)?.run.clone();
        if let Some(before) = &before
            && matches!(known.may_retry(id.workflow, before), Retry::Spent { .. })
        {
            return None;
        }
        let index = run.index;
        let state = self.shard_state_mut(id)?;
        let running = match state.status {
            WorkflowStatus::Dispatched => false,
            WorkflowStatus::Running => true,
            WorkflowStatus::Pending
            | WorkflowStatus::Cancelling
            | WorkflowStatus::Completed
            | WorkflowStatus::Failed
            | WorkflowStatus::Cancelled
            | WorkflowStatus::Skipped => return None,
        };
        let plan_time = state.plan_time.unwrap_or_default().max(PlanTime::ZERO);
        let shard = state.shards.get_mut(usize::from(id.shard.get()))?;
        if shard.open().is_some() || shard.is_completed() {
            return None;
        }
        let mut gap = None;
        let stopped = shard.ended().filter(|ended| ended.outcome == RunOutcome::Stopped);
        let handed = stopped.filter(|ended| {
            ended.ceiling == run.first && plan_time <= ended.until.after(HANDED_WITHIN)
        });
        if let Some(ended) = handed {
            run.joined = ended.until;
            run.is_handed = true;
        } else if running {
            run.joined = plan_time;
            gap = shard.run.as_ref().and_then(|before| gap_between((part, id), before, &run));
        }
        shard.assigns = shard.assigns.saturating_add(1);
        shard.run = Some(run);
        stats::declare(state, gap.as_slice());
        if let (Some(before), Some(part)) = (before, self.parts.value_mut(&id.job)) {
            part.charge(id.workflow, &before, index);
        }
        Some(())
    }

    fn move_to(&mut self, id: PartId, workflow: WorkflowIx, to: WorkflowStatus) -> Option<()> {
        let state = self.state_mut(id, workflow)?;
        if !may_move(state.status, to) {
            return None;
        }
        state.status = to;
        Some(())
    }

    fn advance(&mut self, command: &ManagerCommand) -> Option<()> {
        let ManagerCommand::Advanced { part, workflow, plan_time, ceilings } = command else {
            return None;
        };
        let state = self.state_mut(*part, *workflow)?;
        if state.status != WorkflowStatus::Running {
            return None;
        }
        state.plan_time = state.plan_time.max(Some(*plan_time));
        for (id, ceiling) in ceilings {
            let Some(shard) = state.shards.get_mut(usize::from(id.shard.shard.get())) else {
                continue;
            };
            if let Some(run) = shard.run.as_mut()
                && run.index == id.fence.index
                && run.ended.is_none()
            {
                // The first reservation goes before the first confirmation: until then the shard
                // stood still.
                if !run.may_have_issued() && !run.is_handed {
                    run.joined = run.joined.max(*plan_time);
                }
                run.reserved = run.reserved.max(*ceiling);
            }
        }
        Some(())
    }

    fn end_run(&mut self, command: &ManagerCommand) -> Option<()> {
        let ManagerCommand::EndRun {
            run: id,
            outcome,
            ceiling,
            until,
            totals,
            covered_ms,
            losses,
            ..
        } = command
        else {
            return None;
        };
        let state = self.shard_state_mut(id.shard)?;
        let shard = state.shards.get_mut(usize::from(id.shard.shard.get()))?;
        let run = shard.run.as_mut().filter(|run| run.index == id.fence.index)?;
        if run.ended.is_some() {
            return None;
        }
        let ended = Ended { outcome: outcome.clone(), ceiling: *ceiling, until: *until };
        run.ended = Some(ended);
        let worker = run.worker;
        state.totals.merge(totals);
        state.totals.fit();
        state.ended_until = state.ended_until.max(*until);
        state.covered_ms = state.covered_ms.saturating_add(*covered_ms);
        stats::declare(state, losses);
        let part = self.parts.value_mut(&id.shard.job)?;
        match outcome {
            RunOutcome::Completed | RunOutcome::Stopped => {
                part.workers.insert(worker);
            }
            RunOutcome::Lost => {
                part.workers.insert(worker);
                part.lost.insert(worker);
            }
            RunOutcome::Failed { .. } | RunOutcome::Vacated { .. } => {}
        }
        Some(())
    }

    fn end_workflow(&mut self, command: &ManagerCommand) -> Option<()> {
        let ManagerCommand::EndWorkflow {
            part,
            workflow,
            status,
            reason,
            plan_time,
            start_skew_ns,
            losses,
        } = command
        else {
            return None;
        };
        let part = self.part_mut(*part)?;
        let state = part.workflow(*workflow)?;
        let legal = may_move(state.status, *status) && status.is_terminal();
        if !legal || state.has_open_runs() {
            return None;
        }
        let ending = Ending {
            status: *status,
            reason,
            plan_time: *plan_time,
            start_skew: std::time::Duration::from_nanos(*start_skew_ns),
        };
        conclude(part, *workflow, ending, losses);
        Some(())
    }
}

/// The shards of a workflow with their ids.
pub(super) fn shards_of(
    key: WorkflowKey,
    state: &WorkflowState,
) -> impl Iterator<Item = (ShardId, &Shard)> {
    let ids = (0u16..=u16::MAX).map(move |ix| key.shard(crate::ids::ShardIx::new(ix)));
    ids.zip(state.shards.iter())
}

fn conclude(part: &mut Part, ix: WorkflowIx, ending: Ending<'_>, losses: &[Loss]) {
    let executor = part.planned(ix).map(|planned| planned.executor);
    let Some(state) = part.workflow_mut(ix) else { return };
    stats::declare(state, losses);
    state.status = ending.status;
    state.result = Some(Box::new(stats::conclude(state, ix, executor.as_ref(), ending)));
}

/// What nobody ran between the end of a run and the joining of the one that replaces it.
fn gap_between((part, id): (PartIx, ShardId), before: &Run, after: &Run) -> Option<Loss> {
    let ended = before.ended.as_ref()?;
    let items = after.first.saturating_sub(ended.ceiling);
    let until = after.joined.max(ended.until);
    (items > 0 || until > ended.until).then_some(Loss {
        part,
        shard: id.shard,
        worker: before.worker,
        kind: LossKind::Unserved,
        from: ended.until,
        until,
        items,
    })
}

#[cfg(test)]
mod tests;
