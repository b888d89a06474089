//! Leases and fences: who may act, until when, by whose clock.
//!
//! The holder counts `ttl` on its own clock from the moment it sent the request that was granted.
//! The grantor counts [`grantor_wait`] from the moment it granted.

mod fence;
mod grantor;
mod holder;
mod plan_clock;

#[cfg(test)]
mod proptests;

use std::time::Duration;

pub use fence::{FenceRefusal, Fences};
pub use grantor::Grantor;
pub use holder::Holder;
pub use plan_clock::PlanClock;

/// Of a worker's heartbeats one in so many goes to every manager, not to the leader alone.
pub const FOLLOWERS_HEAR_EVERY: u32 = 3;
/// Of a worker's heartbeats without runs one in so many is answered; one with runs always is.
pub const IDLE_ANSWERED_EVERY: u32 = 4;

/// How long a grantor waits before a lease it granted has surely ended:
/// `ttl x (1 + drift) / (1 - drift)`, rounded up, and one nanosecond, because a span between two
/// readings of a clock, each rounded down, may be that much shorter than the readings say.
///
/// A slow holder's `ttl` lasts at most `ttl / (1 - drift)` of true time, in which a fast grantor's
/// clock advances by at most `(1 + drift)` times that.
pub fn grantor_wait(ttl: Duration, drift_ppm: u32) -> Duration {
    const MILLION: u128 = 1_000_000;
    let drift = u128::from(drift_ppm).min(MILLION / 2);
    let nanos = (ttl.as_nanos() * (MILLION + drift)).div_ceil(MILLION - drift);
    Duration::from_nanos(u64::try_from(nanos + 1).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_up_and_exceeds_the_naive_wait() {
        let ttl = Duration::from_secs(3);
        let wait = grantor_wait(ttl, 10_000);
        assert_eq!(wait, Duration::from_nanos(3_060_606_062));
        assert!(wait > ttl + ttl / 100 * 2);
    }
}
