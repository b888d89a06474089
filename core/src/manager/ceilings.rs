//! How far a run may go before the next confirmation, and how far ahead that is reserved in the
//! ledger. All pure.
//!
//! A ceiling bounds what is lost with a worker; a reservation lets a restarted manager bound what
//! was confirmed. Open loop: what falls due until the confirmation ends by the slowest clock.
//! Closed loop: what the run did lately, so that what is left a heartbeat later still lasts longer
//! than half the TTL, in which another manager takes over.
//!
//! Invariant: index-once (a replacement starts at the ceiling, or at the reservation where the
//! ceiling is not known).

use std::time::Duration;

use crate::config::LeaseConfig;
use crate::plan::{Executor, PlanTime, Share};

/// Covers the way from the manager to the engine's threads.
const SLACK: Duration = Duration::from_millis(200);
/// Open loop: a reservation reaches so far beyond the ceiling. It is renewed every second, and when
/// half is left, and must last for half the TTL beyond that, until another manager leads.
const RESERVE_AHEAD: Duration = Duration::from_secs(3);
/// Rounds, or iterations of each VU, that a run may always do before it must be confirmed again.
const ROUNDS_MIN: u64 = 16;
/// The same where rounds are unlimited and nothing is lost by generosity.
const FREE_ROUNDS_MIN: u64 = 1024;

/// What a ceiling is derived from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand<'a> {
    /// The workflow's executor.
    pub(super) executor: &'a Executor,
    /// The shard's share.
    pub(super) share: &'a Share,
    /// Plan time of the workflow.
    pub(super) plan_time: PlanTime,
    /// The next item the run would issue.
    pub(super) next: u64,
    /// Items per second it issued lately.
    pub(super) rate: u64,
}

/// What a run should get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Want {
    /// The ceiling of a confirmation sent at that plan time.
    pub(super) ceiling: u64,
    /// A reservation below this is too short.
    pub(super) low: u64,
    /// What to reserve then.
    pub(super) reserve: u64,
}

/// What a run should get.
pub(super) fn want(demand: Demand<'_>, lease: &LeaseConfig) -> Want {
    let (ceiling, reserve) = match demand.executor {
        Executor::ConstantArrivalRate { .. } => {
            let drift = lease.ttl.saturating_mul(lease.drift_ppm.saturating_mul(2)) / 1_000_000;
            let end = demand.plan_time.after(lease.ttl.saturating_add(drift)).after(SLACK);
            let due = |at| demand.executor.local_items_due_by(demand.share, at);
            (due(end), due(end.after(RESERVE_AHEAD)))
        }
        Executor::SharedIterations { .. } => {
            let least = ROUNDS_MIN.saturating_mul(u64::from(demand.share.vus));
            let window = least.max(items_in(demand.rate, lease.ttl));
            ahead(demand.next, window, demand.rate)
        }
        Executor::PerVuIterations { .. } => {
            let window = ROUNDS_MIN.max(items_in(demand.rate, lease.ttl));
            ahead(demand.next, window, demand.rate)
        }
        Executor::ConstantVus { .. } => {
            let window = FREE_ROUNDS_MIN.max(items_in(demand.rate, lease.ttl.saturating_mul(4)));
            ahead(demand.next, window, demand.rate)
        }
    };
    let low = ceiling.saturating_add(reserve.saturating_sub(ceiling) / 2);
    Want { ceiling, low, reserve }
}

fn ahead(next: u64, window: u64, rate: u64) -> (u64, u64) {
    let ceiling = next.saturating_add(window);
    (ceiling, ceiling.saturating_add(window.max(items_in(rate, RESERVE_AHEAD))))
}

fn items_in(rate: u64, span: Duration) -> u64 {
    let items = u128::from(rate) * span.as_millis() / 1000;
    u64::try_from(items).unwrap_or(u64::MAX)
}

/// Items per second between two looks; a standstill halves what was known rather than forgetting
/// it.
pub(super) fn rate_between(known: u64, items: u64, span: Duration) -> u64 {
    let nanos = span.as_nanos();
    if nanos < 1_000_000 {
        return known;
    }
    let rate = u128::from(items) * 1_000_000_000 / nanos;
    u64::try_from(rate).unwrap_or(u64::MAX).max(known / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Rate, Stripe};

    fn wanted(executor: &Executor, vus: u32, plan_ms: u64, next: u64, rate: u64) -> Want {
        let share = Share { vu_first: 0, vus, stripe: Stripe::plain(0, 1) };
        let plan_time = PlanTime::at(Duration::from_millis(plan_ms));
        let demand = Demand { executor, share: &share, plan_time, next, rate };
        want(demand, &LeaseConfig::default())
    }

    #[test]
    fn open_loop_reaches_to_the_end_of_the_confirmation_by_the_slowest_clock() {
        let rate = Rate { count: 1000, unit: Duration::from_secs(1) };
        let executor =
            Executor::ConstantArrivalRate { rate, duration: Duration::from_secs(10), max_vus: 9 };
        let early = wanted(&executor, 9, 1000, 0, 0);
        assert_eq!(early, Want { ceiling: 4260, low: 5760, reserve: 7260 });
        let late = wanted(&executor, 9, 9000, 0, 0);
        assert_eq!(late, Want { ceiling: 10_000, low: 10_000, reserve: 10_000 });
    }

    #[test]
    fn closed_loop_allows_what_was_done_lately() {
        let max_duration = Duration::from_secs(60);
        let per_vu = Executor::PerVuIterations { vus: 4, iterations: 9_999, max_duration };
        assert_eq!(wanted(&per_vu, 4, 0, 10, 0), Want { ceiling: 26, low: 34, reserve: 42 });
        let fast = Want { ceiling: 3010, low: 4510, reserve: 6010 };
        assert_eq!(wanted(&per_vu, 4, 0, 10, 1000), fast);
        let shared = Executor::SharedIterations { vus: 4, iterations: 9_999, max_duration };
        assert_eq!(wanted(&shared, 4, 0, 10, 0).ceiling, 74);
        let free = Executor::ConstantVus { vus: 4, duration: max_duration };
        assert_eq!(wanted(&free, 4, 0, 10, 0).ceiling, 1034);
        assert_eq!(wanted(&free, 4, 0, 10, 1000).ceiling, 12_010);
    }

    #[test]
    fn a_rate_is_measured_over_real_spans_and_fades() {
        let second = Duration::from_secs(1);
        assert_eq!(rate_between(0, 500, second), 500);
        assert_eq!(rate_between(500, 0, second), 250);
        assert_eq!(rate_between(500, 9, Duration::from_micros(999)), 500);
        assert_eq!(rate_between(0, 16, Duration::from_millis(10)), 1600);
    }
}
