//! The workers of the datacenter, as their heartbeats show them. Volatile: a restarted manager
//! learns them anew.
//!
//! Inputs: heartbeats, promises of cores to shards, the clock. Outputs: which worker has a spare
//! core, who fell silent. A worker is silent when nothing of it was heard for
//! `lease::grantor_wait(ttl)`; it is forgotten then. Boot ids have no order, so a heartbeat of
//! another boot replaces the known one unless that boot was heard before with as high a number.
//! Does not do: judging runs. A silent worker's runs end by their leases.

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
    timers: Timers<NodeId>,
}

impl Registry {
    /// Nobody yet. `silence`: how long a worker may be unheard.
    pub(super) fn new(silence: Duration) -> Self {
        Self { silence, workers: BTreeMap::new(), order: BTreeSet::new(), timers: Timers::new() }
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
        let worker = Worker {
            boot: beat.boot,
            seq: beat.seq,
            cores: beat.cores,
            free: beat.free.min(beat.cores),
            draining: beat.draining,
            heard: at,
            promised: BTreeSet::new(),
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
            self.workers.remove(&node);
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
        self.workers.iter().flat_map(|(node, worker)| {
            worker.promised.iter().map(|shard| ((*node, worker.boot), *shard))
        })
    }

    /// How many workers are known.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Cores promised and not yet seen taken, over all workers.
    pub(super) fn promised(&self) -> usize {
        self.workers.values().map(|worker| worker.promised.len()).sum()
    }
}
