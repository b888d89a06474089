//! Shares and schedules: exact for every rate, duration and number of shards.

use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::WorkflowIx;
use hyperscale_core::plan::{
    Executor, Lane, Pace, Pacer, PartShare, PlanTime, Rate, Schedule, Share, Slice, Stripe, When,
    Workflow, shares,
};
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

fn whole(executor: &Executor, shards: u16) -> Vec<Share> {
    shares(executor, &PartShare::whole(executor), shards)
}

/// Every part of a job with its shards.
fn parts(executor: &Executor, weights: &[u32], shards: &[u16]) -> Vec<(PartShare, Vec<Share>)> {
    let part = |place| PartShare::of(executor, weights, place).unwrap();
    let parts = (0..weights.len()).map(part).zip(shards);
    parts.map(|(part, shards)| (part, shares(executor, &part, *shards))).collect()
}

fn slice(executor: Executor, share: Share, first: u64) -> Slice {
    Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow: Workflow {
            name: "w".into(),
            after: BoundedVec::new(),
            when: When::Ok,
            executor,
            graceful_stop: Duration::ZERO,
            flow: BoundedVec::new(),
            captures: 0,
            priority: Default::default(),
            retries: 3,
        },
        share,
        first,
        base_url: "demo".into(),
        data: BoundedVec::new(),
        seed: 1,
        index_header: false,
        late_max: Duration::from_secs(100),
    }
}

#[test]
fn two_thousand_a_second_for_thirty_seconds_are_sixty_thousand_over_any_number_of_shards() {
    let executor = arrivals(2_000, 1_000_000_000, 30_000_000_000, 1_024);
    assert_eq!(executor.planned_items(), Some(60_000));
    for shards in 1..=1_024 {
        let split = whole(&executor, shards);
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
        assert_eq!(
            executor.shards_wanted(&PartShare::whole(&executor), workers, cores),
            shards,
            "{executor:?}"
        );
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

#[test]
fn parts_share_by_weight_and_each_gets_a_vu() {
    let duration = Duration::from_secs(1);
    let vus = |vus, weights: &[u32]| -> Vec<(u32, u32)> {
        let executor = Executor::ConstantVus { vus, duration };
        let part = |place| PartShare::of(&executor, weights, place).unwrap();
        let parts = (0..weights.len()).map(part);
        parts.map(|part| (part.vu_first, part.vus)).collect()
    };
    assert_eq!(vus(10, &[9, 1]), [(0, 9), (9, 1)]);
    assert_eq!(vus(10, &[1, 1, 1]), [(0, 4), (4, 3), (7, 3)]);
    assert_eq!(vus(80, &[700, 100]), [(0, 70), (70, 10)]);
    assert_eq!(vus(3, &[1, 1000, 1]), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(vus(4, &[1, 1000]), [(0, 1), (1, 3)]);
    let executor = arrivals(7, 1_000_000_000, 1_000_000_000, 9);
    let lane = |place| PartShare::of(&executor, &[300, 100], place).map(|part| part.lane);
    assert_eq!(lane(0), Some(Lane { first: 0, width: 3, period: 4 }));
    assert_eq!(lane(1), Some(Lane { first: 3, width: 1, period: 4 }));
    assert_eq!(lane(2), None);
    let global: Vec<_> = (0..6).map(|item| lane(0).unwrap().global(item)).collect();
    assert_eq!(global, [0, 1, 2, 4, 5, 6]);
}

proptest! {
    #[test]
    fn shares_are_a_partition(executor in executor(), shards in 0u16..1_100) {
        let split = whole(&executor, shards);
        prop_assert!(!split.is_empty() && split.len() <= usize::from(shards.max(1)));
        let most = PartShare::whole(&executor).shards_max(&executor);
        prop_assert_eq!(split.len(), usize::from(shards.clamp(1, most)));
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
            let stripe = Stripe::plain(start, shards);
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
        let sum: u64 = whole(&executor, shards)
            .iter()
            .map(|share| executor.local_items_due_by(share, at))
            .sum();
        prop_assert_eq!(sum, executor.schedule().map_or(0, |schedule| schedule.due_by(at)));
    }

    #[test]
    fn every_vu_and_item_is_in_one_shard_of_one_part(
        executor in executor(),
        split in prop::collection::vec((1u32..40, 1u16..20), 1..6),
        at in 0i64..6_000_000_000,
    ) {
        let (weights, shards): (Vec<_>, Vec<_>) = split.into_iter().unzip();
        let parts = parts(&executor, &weights, &shards);
        let mut next_vu = 0;
        for (part, shares) in &parts {
            prop_assert_eq!(part.vu_first, next_vu);
            let enough = executor.vus() as usize >= weights.len();
            prop_assert!(part.vus >= 1 || !enough);
            for share in shares {
                prop_assert_eq!(share.vu_first, next_vu);
                next_vu += share.vus;
            }
        }
        prop_assert_eq!(next_vu, executor.vus());

        let all: Vec<Share> = parts.into_iter().flat_map(|(_, shares)| shares).collect();
        let end = executor.planned_items().unwrap_or(3_000).min(3_000);
        let mut seen = vec![0; usize::try_from(end).unwrap()];
        for share in &all {
            let count = share.stripe.count_below(end);
            for local in 0..count {
                seen[usize::try_from(share.stripe.global(local)).unwrap()] += 1;
            }
            prop_assert!(share.stripe.global(count) >= end);
        }
        prop_assert!(seen.iter().all(|times| *times == 1));

        let at = PlanTime::from_nanos(at);
        let due: u64 = all.iter().map(|share| executor.local_items_due_by(share, at)).sum();
        prop_assert_eq!(due, executor.schedule().map_or(0, |schedule| schedule.due_by(at)));
        let in_rounds = matches!(executor, Executor::PerVuIterations { .. });
        if let Some(items) = executor.planned_items().filter(|_| !in_rounds) {
            let sum: u64 = all.iter().filter_map(|share| executor.local_items(share)).sum();
            prop_assert_eq!(sum, items);
        }
    }

    #[test]
    fn the_pacers_of_all_parts_issue_the_schedule_once(
        count in 1u64..300,
        unit in 1u64..2_000_000_000,
        duration in 1u64..3_000_000_000,
        split in prop::collection::vec((1u32..9, 1u16..5), 1..4),
        skip in 0u64..40,
    ) {
        let executor = arrivals(count, unit, duration, 1_000);
        let all = executor.schedule().unwrap();
        let (weights, shards): (Vec<_>, Vec<_>) = split.into_iter().unzip();
        let mut issued = vec![];
        let all_parts = parts(&executor, &weights, &shards).into_iter();
        for share in all_parts.flat_map(|(_, shares)| shares) {
            let mut pacer = Pacer::new(&slice(executor, share, skip));
            pacer.permit(u64::MAX);
            let mut at = PlanTime::ZERO.after(Duration::from_nanos(1));
            for _ in 0..2_000 {
                match pacer.next(at, true) {
                    Pace::Issue(issue) => {
                        prop_assert_eq!(issue.index, share.stripe.global(issue.item));
                        prop_assert_eq!(issue.due, all.due(issue.index));
                        issued.push(issue.index);
                        pacer.on_ended(issue.slot);
                    }
                    Pace::WaitUntil(next) => at = next,
                    Pace::Done => break,
                    other => prop_assert!(false, "{:?}", other),
                }
                if issued.len() > 3_000 {
                    break;
                }
            }
        }
        issued.sort_unstable();
        prop_assert!(issued.windows(2).all(|pair| pair[0] < pair[1]));
        if skip == 0 && all.total() < 2_000 {
            prop_assert_eq!(issued.len() as u64, all.total());
        }
    }
}
