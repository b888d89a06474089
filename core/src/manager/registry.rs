//! The workers of the datacenter, as their heartbeats show them. Volatile: a restarted manager
//! learns them anew.
//!
//! Inputs: heartbeats, promises of cores to shards, the clock. Outputs: which worker has a spare
//! core, who fell silent. A worker is silent when nothing of it was heard for
//! `lease::grantor_wait(ttl)`; it is forgotten then, but for what it was promised: the assignment
//! may be in flight, and holds when the worker is heard again. Boot ids have no order, so a
//! heartbeat of another boot replaces the known one unless that boot was heard before with as high
//! a number. Does not do: judging runs. A silent worker's runs end by their leases.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{BootId, NodeId, ShardId};
use crate::limits;
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;
use crate::wire::Heartbeat;

/// Earlier boots of a worker whose late heartbeats are recognised.
const PAST_BOOTS_MAX: usize = 4;

#[derive(Clone, Debug)]
struct Worker {
    boot: BootId,
    seq: u64,
    cores: u16,
    free: u16,
    draining: bool,
    heard: Instant,
    /// Shards given to it that no heartbeat has listed yet: their cores still look free.
    promised: BTreeSet<ShardId>,
    past: Vec<(BootId, u64)>,
}

impl Worker {
    /// Cores for new runs.
    fn spare(&self) -> u16 {
        let promised = u16::try_from(self.promised.len()).unwrap_or(u16::MAX);
        if self.draining { 0 } else { self.free.saturating_sub(promised) }
    }
}

/// What a heartbeat was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// The newest of its boot.
    Fresh,
    /// The first of a worker that was not known.
    First,
    /// The first of a boot that replaces this one.
    Replaced(BootId),
    /// Not newer than what is known, or there is no room for another worker. Nothing changed.
    Dropped,
}

/// The workers.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    silence: Duration,
    workers: BTreeMap<NodeId, Worker>,
    /// Those with a core to spare, most cores first: a pick must not look at all workers.
    order: BTreeSet<(Reverse<u16>, NodeId)>,
    /// What silent workers were promised.
    absent: BTreeMap<NodeId, (BootId, BTreeSet<ShardId>)>,
    timers: Timers<NodeId>,
}

impl Registry {
    /// Nobody yet. `silence`: how long a worker may be unheard.
    pub(super) fn new(silence: Duration) -> Self {
        let (workers, order, absent) = Default::default();
        Self { silence, workers, order, absent, timers: Timers::new() }
    }

    /// Takes a heartbeat.
    pub(super) fn on_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        (from, at): (NodeId, Instant),
        beat: &Heartbeat,
    ) -> Heard {
        let Some(worker) = self.workers.get_mut(&from) else {
            return self.on_unknown(cx, (from, at), beat);
        };
        let before = worker.spare();
        let mut heard = Heard::Fresh;
        if worker.boot == beat.boot {
            if beat.seq <= worker.seq {
                cx.count(Stat::MessageStale);
                return Heard::Dropped;
            }
        } else {
            if worker.past.iter().any(|(boot, seq)| *boot == beat.boot && beat.seq <= *seq) {
                cx.count(Stat::BootStale);
                return Heard::Dropped;
            }
            heard = Heard::Replaced(worker.boot);
            worker.past.retain(|(boot, _)| *boot != beat.boot);
            if worker.past.len() >= PAST_BOOTS_MAX {
                worker.past.remove(0);
            }
            worker.past.push((worker.boot, worker.seq));
            worker.promised.clear();
            worker.boot = beat.boot;
            cx.count(Stat::WorkerJoined);
        }
        worker.seq = beat.seq;
        worker.cores = beat.cores;
        worker.free = beat.free.min(beat.cores);
        worker.draining = beat.draining;
        worker.heard = at;
        let after = worker.spare();
        self.reorder(from, before, after);
        heard
    }

    fn reorder(&mut self, node: NodeId, before: u16, after: u16) {
        if before == after {
            return;
        }
        self.order.remove(&(Reverse(before), node));
        if after > 0 {
            self.order.insert((Reverse(after), node));
        }
    }

    fn change(&mut self, node: NodeId, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.workers.get_mut(&node) else { return };
        let before = worker.spare();
        change(worker);
        let after = worker.spare();
        self.reorder(node, before, after);
    }

    fn on_unknown(
        &mut self,
        cx: &mut Cx<'_>,
        (from, at): (NodeId, Instant),
        beat: &Heartbeat,
    ) -> Heard {
        if self.workers.len() >= limits::WORKERS_MAX {
            cx.count(Stat::CapRefused);
            return Heard::Dropped;
        }
        let promised = match self.absent.remove(&from) {
            Some((boot, promised)) if boot == beat.boot => promised,
            Some(_) | None => BTreeSet::new(),
        };
        let worker = Worker {
            boot: beat.boot,
            seq: beat.seq,
            cores: beat.cores,
            free: beat.free.min(beat.cores),
            draining: beat.draining,
            heard: at,
            promised,
            past: Vec::new(),
        };
        self.reorder(from, 0, worker.spare());
        self.workers.insert(from, worker);
        self.timers.set(from, at.after(self.silence));
        cx.count(Stat::WorkerJoined);
        Heard::First
    }

    /// Forgets the workers that fell silent and names them with the boot they had.
    pub(super) fn on_wake(&mut self, cx: &mut Cx<'_>) -> Vec<(NodeId, BootId)> {
        let mut silent = Vec::new();
        while let Some(node) = self.timers.pop_due(cx.now()) {
            let Some(worker) = self.workers.get(&node) else { continue };
            let end = worker.heard.after(self.silence);
            if end > cx.now() {
                self.timers.set(node, end);
                continue;
            }
            silent.push((node, worker.boot));
            let before = worker.spare();
            self.reorder(node, before, 0);
            if let Some(worker) = self.workers.remove(&node)
                && !worker.promised.is_empty()
            {
                self.absent.insert(node, (worker.boot, worker.promised));
            }
            cx.count(Stat::WorkerLost);
        }
        silent
    }

    /// When the next worker may have fallen silent.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, _)| Wake { at, why: "worker silent" })
    }

    /// The newest heartbeat of this life of a worker: what a confirmation may answer.
    pub(super) fn newest_seq(&self, node: NodeId, boot: BootId) -> Option<u64> {
        self.workers.get(&node).filter(|worker| worker.boot == boot).map(|worker| worker.seq)
    }

    /// Whether a worker was heard lately.
    pub(super) fn is_known(&self, node: NodeId) -> bool {
        self.workers.contains_key(&node)
    }

    /// Whether the worker leaves.
    pub(super) fn is_draining(&self, node: NodeId) -> bool {
        self.workers.get(&node).is_some_and(|worker| worker.draining)
    }

    /// Whether this life of a worker is heard of and stays.
    pub(super) fn is_fit(&self, node: NodeId, boot: BootId) -> bool {
        self.workers.get(&node).is_some_and(|worker| worker.boot == boot && !worker.draining)
    }

    /// A core of the worker goes to a shard.
    pub(super) fn promise(&mut self, node: NodeId, shard: ShardId) {
        self.change(node, |worker| {
            worker.promised.insert(shard);
        });
    }

    /// The worker's own count includes the shard from here on, or the shard went elsewhere.
    pub(super) fn settle(&mut self, node: NodeId, shard: ShardId) {
        if let Some((_, promised)) = self.absent.get_mut(&node) {
            promised.remove(&shard);
            if promised.is_empty() {
                self.absent.remove(&node);
            }
        }
        self.change(node, |worker| {
            worker.promised.remove(&shard);
        });
    }

    /// Workers that would take a run, with the life and the cores to spare of each: most cores
    /// first, then by id.
    pub(super) fn spare(&self) -> impl Iterator<Item = (NodeId, BootId, u16)> {
        self.order.iter().filter_map(|(Reverse(spare), node)| {
            let worker = self.workers.get(node)?;
            Some((*node, worker.boot, *spare))
        })
    }

    /// How many workers leave.
    pub(super) fn leaving(&self) -> usize {
        self.workers.values().filter(|worker| worker.draining).count()
    }

    /// The cores of all workers.
    pub(super) fn cores(&self) -> u32 {
        self.workers.values().fold(0, |sum, worker| sum.saturating_add(u32::from(worker.cores)))
    }

    /// Whether a worker says that all its cores are free, and none is promised.
    pub(super) fn is_idle(&self, node: NodeId) -> bool {
        let idle = |worker: &Worker| worker.free == worker.cores && worker.promised.is_empty();
        self.workers.get(&node).is_some_and(idle)
    }

    /// Cores promised to shards, with the worker of each.
    pub(super) fn promises(&self) -> impl Iterator<Item = ((NodeId, BootId), ShardId)> {
        let present = self.workers.iter().map(|(node, w)| ((*node, w.boot), &w.promised));
        let absent = self.absent.iter().map(|(node, (boot, promised))| ((*node, *boot), promised));
        let each = |(worker, promised): (_, &BTreeSet<ShardId>)| {
            promised.iter().map(move |shard| (worker, *shard)).collect::<Vec<_>>()
        };
        present.chain(absent).flat_map(each)
    }

    /// How many workers are known.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Cores promised and not yet seen taken, over all workers.
    pub(super) fn promised(&self) -> usize {
        self.promises().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::BoundedVec;
    use crate::effect::Effects;
    use crate::ids::{JobId, Lsn, ShardIx, WorkflowIx};
    use crate::rng::Streams;
    use crate::stat::Counters;

    #[test]
    fn what_a_silent_worker_was_promised_holds_when_the_same_life_is_heard_again() {
        let (mut streams, mut out) = (Streams::new(1, 2, 3), Effects::new(Lsn::new(0)));
        let mut stats = Counters::default();
        let mut registry = Registry::new(Duration::from_secs(3));
        let node = NodeId::new(9);
        let shard =
            ShardId { job: JobId::new(1), workflow: WorkflowIx::new(0), shard: ShardIx::new(0) };
        let mut hear = |registry: &mut Registry, secs: u64, boot: u64, seq: u64| {
            let at = Instant::from_nanos(secs * 1_000_000_000);
            let mut cx = Cx::new(at, &mut streams, &mut out, &mut stats);
            let lost = registry.on_wake(&mut cx);
            let runs = BoundedVec::new();
            let boot = BootId::new(boot);
            let beat = Heartbeat { boot, seq, cores: 2, free: 2, draining: false, runs };
            registry.on_heartbeat(&mut cx, (node, at), &beat);
            (lost.len(), registry.spare().map(|(.., cores)| cores).sum::<u16>())
        };
        assert_eq!(hear(&mut registry, 1, 7, 1), (0, 2));
        registry.promise(node, shard);
        assert_eq!(hear(&mut registry, 6, 7, 2), (1, 1));
        assert_eq!(registry.promised(), 1);
        registry.settle(node, shard);
        registry.promise(node, shard);
        assert_eq!(hear(&mut registry, 12, 8, 1), (1, 2), "another life was promised nothing");
    }
}
