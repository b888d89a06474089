//! Updates of jobs: kept for watchers that resume, published to those that are there.
//!
//! A sequence number is an epoch and a counter: the fence under which the job's owner publishes,
//! and at last the entry that ended the job. Numbers rise over owners, and the last update has the
//! same one everywhere. Updates of earlier owners are not kept: a watcher that asks for them hears
//! `truncated`. Watchers at a gate that ceases to own the job hear so and ask again.
//! Totals are cumulative, so only the newest kept update has its histograms: the others are for
//! counters over time, and a job that is watched for hours must not fill the gate's memory.
//! Inputs: a committed change or an accepted live report. Effects: `Publish`, one per input.
//! Bounds: `UPDATES_MAX` of a job, `UPDATES_ALL_MAX` of all, a ring per job of the ledger.

use std::collections::{BTreeMap, VecDeque};

use crate::api::{JobView, Reply, Update};
use crate::ids::{JobId, LogIndex};
use crate::invariant::{Inv, Violation};
use crate::limits::{UPDATES_ALL_MAX, UPDATES_MAX};
use crate::machine::Cx;

/// Updates of one owner: ten a second of every datacenter for the longest plan.
const COUNTER_BITS: u32 = 29;

/// The kept updates of every job.
#[derive(Debug, Default)]
pub(super) struct Watch {
    rings: BTreeMap<JobId, Ring>,
    kept: usize,
}

#[derive(Debug, Default)]
struct Ring {
    /// The newest number that is not kept any more; 0: nothing is missing.
    gone: u64,
    last: u64,
    updates: VecDeque<Update>,
}

impl Watch {
    /// A job was created by this gate: nothing of it is missing.
    pub(super) fn on_created(&mut self, job: JobId, epoch: LogIndex) {
        let ring = Ring { last: base(epoch), ..Ring::default() };
        self.rings.insert(job, ring);
    }

    /// Keeps an update and tells everyone who watches.
    pub(super) fn publish(&mut self, cx: &mut Cx<'_>, epoch: LogIndex, view: JobView) {
        let job = view.job;
        let update = self.keep(epoch, view);
        cx.out.publish(job, update);
    }

    /// This gate ceases to act for a job: whoever watches it here is told to ask again.
    pub(super) fn on_moved(&mut self, cx: &mut Cx<'_>, view: JobView) {
        let Some(ring) = self.rings.remove(&view.job) else { return };
        self.kept = self.kept.saturating_sub(ring.updates.len());
        let (job, seq) = (view.job, ring.last);
        cx.out.publish(job, Update { seq, view: Box::new(view), moved: true });
    }

    /// Answers a watcher with everything kept above `after`. A job that nothing is kept of gives
    /// its current view.
    pub(super) fn backlog(&mut self, epoch: LogIndex, after: u64, current: JobView) -> Reply {
        let job = current.job;
        if self.rings.get(&job).is_none_or(|ring| ring.updates.is_empty()) {
            self.keep(epoch, current);
        }
        let Some(ring) = self.rings.get(&job) else {
            return Reply::Watching { updates: Vec::new(), truncated: false };
        };
        let updates = ring.updates.iter().filter(|update| update.seq > after).cloned().collect();
        Reply::Watching { updates, truncated: after < ring.gone }
    }

    /// A job left the history.
    pub(super) fn retain(&mut self, mut known: impl FnMut(JobId) -> bool) {
        self.rings.retain(|job, _| known(*job));
        self.kept = self.rings.values().map(|ring| ring.updates.len()).sum();
    }

    /// Checks the bounds.
    pub(super) fn check(&self) -> Result<(), Violation> {
        let kept: usize = self.rings.values().map(|ring| ring.updates.len()).sum();
        if kept == self.kept && kept <= UPDATES_ALL_MAX {
            return Ok(());
        }
        Err(Violation::new(Inv::Bounded, format!("{kept} updates kept, {} counted", self.kept)))
    }

    fn keep(&mut self, epoch: LogIndex, view: JobView) -> Update {
        if self.kept >= UPDATES_ALL_MAX {
            let longest = self.rings.values_mut().max_by_key(|ring| ring.updates.len());
            self.kept = self.kept.saturating_sub(longest.map_or(0, Ring::drop_oldest));
        }
        let base = base(epoch);
        let unseen = || Ring { gone: base, last: base, updates: VecDeque::new() };
        let ring = self.rings.entry(view.job).or_insert_with(unseen);
        if ring.updates.len() >= UPDATES_MAX {
            self.kept = self.kept.saturating_sub(ring.drop_oldest());
        }
        ring.last = ring.last.max(base).saturating_add(1);
        if let Some(before) = ring.updates.back_mut() {
            before.view.workflows.iter_mut().for_each(|view| view.totals.drop_histograms());
        }
        let update = Update { seq: ring.last, view: Box::new(view), moved: false };
        ring.updates.push_back(update.clone());
        self.kept = self.kept.saturating_add(1);
        update
    }
}

impl Ring {
    fn drop_oldest(&mut self) -> usize {
        let Some(oldest) = self.updates.pop_front() else { return 0 };
        self.gone = oldest.seq;
        1
    }
}

fn base(epoch: LogIndex) -> u64 {
    epoch.get().wrapping_shl(COUNTER_BITS)
}
