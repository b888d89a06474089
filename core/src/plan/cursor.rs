//! A walk along the arrivals of one stripe: the next one and when it is due, advanced without a
//! division.

use super::schedule::Schedule;
use super::share::Stripe;
use super::time::PlanTime;

/// Where a run is in its stripe's arrivals.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    schedule: Schedule,
    stripe: Stripe,
    item: u64,
    total: u64,
    /// When `item` is due, and what the floor cut off, in `schedule.count()`-ths of a nanosecond.
    due: i64,
    cut: u64,
    /// From one item of the stripe to the next, in the same two parts.
    step: i64,
    step_cut: u64,
}

impl Cursor {
    pub(super) fn new(schedule: Schedule, stripe: Stripe, first: u64) -> Self {
        let (step, step_cut) = schedule.due_exact(stripe.stride);
        let total = stripe.count_below(schedule.total());
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let mut cursor =
            Self { schedule, stripe, item: first, total, due: 0, cut: 0, step, step_cut };
        cursor.seek(first);
        cursor
    }

    /// The next local item; at or above the total when there is none.
    pub(super) fn item(&self) -> u64 {
        self.item
    }

    /// Its global index.
    pub(super) fn index(&self) -> u64 {
        self.stripe.global(self.item)
    }

    /// When it is due.
    pub(super) fn due(&self) -> PlanTime {
        PlanTime::from_nanos(self.due)
    }

    pub(super) fn is_done(&self) -> bool {
        self.item >= self.total
    }

    /// One item on.
    pub(super) fn advance(&mut self) {
        self.item = self.item.saturating_add(1);
        self.due = self.due.saturating_add(self.step);
        let missing = self.schedule.count().saturating_sub(self.step_cut);
        if self.cut >= missing {
            self.cut = self.cut.saturating_sub(missing);
            self.due = self.due.saturating_add(1);
        } else {
            self.cut = self.cut.saturating_add(self.step_cut);
        }
    }

    /// Moves on to the first item due at or after `from`, and gives how many items were passed.
    pub(super) fn skip_before(&mut self, from: PlanTime) -> u64 {
        if self.is_done() || self.due() >= from {
            return 0;
        }
        let passed = self.item;
        self.seek(self.stripe.count_below(self.schedule.due_by(from)));
        self.item.saturating_sub(passed)
    }

    fn seek(&mut self, item: u64) {
        let (due, cut) = self.schedule.due_exact(self.stripe.global(item));
        self.item = item;
        self.due = i64::try_from(due).unwrap_or(i64::MAX);
        self.cut = cut;
    }
}
