//! Histograms and totals: exact merges, equal forms of equal recordings, refusal of anything else.

use hyperscale_core::bounded::{BoundedMap, BoundedVec};
use hyperscale_core::limits::HISTOGRAM_MAX_US;
use hyperscale_core::stats::{Errors, Histogram, Recorder, StepTotals, Totals};
use hyperscale_core::wire::codec::{decode, encode};
use proptest::prelude::*;

fn recorded(samples: &[u64]) -> Histogram {
    let mut recorder = Recorder::new();
    samples.iter().for_each(|us| recorder.record(*us));
    recorder.snapshot()
}

fn samples() -> impl Strategy<Value = Vec<u64>> {
    let sample = prop_oneof![
        4 => 0u64..5_000,
        3 => 0u64..10_000_000,
        1 => 0u64..=HISTOGRAM_MAX_US,
        1 => (HISTOGRAM_MAX_US - 3)..(HISTOGRAM_MAX_US + 3),
        1 => (0u32..44).prop_map(|bits| (1 << bits) - 1),
    ];
    prop::collection::vec(sample, 0..200)
}

fn step() -> impl Strategy<Value = StepTotals> {
    let status = prop_oneof![Just(200u16), Just(404), 100u16..130];
    let short = prop::collection::vec(0u64..5_000, 0..10);
    let statuses = prop::collection::btree_map(status, 1u64..100, 0..5);
    (any::<[u16; 13]>(), statuses, prop::collection::vec(short, 7)).prop_map(|(n, codes, h)| {
        let n = n.map(u64::from);
        let [duration, latency, blocked, connecting, sending, waiting, receiving] =
            std::array::from_fn(|place| recorded(&h[place]));
        StepTotals {
            requests: n[0],
            failed: n[1],
            interrupted: n[2],
            errors: Errors { refused: n[3], reset: n[4], timeout: n[5], status: n[6], body: n[7] },
            checks_passed: n[8],
            checks_failed: n[9],
            sent: n[10],
            received: n[11],
            statuses: BoundedMap::try_from(codes).unwrap(),
            duration,
            latency,
            blocked,
            connecting,
            sending,
            waiting,
            receiving,
        }
    })
}

fn totals() -> impl Strategy<Value = Totals> {
    let steps = prop::collection::vec(step(), 0..3);
    (any::<[u16; 5]>(), samples(), samples(), steps).prop_map(|(n, duration, lag, steps)| {
        let [iterations, interrupted, dropped, watched, saturated] = n.map(u64::from);
        Totals {
            iterations,
            interrupted,
            dropped,
            iteration_duration: recorded(&duration),
            start_lag: recorded(&lag),
            coarse: 0,
            watched,
            saturated,
            steps: BoundedVec::try_from(steps).unwrap(),
        }
    })
}

fn sum(parts: &[&Totals]) -> Totals {
    let mut sum = Totals::default();
    parts.iter().for_each(|part| sum.merge(part));
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_recording_together(a in samples(), b in samples()) {
        let mut merged = recorded(&a);
        merged.merge(&recorded(&b));
        let mut together = b;
        together.extend(a);
        prop_assert_eq!(merged, recorded(&together));
    }

    #[test]
    fn values_are_hdr_s(samples in samples()) {
        let ours = recorded(&samples);
        let mut hdr =
            hdrhistogram::Histogram::<u64>::new_with_bounds(1, HISTOGRAM_MAX_US, 3).unwrap();
        let clipped = samples.iter().map(|us| (*us).min(HISTOGRAM_MAX_US));
        clipped.clone().for_each(|us| hdr.record(us).unwrap());
        let theirs: Vec<_> = hdr
            .iter_recorded()
            .map(|step| (hdr.lowest_equivalent(step.value_iterated_to()), step.count_at_value()))
            .collect();
        prop_assert_eq!(ours.buckets(), &theirs);
        prop_assert_eq!(ours.count(), samples.len() as u64);
        prop_assert_eq!(ours.sum_us(), clipped.sum::<u64>());
        let above = samples.iter().filter(|us| **us > HISTOGRAM_MAX_US).count();
        prop_assert_eq!(ours.clipped(), above as u64);
    }

    #[test]
    fn quantiles_are_the_ranked_sample_to_the_bucket(samples in samples(), q in 0u32..=100_000) {
        let ours = recorded(&samples);
        let mut sorted: Vec<u64> = samples.iter().map(|us| (*us).min(HISTOGRAM_MAX_US)).collect();
        sorted.sort_unstable();
        let rank = (sorted.len() as u64 * u64::from(q)).div_ceil(100_000).max(1) as usize;
        let found = ours.quantile(q);
        prop_assert_eq!(found.is_some(), !sorted.is_empty());
        if let Some(found) = found {
            let exact = sorted[rank - 1];
            prop_assert!(found >= exact && found - exact <= exact / 1_000, "{found} for {exact}");
            prop_assert_eq!(ours.quantile(100_000), ours.max());
            prop_assert_eq!(ours.quantile(u32::MAX), ours.max());
            let mean = sorted.iter().sum::<u64>() * 1_000 / sorted.len() as u64;
            prop_assert_eq!(ours.mean_ns(), Some(mean));
            let min = ours.min().unwrap();
            prop_assert!(min <= sorted[0] && sorted[0] - min <= min / 1_000);
        }
    }

    #[test]
    fn totals_add_up_in_any_order_and_grouping(a in totals(), b in totals(), c in totals()) {
        let all = sum(&[&a, &b, &c]);
        prop_assert_eq!(&sum(&[&c, &a, &b]), &all);
        prop_assert_eq!(&sum(&[&a, &sum(&[&b, &c])]), &all);
        prop_assert_eq!(all.iterations, a.iterations + b.iterations + c.iterations);
        let steps = |of: &Totals| {
            let step = |s: &StepTotals| (s.requests, s.errors.sum(), s.duration.count());
            of.steps.iter().map(step).fold((0, 0, 0), |x, y| (x.0 + y.0, x.1 + y.1, x.2 + y.2))
        };
        let (x, y, z) = (steps(&a), steps(&b), steps(&c));
        prop_assert_eq!(steps(&all), (x.0 + y.0 + z.0, x.1 + y.1 + z.1, x.2 + y.2 + z.2));
        prop_assert_eq!(sum(&[&a]), a);
    }

    #[test]
    fn totals_survive_the_wire(totals in totals()) {
        let bytes = encode(&totals, 1 << 20).unwrap();
        prop_assert_eq!(decode::<Totals>(&bytes).unwrap(), totals);
    }
}

#[test]
fn only_canonical_histograms_decode() {
    type Form = (Vec<(u64, u64)>, u64, u64);
    let refused = |form: Form| decode::<Histogram>(&encode(&form, 1 << 20).unwrap()).is_err();
    assert!(!refused((vec![], 0, 0)));
    assert!(!refused((vec![(0, 1), (2_046, 2), (2_048, 1)], 6_140, 0)));
    assert!(refused((vec![(2, 1), (1, 1)], 3, 0)), "descending");
    assert!(refused((vec![(1, 1), (1, 1)], 2, 0)), "twice the same");
    assert!(refused((vec![(1, 0)], 0, 0)), "counts nothing");
    assert!(refused((vec![(2_049, 1)], 2_049, 0)), "not the lowest of its bucket");
    assert!(refused((vec![(1 << 32, 1)], 1 << 32, 0)), "above an hour");
    assert!(refused((vec![(1, 1)], 1, 1)), "clipped below the top");
    let last = recorded(&[u64::MAX]);
    assert_eq!((last.buckets()[0].1, last.clipped()), (1, 1));
    assert_eq!((last.sum_us(), last.max()), (HISTOGRAM_MAX_US, Some(HISTOGRAM_MAX_US)));
    assert!(refused((vec![last.buckets()[0]], HISTOGRAM_MAX_US, 2)), "more clipped than counted");
}

#[test]
fn nothing_recorded_has_no_values() {
    let none = Recorder::new().snapshot();
    assert_eq!(none, Histogram::default());
    assert!(none.is_empty());
    assert_eq!((none.min(), none.max(), none.mean_ns(), none.quantile(50_000)), Default::default());
}
