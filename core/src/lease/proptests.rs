//! The lease rule against true time, with clocks that run at any rate within the bound.

use std::time::Duration;

use proptest::prelude::*;

use super::{Grantor, Holder};
use crate::config::LeaseConfig;
use crate::ids::{Fence, JobId, RunId, ShardId, ShardIx, WorkflowIx};
use crate::time::Instant;

const MILLION: i64 = 1_000_000;

/// A clock that is off by `offset` and runs at `1 + ppm / 10^6`, rounded down when read.
#[derive(Clone, Copy, Debug)]
struct Clock {
    offset: u64,
    ppm: i64,
}

impl Clock {
    fn read(self, truth: u64) -> Instant {
        let rate = u128::try_from(MILLION + self.ppm).unwrap();
        let nanos = u128::from(truth) * rate / u128::try_from(MILLION).unwrap();
        Instant::from_nanos(self.offset + u64::try_from(nanos).unwrap())
    }

    /// The first true instant at which it shows `shown` or more.
    fn first(self, shown: Instant) -> u64 {
        let mut low = 0;
        let mut high = 1 << 45;
        while low < high {
            let middle = low + (high - low) / 2;
            if self.read(middle) >= shown {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

fn run() -> RunId {
    let (job, workflow) = (JobId::new(1), WorkflowIx::new(0));
    let shard = ShardId { job, workflow, shard: ShardIx::new(0) };
    RunId { shard, fence: Fence::default() }
}

/// True instants: the holder's request leaves, the grant leaves, the grant arrives. Answers the
/// true instant at which the holder is over and the one at which the grantor takes it to be.
fn ends(lease: LeaseConfig, holder: Clock, grantor: Clock, truth: [u64; 3]) -> (u64, u64) {
    let [sent, granted, received] = truth;
    let mut held = Holder::default();
    held.take(holder.read(sent), lease.ttl, holder.read(received));
    let mut grants = Grantor::new(lease);
    grants.grant(run(), grantor.read(granted));
    let over = held.until().map_or(0, |until| holder.first(until));
    (over, grantor.first(grants.expires(run()).unwrap()))
}

#[test]
fn opposite_extremes_with_no_delay_do_not_overlap() {
    let lease = LeaseConfig::default();
    let slow = Clock { offset: 77, ppm: -i64::from(lease.drift_ppm) };
    let fast = Clock { offset: 5, ppm: i64::from(lease.drift_ppm) };
    for sent in 1_000_000..1_000_400 {
        let (holder, grantor) = ends(lease, slow, fast, [sent; 3]);
        assert!(holder <= grantor, "sent at {sent}: held until {holder}, over at {grantor}");
        assert!(grantor - holder <= 4, "the bound is tight");
    }
}

#[test]
fn the_naive_wait_would_overlap() {
    let lease = LeaseConfig::default();
    let slow = Clock { offset: 0, ppm: -i64::from(lease.drift_ppm) };
    let fast = Clock { offset: 0, ppm: i64::from(lease.drift_ppm) };
    let held = slow.first(slow.read(0).after(lease.ttl));
    let naive = fast.first(fast.read(0).after(lease.ttl + lease.ttl / 100 * 2));
    assert!(naive < held);
}

prop_compose! {
    fn clock(drift_ppm: u32)(
        offset in 0..1_u64 << 40,
        ppm in prop_oneof![
            Just(-i64::from(drift_ppm)),
            Just(i64::from(drift_ppm)),
            -i64::from(drift_ppm)..=i64::from(drift_ppm),
        ],
    ) -> Clock {
        Clock { offset, ppm }
    }
}

prop_compose! {
    fn scene()(
        ttl in 100_000_000..300_000_000_000_u64,
        drift_ppm in prop_oneof![Just(10_000_u32), 0..=200_000_u32],
    )(
        holder in clock(drift_ppm),
        grantor in clock(drift_ppm),
        sent in 0..10_000_000_000_u64,
        there in prop_oneof![Just(0), 0..5_000_000_000_u64],
        back in prop_oneof![Just(0), 0..5_000_000_000_u64],
        lease in Just(LeaseConfig { ttl: Duration::from_nanos(ttl), drift_ppm }),
    ) -> (LeaseConfig, Clock, Clock, [u64; 3]) {
        (lease, holder, grantor, [sent, sent + there, sent + there + back])
    }
}

proptest! {
    #[test]
    fn leases_with_both_clocks_drawn((lease, holder, grantor, truth) in scene()) {
        let (held, over) = ends(lease, holder, grantor, truth);
        prop_assert!(held <= over, "held until {held}, taken to be over at {over}");
    }
}
