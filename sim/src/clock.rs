//! A node's clock: an offset and a rate against true time, in integers.
//!
//! `local = offset + true x (1 + drift)`. The way back never gives a true instant at which the
//! local clock is still short of the wanted one: a wake is never early. A boot continues the clock
//! of the boot before it, as a machine's boot-time clock does when only the process restarts.

use hyperscale_core::time::Instant;

const MILLION: i128 = 1_000_000;

/// Offset and drift of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Local nanoseconds at true time zero.
    pub offset: u64,
    /// How much faster than true time it runs, millionths.
    pub drift_ppm: i32,
}

impl Clock {
    /// What the clock shows at a true time, nanoseconds.
    pub fn local(self, true_ns: u64) -> Instant {
        let passed = i128::from(true_ns) * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        Instant::from_nanos((i128::from(self.offset) + passed).max(0) as u64)
    }

    /// The first true time at which the clock shows at least `local`.
    pub fn true_at(self, local: Instant) -> u64 {
        let passed = i128::from(local.as_nanos()) - i128::from(self.offset);
        let rate = MILLION + i128::from(self.drift_ppm);
        let floor = passed * MILLION / rate;
        let true_ns = u64::try_from(floor.max(0)).unwrap_or(u64::MAX);
        if self.local(true_ns) < local { true_ns.saturating_add(1) } else { true_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_never_early_and_at_most_two_nanoseconds_late() {
        for drift_ppm in [-200_000, -10_000, -1, 0, 1, 10_000, 200_000] {
            let clock = Clock { offset: 12_345_678_901, drift_ppm };
            for step in 0..1_000_u64 {
                let wanted = Instant::from_nanos(clock.offset + step * 7_777_777);
                let at = clock.true_at(wanted);
                assert!(clock.local(at) >= wanted);
                assert!(at < 2 || clock.local(at - 2) < wanted, "{drift_ppm} {step}");
            }
        }
    }
}
