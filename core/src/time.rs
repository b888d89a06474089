//! Node-local monotonic time.
//!
//! An [`Instant`] is meaningless on any other node, so it is not serialisable: messages carry
//! durations. There are no operators, because every use must decide what happens at the ends of
//! the range; both methods here saturate.

use core::fmt;
use std::time::Duration;

/// Nanoseconds since an arbitrary origin of this node's monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The instant `wait` later; the last representable one where that would overflow.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(wait))
    }

    /// Time passed since `earlier`; zero when `earlier` is later than `self`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u64 = 1_000_000_000;
        write!(f, "{}.{:09}s", self.0 / SECOND, self.0 % SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_and_since_are_inverse_inside_the_range() {
        let start = Instant::from_nanos(7);
        let end = start.after(Duration::from_millis(3));
        assert_eq!(end.as_nanos(), 3_000_007);
        assert_eq!(end.since(start), Duration::from_millis(3));
    }

    #[test]
    fn both_ends_saturate() {
        assert_eq!(Instant::from_nanos(1).after(Duration::MAX).as_nanos(), u64::MAX);
        assert_eq!(Instant::ZERO.since(Instant::from_nanos(1)), Duration::ZERO);
        assert_eq!(Instant::default(), Instant::ZERO);
    }

    #[test]
    fn debug_is_seconds_with_nanoseconds() {
        assert_eq!(format!("{:?}", Instant::from_nanos(12_000_000_034)), "12.000000034s");
    }
}
