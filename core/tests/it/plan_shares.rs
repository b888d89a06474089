//! Shares and schedules: exact for every rate, duration and number of shards.

use std::time::Duration;

use hyperscale_core::plan::{Executor, PlanTime, Rate, Schedule, Stripe, shares};
use proptest::prelude::*;

fn arrivals(count: u64, unit_ns: u64, duration_ns: u64, max_vus: u32) -> Executor {
    let rate = Rate { count, unit: Duration::from_nanos(unit_ns) };
    Executor::ConstantArrivalRate { rate, duration: Duration::from_nanos(duration_ns), max_vus }
}

fn executor() -> impl Strategy<Value = Executor> {
    let span = (1u64..5_000_000_000).prop_map(Duration::from_nanos);
    let vus = 1u32..5_000;
    prop_oneof![
        (vus.clone(), span.clone())
            .prop_map(|(vus, duration)| Executor::ConstantVus { vus, duration }),
        (vus.clone(), 1u64..5_000, span.clone()).prop_map(|(vus, iterations, max_duration)| {
            Executor::PerVuIterations { vus, iterations, max_duration }
        }),
        (vus.clone(), 1u64..5_000, span).prop_map(|(vus, iterations, max_duration)| {
            Executor::SharedIterations { vus, iterations, max_duration }
        }),
        (1u64..3_000, 1u64..2_000_000_000, 1u64..5_000_000_000, vus)
            .prop_map(|(count, unit, duration, vus)| arrivals(count, unit, duration, vus)),
    ]
}

#[test]
fn two_thousand_a_second_for_thirty_seconds_are_sixty_thousand_over_any_number_of_shards() {
    let executor = arrivals(2_000, 1_000_000_000, 30_000_000_000, 1_024);
    assert_eq!(executor.planned_items(), Some(60_000));
    for shards in 1..=1_024 {
        let split = hyperscale_core::plan::shares(&executor, shards);
        assert_eq!(split.len(), usize::from(shards));
        let sum: u64 = split.iter().map(|share| executor.local_items(share).unwrap()).sum();
        assert_eq!(sum, 60_000, "{shards} shards");
    }
}

#[test]
fn the_shards_wanted_follow_cores_load_and_items() {
    let second = 1_000_000_000;
    let vus = |vus| Executor::ConstantVus { vus, duration: Duration::from_secs(1) };
    let rate = |count, max_vus| arrivals(count, second, 10 * second, max_vus);
    let cases = [
        (vus(1), 3, 12, 1),
        (vus(10), 3, 12, 3),
        (vus(320), 3, 12, 10),
        (vus(321), 3, 12, 11),
        (vus(1_000), 3, 12, 12),
        (vus(10), 0, 0, 1),
        (vus(1_000_000), 3, 1_000_000, 1_024),
        (rate(5_000, 400), 1, 8, 1),
        (rate(5_001, 400), 1, 8, 2),
        (rate(50_000, 400), 2, 8, 8),
        (rate(50_000, 4), 2, 8, 4),
        // One arrival in ten seconds.
        (arrivals(1, 10 * second, 10 * second, 400), 4, 8, 1),
        (arrivals(5_001, 1_000 * second, 1_000 * second, 400), 1, 8, 1),
    ];
    for (executor, workers, cores, shards) in cases {
        assert_eq!(executor.shards_wanted(workers, cores), shards, "{executor:?}");
    }
}

#[test]
fn plans_of_every_kind_know_their_size() {
    let secs = Duration::from_secs;
    let per_vu = Executor::PerVuIterations { vus: 3, iterations: 7, max_duration: secs(60) };
    assert_eq!((per_vu.vus(), per_vu.planned_items()), (3, Some(21)));
    assert_eq!((per_vu.planned_duration(), per_vu.vu_seconds()), (secs(60), 180));
    let shared = Executor::SharedIterations { vus: 3, iterations: 7, max_duration: secs(60) };
    assert_eq!(shared.planned_items(), Some(7));
    let constant = Executor::ConstantVus { vus: 2, duration: Duration::from_millis(1_300) };
    assert_eq!((constant.planned_items(), constant.vu_seconds()), (None, 3));
}

proptest! {
    #[test]
    fn shares_are_a_partition(executor in executor(), shards in 0u16..1_100) {
        let split = shares(&executor, shards);
        prop_assert!(!split.is_empty() && split.len() <= usize::from(shards.max(1)));
        prop_assert_eq!(split.len(), usize::from(shards.clamp(1, executor.shards_max())));
        let mut vu_next = 0;
        for (shard, share) in split.iter().enumerate() {
            prop_assert_eq!(share.vu_first, vu_next);
            prop_assert!(share.vus >= 1 && share.vus.abs_diff(split[0].vus) <= 1);
            prop_assert!(share.vus <= split[0].vus);
            prop_assert_eq!(share.stripe.start, shard as u64);
            prop_assert_eq!(share.stripe.stride, split.len() as u64);
            prop_assert!(executor.local_items(share).is_none_or(|items| items >= 1));
            vu_next += share.vus;
        }
        prop_assert_eq!(vu_next, executor.vus());
    }

    #[test]
    fn stripes_hold_every_item_once(shards in 1u64..40, end in 0u64..500) {
        let mut seen = vec![0; usize::try_from(end).unwrap()];
        for start in 0..shards {
            let stripe = Stripe { start, stride: shards };
            let count = stripe.count_below(end);
            for local in 0..count {
                seen[usize::try_from(stripe.global(local)).unwrap()] += 1;
            }
            prop_assert!(stripe.global(count) >= end);
        }
        prop_assert!(seen.iter().all(|times| *times == 1));
    }

    #[test]
    fn arrivals_are_due_at_the_floor_and_counted_strictly(
        count in 1u64..3_000,
        unit in 1u64..2_000_000_000,
        duration in 1u64..5_000_000_000,
        probe in 0u64..5_000,
    ) {
        let rate = Rate { count, unit: Duration::from_nanos(unit) };
        let all = Schedule::new(rate, Duration::from_nanos(duration));
        let exact = |i: u64| i128::from(i) * i128::from(unit) / i128::from(count);
        let due = all.due(probe);
        prop_assert_eq!(i128::from(due.as_nanos()), exact(probe));
        prop_assert!(exact(all.total()) >= i128::from(duration));
        prop_assert!(exact(all.total() - 1) < i128::from(duration));
        if probe < all.total() {
            prop_assert!(all.due_by(due) <= probe);
            prop_assert!(all.due_by(due.after(Duration::from_nanos(1))) > probe);
        }
        let end = all.due_by(due);
        prop_assert!(end == 0 || exact(end - 1) < i128::from(due.as_nanos()));
    }

    #[test]
    fn what_is_due_adds_up_over_shards(
        executor in executor(),
        shards in 1u16..50,
        at in 0i64..6_000_000_000,
    ) {
        let at = PlanTime::from_nanos(at);
        let sum: u64 = shares(&executor, shards)
            .iter()
            .map(|share| executor.local_items_due_by(share, at))
            .sum();
        prop_assert_eq!(sum, executor.schedule().map_or(0, |schedule| schedule.due_by(at)));
    }
}
