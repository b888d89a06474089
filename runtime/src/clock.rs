//! The one clock of a process: CLOCK_BOOTTIME, which keeps counting while the machine sleeps.
//! Engine and node share it.

use hyperscale_core::time::Instant;
use rustix::time::{ClockId, clock_gettime};

/// Plan time may have begun long before this machine did: its zero must still be an instant.
pub(crate) const ORIGIN_NS: u64 = 30 * 24 * 3600 * 1_000_000_000;

/// Nanoseconds since an arbitrary instant, at least 30 days before the start of the process.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    ORIGIN_NS + now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The current instant of this node.
pub fn now() -> Instant {
    Instant::from_nanos(now_ns())
}
