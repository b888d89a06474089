//! What a thread of the engine sees of itself: its share of a processor and how late it wakes.

use std::time::Duration;

use hyperscale_core::stats::Busy;
use rustix::time::{ClockId, clock_gettime};

/// From one look to the next, on the thread that looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    since: u64,
    cpu: u64,
    /// The worst lateness since the last look, nanoseconds.
    pub(super) lag: u64,
}

impl Watch {
    /// Begins now.
    pub(super) fn start(now: u64) -> Self {
        Self { since: now, cpu: thread_cpu_ns(), lag: 0 }
    }

    /// What was seen since the last look; the next begins now.
    pub(super) fn look(&mut self, now: u64) -> Busy {
        let next = Self::start(now);
        let busy = u128::from(next.cpu.saturating_sub(self.cpu)) * 1000;
        let busy = busy / u128::from(now.saturating_sub(self.since).max(1));
        let lag = Duration::from_nanos(self.lag);
        *self = next;
        Busy { busy_permille: u32::try_from(busy).unwrap_or(u32::MAX), lag }
    }
}

/// Processor time that the calling thread has used, nanoseconds.
fn thread_cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ns;

    #[test]
    fn sleeping_is_idle_and_working_is_busy() {
        let mut watch = Watch::start(now_ns());
        std::thread::sleep(Duration::from_millis(30));
        watch.lag = 7_000_000;
        let idle = watch.look(now_ns());
        assert!(idle.busy_permille < 500, "{idle:?}");
        assert_eq!((idle.lag, watch.lag), (Duration::from_millis(7), 0));
        let used = thread_cpu_ns();
        while thread_cpu_ns() < used + 20_000_000 {}
        let busy = watch.look(now_ns());
        assert!(busy.busy_permille > 0 && busy.busy_permille <= 1100, "{busy:?}");
    }
}
