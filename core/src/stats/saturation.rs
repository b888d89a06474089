//! Whether the load generator itself was the limit in one plan second.
//!
//! In: what a thread of the engine saw of itself in that second. Out: a flag, which is added up in
//! [`Totals::saturated`](super::Totals) beside the seconds watched. A slow target makes users busy
//! and arrivals late, but neither keeps the thread from waking in time: only its share of a
//! processor and the lateness of its own alarms count.

use core::time::Duration;

/// Busy for so many thousandths, whatever the lateness.
const BUSY_MAX: u32 = 950;
/// Busy for so many thousandths, and as late as `LAG_BUSY`.
const BUSY_LATE: u32 = 800;
const LAG_BUSY: Duration = Duration::from_millis(10);
/// As late as this, however idle: somebody else has the processor.
const LAG_MAX: Duration = Duration::from_millis(50);

/// One second of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Busy {
    /// Share of the second that the thread was on a processor, thousandths.
    pub busy_permille: u32,
    /// How late it woke at worst.
    pub lag: Duration,
}

impl Busy {
    /// Whether the generator was the limit.
    pub fn is_saturated(self) -> bool {
        self.busy_permille >= BUSY_MAX
            || self.lag >= LAG_MAX
            || self.busy_permille >= BUSY_LATE && self.lag >= LAG_BUSY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_late_or_both() {
        let judged = |busy_permille, ms| {
            Busy { busy_permille, lag: Duration::from_millis(ms) }.is_saturated()
        };
        assert!(!judged(0, 0) && !judged(949, 9) && !judged(799, 49));
        assert!(judged(950, 0) && judged(0, 50) && judged(800, 10));
    }
}
