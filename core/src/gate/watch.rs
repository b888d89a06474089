//! Updates of jobs: kept for watchers that resume, published to those that are there.
//!
//! A sequence number is the term of this boot and a counter of the job, so that a later boot
//! continues above. Updates of earlier boots are not kept: a watcher that asks for them hears
//! `truncated`.
//! Totals are cumulative, so only the newest kept update has its histograms: the others are for
//! counters over time, and a job that is watched for hours must not fill the gate's memory.
//! Inputs: a committed change or an accepted live report. Effects: `Publish`, one per input.
//! Bounds: `UPDATES_MAX` of a job, `UPDATES_ALL_MAX` of all, a ring per job of the ledger.

use std::collections::{BTreeMap, VecDeque};

use crate::api::{JobView, Reply, Update};
use crate::ids::{JobId, Term};
use crate::invariant::{Inv, Violation};
use crate::limits::{UPDATES_ALL_MAX, UPDATES_MAX};
use crate::machine::Cx;

const COUNTER_BITS: u32 = 40;

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
    /// A job was created in this boot: nothing of it is missing.
    pub(super) fn on_created(&mut self, job: JobId, term: Term) {
        let ring = Ring { last: base(term), ..Ring::default() };
        self.rings.insert(job, ring);
    }

    /// Keeps an update and tells everyone who watches.
    pub(super) fn publish(&mut self, cx: &mut Cx<'_>, term: Term, view: JobView) {
        let job = view.job;
        let update = self.keep(term, view);
        cx.out.publish(job, update);
    }

    /// Answers a watcher with everything kept above `after`. A job that nothing is kept of gives
    /// its current view.
    pub(super) fn backlog(&mut self, term: Term, after: u64, current: JobView) -> Reply {
        let job = current.job;
        if self.rings.get(&job).is_none_or(|ring| ring.updates.is_empty()) {
            self.keep(term, current);
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

    fn keep(&mut self, term: Term, view: JobView) -> Update {
        if self.kept >= UPDATES_ALL_MAX {
            let longest = self.rings.values_mut().max_by_key(|ring| ring.updates.len());
            self.kept = self.kept.saturating_sub(longest.map_or(0, Ring::drop_oldest));
        }
        let base = base(term);
        let unseen = || Ring { gone: base, last: base, updates: VecDeque::new() };
        let ring = self.rings.entry(view.job).or_insert_with(unseen);
        if ring.updates.len() >= UPDATES_MAX {
            self.kept = self.kept.saturating_sub(ring.drop_oldest());
        }
        ring.last = ring.last.saturating_add(1);
        if let Some(before) = ring.updates.back_mut() {
            before.view.workflows.iter_mut().for_each(|view| view.totals.drop_histograms());
        }
        let update = Update { seq: ring.last, view: Box::new(view) };
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

fn base(term: Term) -> u64 {
    term.get().wrapping_shl(COUNTER_BITS)
}
