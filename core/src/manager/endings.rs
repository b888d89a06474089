//! The end of a run as a command: what it contributed and what it declares missing. All pure.
//!
//! Invariants: loss-declared (what may have been issued beyond the counted totals is bounded by
//! items the run was permitted and by iterations open at the cut), coverage-honest (a run covers
//! from its joining to the last second it reported).

use super::models::{ManagerCommand, Run, RunOutcome};
use super::stats::{Losses, millis, planned_span};
use super::sync::Reported;
use std::time::Duration;

use crate::bounded::BoundedVec;
use crate::ids::{PartIx, RunId};
use crate::input::Progress;
use crate::plan::{Executor, PlanTime, Share};
use crate::report::{Loss, LossKind};
use crate::wire::{Final, RunEnd};

/// An open run, as everything that ends it needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open<'a> {
    /// The part it is of.
    pub(super) part: PartIx,
    /// The run.
    pub(super) id: RunId,
    /// As committed.
    pub(super) run: &'a Run,
    /// The workflow's executor.
    pub(super) executor: &'a Executor,
    /// The shard's share.
    pub(super) share: &'a Share,
    /// The highest ceiling it was given; its first item if none.
    pub(super) given: u64,
    /// It may have been confirmed.
    pub(super) confirmed: bool,
    /// The first plan time at which a heartbeat listed it as running.
    pub(super) seen_from: Option<PlanTime>,
    /// An arrival may start so late.
    pub(super) late_max: Duration,
}

impl Open<'_> {
    /// Its worker says it ended. `wanted`: nobody asked it to stop early.
    pub(super) fn finished(&self, end: Final, wanted: bool) -> ManagerCommand {
        let outcome = match end.end {
            RunEnd::Completed => RunOutcome::Completed,
            RunEnd::Stopped => RunOutcome::Stopped,
            RunEnd::Failed { reason } => RunOutcome::Failed { reason },
        };
        let at = end.plan_time.unwrap_or(self.run.joined).max(self.run.joined);
        let until = match (&outcome, planned_span(self.executor)) {
            (RunOutcome::Completed, Some(span)) => PlanTime::at(span),
            (_, Some(span)) => at.min(PlanTime::at(span)),
            (_, None) => at,
        };
        let mut losses = Losses::new();
        for parked in &end.parked {
            let loss = Loss {
                part: self.part,
                shard: self.id.shard.shard,
                worker: self.run.worker,
                kind: LossKind::Parked,
                from: parked.from,
                until: parked.until,
                items: parked.dropped,
            };
            if losses.push(loss).is_err() {
                break;
            }
        }
        let ceiling = self.reached(&outcome, &end.progress);
        let unissued = self.unissued(&end.progress, ceiling);
        if wanted && outcome == RunOutcome::Stopped && unissued > 0 {
            self.declare(&mut losses, LossKind::Unserved, (until, until), unissued);
        }
        ManagerCommand::EndRun {
            run: self.id,
            ceiling,
            until,
            covered_ms: millis(until.since(self.covers_from())),
            outcome,
            progress: end.progress,
            totals: end.totals,
            losses,
        }
    }

    /// The last confirmation it can have had has expired. A run that was never confirmed issued
    /// nothing.
    pub(super) fn lost(&self, last: Option<&Reported>, at: PlanTime) -> ManagerCommand {
        if !self.confirmed {
            return self.vacated("its worker was lost before it started");
        }
        let joined = self.run.joined;
        let span = planned_span(self.executor).map(PlanTime::at);
        let until = at.max(joined).min(span.unwrap_or(at.max(joined)));
        let (cut, progress, totals) = match last {
            Some(last) => {
                let cut = PlanTime::at(std::time::Duration::from_secs(u64::from(last.second)));
                (cut.max(joined).min(until), last.progress, last.totals.clone())
            }
            None => {
                (joined, Progress { next: self.run.first, ..Progress::default() }, Box::default())
            }
        };
        let permitted = self.within_plan(self.given).saturating_sub(progress.next);
        let open = progress.started.saturating_sub(progress.ended);
        let items = permitted.saturating_mul(self.per_item()).saturating_add(open);
        let mut losses = Losses::new();
        self.declare(&mut losses, LossKind::Unreported, (cut, until), items);
        ManagerCommand::EndRun {
            run: self.id,
            outcome: RunOutcome::Lost,
            ceiling: self.given,
            until,
            progress,
            totals,
            covered_ms: millis(cut.since(self.covers_from())),
            losses,
        }
    }

    /// It never issued anything and will not: it was never confirmed.
    pub(super) fn failed(&self, reason: &str) -> ManagerCommand {
        self.unissued_end(RunOutcome::Failed { reason: reason.to_owned() })
    }

    /// It never issued anything and will not: its worker was lost or leaves.
    pub(super) fn vacated(&self, reason: &str) -> ManagerCommand {
        self.unissued_end(RunOutcome::Vacated { reason: reason.to_owned() })
    }

    fn unissued_end(&self, outcome: RunOutcome) -> ManagerCommand {
        ManagerCommand::EndRun {
            run: self.id,
            outcome,
            ceiling: self.run.first,
            until: self.run.joined,
            progress: Progress::default(),
            totals: Box::default(),
            covered_ms: 0,
            losses: BoundedVec::new(),
        }
    }

    fn declare(
        &self,
        losses: &mut Losses,
        kind: LossKind,
        (from, until): (PlanTime, PlanTime),
        items: u64,
    ) {
        let shard = self.id.shard.shard;
        let (part, worker) = (self.part, self.run.worker);
        let loss = Loss { part, shard, worker, kind, from, until, items };
        if let Err(loss) = losses.push(loss)
            && let Some(last) = losses.last_mut()
        {
            *last = loss;
        }
    }

    /// Items from here on it neither issued nor dropped, and never will.
    fn reached(&self, outcome: &RunOutcome, progress: &Progress) -> u64 {
        match self.executor {
            Executor::SharedIterations { .. } | Executor::ConstantArrivalRate { .. }
                if *outcome == RunOutcome::Stopped =>
            {
                progress.next.max(self.run.first).min(self.given)
            }
            // VUs may have come further than the one that is behind.
            Executor::ConstantVus { .. }
            | Executor::PerVuIterations { .. }
            | Executor::SharedIterations { .. }
            | Executor::ConstantArrivalRate { .. } => self.given,
        }
    }

    /// Iterations below `ceiling` that it neither issued nor dropped.
    fn unissued(&self, progress: &Progress, ceiling: u64) -> u64 {
        if matches!(self.executor, Executor::ConstantVus { .. }) {
            return 0;
        }
        let items = self.within_plan(ceiling).saturating_sub(self.run.first);
        let done = progress.started.saturating_add(progress.dropped);
        items.saturating_mul(self.per_item()).saturating_sub(done)
    }

    /// Where its coverage begins. A shard's first run covers from the start. One that took over
    /// covers from where it was seen to run, and not the arrivals before its first item: they were
    /// permitted to the run before it, and lost with it. One that goes on where another stopped
    /// covers from there: what fell due meanwhile is in its totals.
    fn covers_from(&self) -> PlanTime {
        let joined = self.run.joined;
        if self.run.first == 0 && joined == PlanTime::ZERO {
            return joined;
        }
        let seen_from = self.seen_from.unwrap_or(PlanTime::from_nanos(i64::MAX));
        if self.run.is_handed && seen_from <= joined.after(self.late_max) {
            return joined;
        }
        let first = self.share.stripe.global(self.run.first);
        let due = self.executor.schedule().map_or(joined, |schedule| schedule.due(first));
        due.max(joined).max(seen_from)
    }

    fn within_plan(&self, item: u64) -> u64 {
        self.executor.local_items(self.share).map_or(item, |total| item.min(total))
    }

    fn per_item(&self) -> u64 {
        per_item(self.executor, self.share)
    }
}

/// Iterations in one local item: a round has one of each VU.
fn per_item(executor: &Executor, share: &Share) -> u64 {
    match executor {
        Executor::ConstantVus { .. } | Executor::PerVuIterations { .. } => u64::from(share.vus),
        Executor::SharedIterations { .. } | Executor::ConstantArrivalRate { .. } => 1,
    }
}

/// Iterations of a share that are planned from a local item on.
pub(super) fn planned_from(executor: &Executor, share: &Share, item: u64) -> u64 {
    let left = executor.local_items(share).map_or(0, |total| total.saturating_sub(item));
    left.saturating_mul(per_item(executor, share))
}
