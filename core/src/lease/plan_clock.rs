//! The plan time of one workflow by a worker's clock, kept near the manager's by slewing.
//!
//! A confirmation says the plan time at its send. It was sent after the heartbeat that it answers,
//! so the true plan time at its arrival lies between that and that plus the time since the
//! heartbeat's send. A clock inside this interval is left alone. Outside, it moves toward the
//! interval by at most [`SLEW_PERCENT`] of the time since the last confirmation; more than
//! [`STEP_ABOVE`] behind it steps, because what was missed is past. It never steps backwards.

use std::time::Duration;

use crate::plan::PlanTime;
use crate::time::Instant;

/// How much of the time since the last confirmation the clock may be moved.
const SLEW_PERCENT: u32 = 5;
/// A clock that is further behind steps forward.
const STEP_ABOVE: Duration = Duration::from_secs(1);

/// Plan time by a node's own clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlanClock {
    zero: Instant,
    synced: Instant,
}

impl PlanClock {
    /// Starts with the first confirmation, received at `now`. A start before the origin of the
    /// node's clock is taken as the origin.
    #[must_use]
    pub fn start(now: Instant, plan_time: PlanTime) -> Self {
        Self { zero: shifted(now, i128::from(plan_time.as_nanos()).saturating_neg()), synced: now }
    }

    /// The instant at which plan time is zero.
    #[must_use]
    pub const fn zero(&self) -> Instant {
        self.zero
    }

    /// The plan time at an instant.
    #[must_use]
    pub fn read(&self, at: Instant) -> PlanTime {
        let nanos = i128::from(at.as_nanos()) - i128::from(self.zero.as_nanos());
        let bound = if nanos < 0 { i64::MIN } else { i64::MAX };
        PlanTime::from_nanos(i64::try_from(nanos).unwrap_or(bound))
    }

    /// Takes a confirmation received at `now` that answers a heartbeat sent at `sent`. Answers
    /// whether the clock was moved.
    pub fn sync(&mut self, now: Instant, sent: Instant, plan_time: PlanTime) -> bool {
        let local = self.read(now);
        let latest = plan_time.after(now.since(sent));
        let slew = now.since(self.synced).saturating_mul(SLEW_PERCENT) / 100;
        self.synced = now;
        let before = self.zero;
        if local < plan_time {
            let behind = plan_time.since(local);
            let by = if behind > STEP_ABOVE { behind } else { behind.min(slew) };
            self.zero = shifted(self.zero, -nanos(by));
        } else if local > latest {
            self.zero = shifted(self.zero, nanos(local.since(latest).min(slew)));
        }
        self.zero != before
    }
}

fn nanos(span: Duration) -> i128 {
    i128::try_from(span.as_nanos()).unwrap_or(i128::MAX)
}

fn shifted(at: Instant, by: i128) -> Instant {
    let nanos = i128::from(at.as_nanos()).saturating_add(by).max(0);
    Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn plan(nanos: i64) -> PlanTime {
        PlanTime::from_nanos(nanos)
    }

    #[test]
    fn starts_in_the_future() {
        let clock = PlanClock::start(at(10 * S), plan(-100_000_000));
        assert_eq!(clock.zero(), at(10 * S + 100 * MS));
        assert_eq!(clock.read(at(10 * S)), plan(-100_000_000));
        assert_eq!(clock.read(at(11 * S)), plan(900_000_000));
    }

    #[test]
    fn is_left_alone_inside_the_interval() {
        let mut clock = PlanClock::start(at(10 * S), plan(0));
        // Sent 40 ms ago: the true plan time is 0.96 s to 1 s.
        assert!(!clock.sync(at(11 * S), at(11 * S - 40 * MS), plan(960_000_000)));
        assert!(!clock.sync(at(11 * S), at(11 * S - 40 * MS), plan(1_000_000_000)));
        assert_eq!(clock.zero(), at(10 * S));
    }

    #[test]
    fn slews_forward_by_a_twentieth() {
        let mut clock = PlanClock::start(at(10 * S), plan(0));
        assert!(clock.sync(at(11 * S), at(11 * S), plan(1_500_000_000)));
        assert_eq!(clock.zero(), at(10 * S - 50 * MS));
        assert!(clock.sync(at(12 * S), at(12 * S), plan(2_060_000_000)));
        assert_eq!(clock.zero(), at(10 * S - 60 * MS), "no further than the interval");
    }

    #[test]
    fn slews_backward_by_a_twentieth_however_far_off() {
        let mut clock = PlanClock::start(at(10 * S), plan(0));
        assert!(clock.sync(at(20 * S), at(20 * S), plan(2_000_000_000)));
        assert_eq!(clock.zero(), at(10 * S + 500 * MS));
    }

    #[test]
    fn steps_forward_when_more_than_a_second_behind() {
        let mut clock = PlanClock::start(at(10 * S), plan(0));
        assert!(clock.sync(at(11 * S), at(11 * S), plan(2_000_000_001)));
        assert_eq!(clock.read(at(11 * S)), plan(2_000_000_001));
    }

    #[test]
    fn a_repeated_confirmation_moves_nothing_more() {
        let mut clock = PlanClock::start(at(10 * S), plan(0));
        assert!(clock.sync(at(11 * S), at(11 * S), plan(1_500_000_000)));
        let moved = clock;
        assert!(!clock.sync(at(11 * S), at(11 * S), plan(1_500_000_000)));
        assert_eq!(clock, moved);
    }

    #[test]
    fn ends_of_the_range_saturate() {
        assert_eq!(PlanClock::start(at(5), plan(10)).zero(), at(0));
        let clock = PlanClock::start(at(u64::MAX), plan(i64::MIN));
        assert_eq!(clock.zero(), at(u64::MAX));
        assert_eq!(clock.read(at(0)), plan(i64::MIN));
    }
}
