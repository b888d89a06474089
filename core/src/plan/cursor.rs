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
    /// The global index of `item`, and its place among the residues of the lane.
    index: u64,
    residue: u64,
    /// When `item` is due, and what the floor cut off, in `schedule.count()`-ths of a nanosecond.
    due: i64,
    cut: u64,
    /// From one item to the next within a period of the lane, and into a later one.
    within: Leap,
    beyond: Leap,
    /// How far a leap moves the residue.
    shift: u64,
}

/// A distance between two items: in indexes, and in time in two parts as `due` is.
#[derive(Clone, Copy, Debug)]
struct Leap {
    items: u64,
    time: i64,
    cut: u64,
}

impl Cursor {
    pub(super) fn new(schedule: Schedule, stripe: Stripe, first: u64) -> Self {
        let lane = stripe.of;
        let rounds = stripe.stride.checked_div(lane.width).unwrap_or(0);
        let shift = stripe.stride.checked_rem(lane.width).unwrap_or(0);
        let within = rounds.saturating_mul(lane.period).saturating_add(shift);
        let beyond = within.saturating_add(lane.period.saturating_sub(lane.width));
        let mut cursor = Self {
            schedule,
            stripe,
            item: first,
            total: stripe.count_below(schedule.total()),
            index: 0,
            residue: 0,
            due: 0,
            cut: 0,
            within: Leap::new(&schedule, within),
            beyond: Leap::new(&schedule, beyond),
            shift,
        };
        cursor.seek(first);
        cursor
    }

    /// The next local item; at or above the total when there is none.
    pub(super) fn item(&self) -> u64 {
        self.item
    }

    /// Its global index.
    pub(super) fn index(&self) -> u64 {
        self.index
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
        self.residue = self.residue.saturating_add(self.shift);
        let leap = if self.residue < self.stripe.of.width {
            self.within
        } else {
            self.residue = self.residue.saturating_sub(self.stripe.of.width);
            self.beyond
        };
        self.index = self.index.saturating_add(leap.items);
        self.due = self.due.saturating_add(leap.time);
        let missing = self.schedule.count().saturating_sub(leap.cut);
        if self.cut >= missing {
            self.cut = self.cut.saturating_sub(missing);
            self.due = self.due.saturating_add(1);
        } else {
            self.cut = self.cut.saturating_add(leap.cut);
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
        let Stripe { start, stride, of: lane } = self.stripe;
        let place = start.saturating_add(item.saturating_mul(stride));
        self.residue = place.checked_rem(lane.width).unwrap_or(0);
        self.index = lane.global(place);
        let (due, cut) = self.schedule.due_exact(self.index);
        self.item = item;
        self.due = i64::try_from(due).unwrap_or(i64::MAX);
        self.cut = cut;
    }
}

impl Leap {
    fn new(schedule: &Schedule, items: u64) -> Self {
        let (time, cut) = schedule.due_exact(items);
        Self { items, time: i64::try_from(time).unwrap_or(i64::MAX), cut }
    }
}
