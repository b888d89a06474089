//! Which of what waits gets cores, and how many.
//!
//! Vacant shards of running workflows first: their load is missing now. Then ready workflows by
//! rank. A workflow ranks no lower than what waits for its end, and the longer it waits the higher
//! it ranks, up to the highest: nobody starves. Equals: the job with the fewest runs first, then
//! who waits longest. Each gets a part of the spare cores by its weight among all that wait, within
//! the share of its priority.
//!
//! An exclusive workflow runs on workers that run nothing else meanwhile. It takes only idle
//! workers; what runs is let finish, and while it is first and finds none, nothing behind it
//! starts. That ends with its `cores_wait`, when it fails; and those behind it go first once they
//! have waited so long that they rank as high.
//!
//! Invariants: exclusive-alone, priority-order, route-sane.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::Manager;
use super::dispatch::Key;
use super::leadership::Intent;
use super::models::{ManagerCommand, WorkflowKey};
use crate::ids::{BootId, NodeId, ShardId, ShardIx};
use crate::invariant::{Inv, Violation};
use crate::machine::Cx;
use crate::plan::Priority;
use crate::stat::Stat;
use crate::time::Instant;

/// The rank of what goes before everything.
const RANK_MAX: u8 = Priority::Exclusive.rank();
/// A workflow that waits rises by one rank so many times before its wait is over.
const RISES: u32 = 6;

/// What a worker runs or is about to run.
#[derive(Clone, Copy, Debug)]
struct Occupant {
    workflow: WorkflowKey,
    is_mixed: bool,
    is_exclusive: bool,
}

/// Who runs what, as far as exclusive workflows make that matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Isolation {
    matters: bool,
    occupants: BTreeMap<(NodeId, BootId), Occupant>,
}

impl Isolation {
    fn occupy(&mut self, worker: (NodeId, BootId), workflow: WorkflowKey, is_exclusive: bool) {
        if !self.matters {
            return;
        }
        let known = self.occupants.entry(worker);
        let known = known.or_insert(Occupant { workflow, is_mixed: false, is_exclusive });
        known.is_mixed |= known.workflow != workflow;
        known.is_exclusive |= is_exclusive;
    }

    /// Whether a worker may run a shard of a workflow beside what it runs.
    fn admits(
        &self,
        worker: (NodeId, BootId),
        (workflow, is_exclusive): (WorkflowKey, bool),
    ) -> bool {
        let Some(known) = self.occupants.get(&worker) else { return true };
        let is_own = known.workflow == workflow && !known.is_mixed;
        is_own || !(is_exclusive || known.is_exclusive)
    }
}

impl Manager {
    /// Gives spare cores to what waits for them.
    pub(super) fn place(&mut self, cx: &mut Cx<'_>) {
        if self.registry.spare().next().is_none() {
            return;
        }
        let mut isolation = self.isolation();
        let mut is_claimed = self.fill_vacant(cx, &mut isolation);
        let order = self.queue(cx.now());
        for (done, key) in order.iter().enumerate() {
            if is_claimed {
                break;
            }
            let rest = order.iter().skip(done);
            let weights = rest.fold(0, |sum: u32, key| sum.saturating_add(self.weight(*key)));
            let others = order.len().saturating_sub(done).saturating_sub(1);
            let was_split = self.split(cx, *key, (weights, others), &mut isolation);
            is_claimed = !was_split && self.is_exclusive(*key);
        }
        let claimant = order.iter().copied().find(|key| self.is_exclusive(*key));
        if is_claimed && self.dispatch.claimant != claimant {
            cx.count(Stat::ExclusiveAwaited);
        }
        self.dispatch.claimant = claimant.filter(|_| is_claimed);
    }

    /// Vacant shards of running workflows. Whether an exclusive one found no worker.
    fn fill_vacant(&mut self, cx: &mut Cx<'_>, isolation: &mut Isolation) -> bool {
        let mut vacant = self.dispatch.vacant.iter().copied().collect::<Vec<_>>();
        vacant.sort_by_key(|shard| Reverse(self.base_rank(WorkflowKey::of(*shard))));
        let mut is_claimed = false;
        for shard in vacant {
            let key = WorkflowKey::of(shard);
            let Some((worker, boot)) = self.pick(shard, isolation) else {
                is_claimed |= self.is_exclusive(key);
                continue;
            };
            if self.assign(cx, shard, worker, boot) {
                self.dispatch.vacant.remove(&shard);
                self.dispatch.timers.cancel(&Key::Replace(shard));
                isolation.occupy((worker, boot), key, self.is_exclusive(key));
            }
        }
        is_claimed
    }

    /// What waits to be split, in the order in which it gets cores.
    fn queue(&self, now: Instant) -> Vec<WorkflowKey> {
        let step = (self.config.cores_wait / RISES).max(Duration::from_millis(1));
        let place = |(key, since): (&WorkflowKey, &Instant)| {
            let rises = now.since(*since).as_millis() / step.as_millis().max(1);
            let rises = u8::try_from(rises).unwrap_or(RANK_MAX);
            let rank = self.base_rank(*key).saturating_add(rises).min(RANK_MAX);
            let held = self.leases.of_job(key.job).count();
            (Reverse(rank), self.is_exclusive(*key), held, *since, *key)
        };
        let mut order = self.dispatch.ready.iter().map(place).collect::<Vec<_>>();
        order.sort_unstable();
        order.into_iter().map(|(.., key)| key).collect()
    }

    /// Splits a ready workflow over its part of the spare cores, leaving one for each of the
    /// `others` behind it. `weights`: of it and all of them. Whether there was a core.
    fn split(
        &mut self,
        cx: &mut Cx<'_>,
        key: WorkflowKey,
        (weights, others): (u32, usize),
        isolation: &mut Isolation,
    ) -> bool {
        let Some(part) = self.ledger.of_job(key.job) else { return true };
        let Some(planned) = part.planned(key.workflow) else { return true };
        let Some(share) = part.share(key.workflow) else { return true };
        let (priority, id) = (planned.priority, part.id);
        let is_exclusive = priority == Priority::Exclusive;
        let doubted = self.registry.spare().filter(|(node, ..)| self.membership.doubts(*node));
        cx.count_many(Stat::WorkerDoubted, u64::try_from(doubted.count()).unwrap_or(u64::MAX));
        let spare = self.candidates((key, is_exclusive), isolation);
        let (workers, cores) =
            spare.into_iter().fold((0u32, 0u32), |(workers, sum), (.., cores)| {
                (workers.saturating_add(1), sum.saturating_add(u32::from(cores)))
            });
        if cores == 0 {
            return false;
        }
        let fair = u64::from(cores).saturating_mul(u64::from(priority.weight()));
        let fair = u32::try_from(fair.div_ceil(u64::from(weights.max(1)))).unwrap_or(u32::MAX);
        let left = cores.saturating_sub(u32::try_from(others).unwrap_or(u32::MAX));
        let fair = if is_exclusive { cores } else { fair.min(left).max(1) };
        let most = priority.cores_max(self.registry.cores());
        let shards = planned.executor.shards_wanted(&share, workers, fair.min(most));
        let command = ManagerCommand::Split { part: id, workflow: key.workflow, shards };
        // A group that hands leadership over takes nothing.
        let is_split = self.propose(cx, command) || self.pending.holds(&Intent::Split(key));
        if !is_split {
            return true;
        }
        self.dispatch.ready.remove(&key);
        self.dispatch.timers.cancel(&Key::Cores(key));
        for ix in 0..shards {
            let shard = key.shard(ShardIx::new(ix));
            let Some((worker, boot)) = self.pick(shard, isolation) else { return true };
            isolation.occupy((worker, boot), key, is_exclusive);
            self.assign(cx, shard, worker, boot);
        }
        true
    }

    /// The best worker for a shard: one that nobody doubts, that failed it least often, with the
    /// most cores to spare.
    pub(super) fn pick(&self, shard: ShardId, isolation: &Isolation) -> Option<(NodeId, BootId)> {
        let key = WorkflowKey::of(shard);
        let failed = |node| self.dispatch.failures.get(&(shard, node)).copied().unwrap_or(0);
        let mut best: Option<((bool, u32), (NodeId, BootId))> = None;
        for (node, boot, _) in self.fit((key, self.is_exclusive(key)), isolation) {
            let rank = (self.membership.doubts(node), failed(node));
            if best.is_none_or(|(known, _)| rank < known) {
                best = Some((rank, (node, boot)));
            }
            if rank == (false, 0) {
                break;
            }
        }
        best.map(|(_, worker)| worker)
    }

    /// Workers with a core to spare that may run a workflow: suspected or dead ones only if there
    /// is no other.
    fn candidates(
        &self,
        of: (WorkflowKey, bool),
        isolation: &Isolation,
    ) -> Vec<(NodeId, BootId, u16)> {
        let is_doubted = |worker: &(NodeId, BootId, u16)| self.membership.doubts(worker.0);
        let (doubted, trusted): (Vec<_>, Vec<_>) = self.fit(of, isolation).partition(is_doubted);
        if trusted.is_empty() { doubted } else { trusted }
    }

    /// Workers with a core to spare that may run a workflow, most cores first, then by id.
    fn fit(
        &self,
        (key, is_exclusive): (WorkflowKey, bool),
        isolation: &Isolation,
    ) -> impl Iterator<Item = (NodeId, BootId, u16)> {
        self.registry.spare().filter(move |(node, boot, _)| {
            let worker = (*node, *boot);
            let is_own = isolation.occupants.contains_key(&worker);
            let is_idle = || is_own || self.registry.is_idle(*node);
            let is_fit = !self.health.is_stuck(*node);
            is_fit && isolation.admits(worker, (key, is_exclusive)) && (!is_exclusive || is_idle())
        })
    }

    /// Who runs what; empty while no exclusive workflow is here.
    pub(super) fn isolation(&self) -> Isolation {
        let matters = self.ledger.parts().any(|part| {
            let open = |state: &super::models::WorkflowState| !state.status.is_terminal();
            let mut planned = part.plan.workflows.iter().zip(part.workflows.iter());
            planned.any(|(planned, state)| planned.priority == Priority::Exclusive && open(state))
        });
        let mut isolation = Isolation { matters, occupants: BTreeMap::new() };
        if matters {
            let leased =
                self.leases.iter().map(|lease| ((lease.worker, lease.boot), lease.run.shard));
            for (worker, shard) in leased.chain(self.registry.promises()) {
                let key = WorkflowKey::of(shard);
                isolation.occupy(worker, key, self.is_exclusive(key));
            }
        }
        isolation
    }

    fn is_exclusive(&self, key: WorkflowKey) -> bool {
        self.priority(key) == Priority::Exclusive
    }

    fn weight(&self, key: WorkflowKey) -> u32 {
        self.priority(key).weight()
    }

    fn priority(&self, key: WorkflowKey) -> Priority {
        let part = self.ledger.of_job(key.job);
        part.and_then(|part| part.planned(key.workflow)).map_or(Priority::Low, |w| w.priority)
    }

    fn base_rank(&self, key: WorkflowKey) -> u8 {
        self.ledger.of_job(key.job).map_or(0, |part| part.plan.rank(key.workflow))
    }

    /// No open run shares its worker with one of an exclusive workflow.
    pub(super) fn check_isolation(&self) -> Result<(), Violation> {
        let isolation = self.isolation();
        match isolation.occupants.iter().find(|(_, held)| held.is_exclusive && held.is_mixed) {
            Some(((worker, _), held)) => {
                let detail = format!("{worker} runs {:?} and another workflow", held.workflow);
                Err(Violation::new(Inv::ExclusiveAlone, detail))
            }
            None => Ok(()),
        }
    }

    /// A workflow becomes ready.
    pub(super) fn await_cores(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        if self.pending.holds(&Intent::Split(key)) || self.dispatch.ready.contains_key(&key) {
            return;
        }
        self.dispatch.ready.insert(key, cx.now());
        if self.registry.spare().next().is_none() {
            cx.count(Stat::WorkflowQueued);
        }
        self.dispatch.timers.set(Key::Cores(key), cx.now().after(self.config.cores_wait));
    }
}
