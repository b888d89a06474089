//! The arrival schedule of an open loop, in exact integers: arrival `i` is due at `floor(i * unit /
//! count)` nanoseconds, and exists if that is before the duration.

use std::time::Duration;

use super::model::Rate;
use super::time::PlanTime;

/// When the arrivals of a workflow are due. Pure arithmetic: nothing is stored per arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    count: u64,
    unit: u64,
    total: u64,
}

impl Schedule {
    /// Of `rate` for `duration`. A zero count or unit, which no checked plan has, is read as one.
    pub fn new(rate: Rate, duration: Duration) -> Self {
        let unit = u64::try_from(rate.unit.as_nanos()).unwrap_or(u64::MAX).max(1);
        let unlimited = Self { count: rate.count.max(1), unit, total: u64::MAX };
        Self { total: unlimited.due_by(PlanTime::at(duration)), ..unlimited }
    }

    /// How many arrivals there are.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// When arrival `index` is due; saturating.
    pub fn due(&self, index: u64) -> PlanTime {
        PlanTime::from_nanos(i64::try_from(self.due_exact(index).0).unwrap_or(i64::MAX))
    }

    /// How many arrivals are due strictly before `until`.
    pub fn due_by(&self, until: PlanTime) -> u64 {
        let Ok(until) = u64::try_from(until.as_nanos()) else { return 0 };
        // floor(x) < until is x < until, as until is whole.
        let due = (u128::from(until) * u128::from(self.count)).div_ceil(u128::from(self.unit));
        u64::try_from(due).unwrap_or(u64::MAX).min(self.total)
    }

    /// Whole nanoseconds, and what is left over in `count`-ths of a nanosecond.
    pub(super) fn due_exact(&self, index: u64) -> (u128, u64) {
        let scaled = u128::from(index) * u128::from(self.unit);
        let count = u128::from(self.count);
        (scaled / count, u64::try_from(scaled % count).unwrap_or(0))
    }

    /// The denominator of [`Schedule::due_exact`]'s second part.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(count: u64, unit: Duration, duration: Duration) -> Schedule {
        Schedule::new(Rate { count, unit }, duration)
    }

    #[test]
    fn two_thousand_a_second_for_half_a_minute_are_sixty_thousand() {
        let all = schedule(2_000, Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(all.total(), 60_000);
        assert_eq!(all.due(0), PlanTime::ZERO);
        assert_eq!(all.due(59_999).as_nanos(), 29_999_500_000);
    }

    #[test]
    fn thirds_are_rounded_down_and_never_drift() {
        let all = schedule(3, Duration::from_secs(1), Duration::from_secs(1_000_000));
        assert_eq!(all.due(1).as_nanos(), 333_333_333);
        assert_eq!(all.due(2).as_nanos(), 666_666_666);
        assert_eq!(all.due(2_999_997).as_nanos(), 999_999_000_000_000);
        assert_eq!(all.total(), 3_000_000);
    }

    #[test]
    fn due_by_counts_what_is_strictly_before() {
        let all = schedule(3, Duration::from_secs(1), Duration::from_secs(2));
        let at = PlanTime::from_nanos;
        let counts = [-1, 0, 1, 333_333_333, 333_333_334].map(|t| all.due_by(at(t)));
        assert_eq!(counts, [0, 0, 1, 1, 2]);
        assert_eq!(all.due_by(at(i64::MAX)), 6);
    }

    #[test]
    fn the_ends_of_the_range_saturate() {
        let all = schedule(u64::MAX, Duration::from_nanos(1), Duration::MAX);
        assert_eq!(all.total(), u64::MAX);
        let slow = schedule(1, Duration::MAX, Duration::MAX);
        assert_eq!(slow.due(u64::MAX).as_nanos(), i64::MAX);
        assert_eq!(slow.total(), 1);
    }
}
