//! Totals that must fit into a message: histograms of coarser buckets, once there are too many.
//!
//! Buckets are joined by twos, fours and so on, all histograms of some totals alike, and the totals
//! say how coarse they are (`Totals::coarse`): a value is then known to `2^coarse / 1024` of itself
//! and never stated lower than it was. Counts, sums and everything else stay exact. What was joined
//! twice, in any order, is as if it had been joined once, so that merges agree.
//! No plan of a few steps comes near: 262 144 buckets are 12 full histograms or hundreds of real
//! ones.

use super::bucket;
use super::histogram::Histogram;
use super::totals::{StepTotals, Totals};
use crate::limits::{HISTOGRAM_MAX_US, TOTALS_CELLS_MAX};

/// All values of a doubling in one bucket.
const COARSEST: u8 = 10;

impl Totals {
    /// Makes the buckets coarser until there are at most [`TOTALS_CELLS_MAX`].
    pub fn fit(&mut self) {
        fit(&mut [self], TOTALS_CELLS_MAX);
    }

    /// Joins buckets so that a value is known to `2^coarse / 1024` of itself.
    pub fn coarsen(&mut self, coarse: u8) {
        if coarse <= self.coarse {
            return;
        }
        self.coarse = coarse;
        self.iteration_duration.coarsen(coarse);
        self.start_lag.coarsen(coarse);
        self.steps.iter_mut().for_each(|step| step.coarsen(coarse));
    }
}

impl StepTotals {
    fn coarsen(&mut self, coarse: u8) {
        let all = [
            &mut self.duration,
            &mut self.latency,
            &mut self.blocked,
            &mut self.connecting,
            &mut self.sending,
            &mut self.waiting,
            &mut self.receiving,
        ];
        all.into_iter().for_each(|histogram: &mut Histogram| histogram.coarsen(coarse));
    }
}

/// Makes totals that share a message coarser, those with the most buckets first, until all
/// together have at most `most`.
pub fn fit(all: &mut [&mut Totals], most: usize) {
    let cells = |totals: &Totals| totals.cells();
    while all.iter().map(|one| cells(one)).fold(0, usize::saturating_add) > most {
        let finer = all.iter_mut().filter(|one| one.coarse < COARSEST);
        let Some(largest) = finer.max_by_key(|one| cells(one)) else { return };
        largest.coarsen(largest.coarse.saturating_add(1));
    }
}

/// The bucket that stands for all that are joined with `value`'s: the highest of them.
pub(super) fn joined(value: u64, coarse: u8) -> u64 {
    let own = bucket::highest(value).saturating_sub(bucket::lowest(value));
    let width = own.saturating_add(1).checked_shl(u32::from(coarse)).unwrap_or(u64::MAX);
    let top = value | width.saturating_sub(1);
    bucket::lowest(top.min(HISTOGRAM_MAX_US))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{FRAME_MAX, STEPS_ALL_MAX, STEPS_MAX, WORKFLOWS_MAX};
    use crate::stats::Recorder;
    use crate::wire::codec::length;

    /// A sample in every bucket there is.
    fn full() -> Histogram {
        let mut recorder = Recorder::new();
        let last = bucket::ordinal(HISTOGRAM_MAX_US);
        (0..=last).for_each(|place| recorder.record(bucket::at(place)));
        recorder.snapshot()
    }

    fn step(one: &Histogram) -> StepTotals {
        let [duration, latency, blocked] = [one.clone(), one.clone(), one.clone()];
        let [connecting, sending] = [one.clone(), one.clone()];
        let [waiting, receiving] = [one.clone(), one.clone()];
        let step = StepTotals { duration, latency, blocked, connecting, ..StepTotals::default() };
        StepTotals { sending, waiting, receiving, requests: one.count(), ..step }
    }

    fn totals(steps: usize) -> Totals {
        let one = full();
        let steps = vec![step(&one); steps].try_into().unwrap();
        Totals { iteration_duration: one, steps, ..Totals::default() }
    }

    #[test]
    fn the_worst_totals_fit_into_a_frame_and_keep_every_count() {
        let mut worst = totals(STEPS_MAX);
        assert!(length(&worst) > FRAME_MAX);
        let (count, sum) = (worst.steps[0].duration.count(), worst.steps[0].duration.sum_us());
        worst.fit();
        assert!(worst.cells() <= TOTALS_CELLS_MAX && worst.coarse > 0);
        assert!(length(&worst) < FRAME_MAX / 2);
        let kept = &worst.steps[0].duration;
        assert_eq!((kept.count(), kept.sum_us()), (count, sum));
        let bytes = crate::wire::codec::encode(&worst, FRAME_MAX).unwrap();
        assert!(crate::wire::codec::decode::<Totals>(&bytes).is_ok_and(|read| read == worst));
    }

    #[test]
    fn totals_that_share_a_message_fit_together() {
        let one = totals(1);
        let mut all = vec![one; WORKFLOWS_MAX];
        fit(&mut all.iter_mut().collect::<Vec<_>>(), TOTALS_CELLS_MAX);
        let cells: usize = all.iter().map(Totals::cells).sum();
        assert!(cells <= TOTALS_CELLS_MAX);
        assert!(all.iter().map(length).sum::<usize>() < FRAME_MAX / 2);
    }

    #[test]
    fn the_largest_plan_s_totals_fit_when_they_are_coarsest() {
        let mut one = full();
        one.coarsen(COARSEST);
        let histograms = 2 * WORKFLOWS_MAX + 7 * STEPS_ALL_MAX;
        assert!(one.buckets().len() * histograms <= TOTALS_CELLS_MAX);
    }

    #[test]
    fn a_realistic_plan_stays_exact() {
        let mut recorder = Recorder::new();
        (0..200_000u64).for_each(|n| recorder.record(500 + n * n % 300_000));
        let one = recorder.snapshot();
        let steps = vec![step(&one); 5].try_into().unwrap();
        let before = Totals { steps, ..Totals::default() };
        let mut after = before.clone();
        after.fit();
        assert_eq!(after, before);
    }

    #[test]
    fn joining_is_idempotent_ordered_and_never_lowers_a_value() {
        for place in 0..=bucket::ordinal(HISTOGRAM_MAX_US) {
            let value = bucket::at(place);
            for coarse in 1..=COARSEST {
                let at = joined(value, coarse);
                assert!(at >= value && bucket::lowest(at) == at);
                assert_eq!(joined(at, coarse), at);
                assert_eq!(joined(joined(value, coarse - 1), coarse), at);
                let error = u128::from(bucket::highest(at) - value);
                assert!(error * 1024 <= u128::from(value.max(2048)) << coarse);
            }
        }
    }

    #[test]
    fn merging_coarse_and_fine_in_any_order_agrees() {
        let (fine, mut coarse) = (totals(1), totals(1));
        coarse.coarsen(3);
        let mut one = fine.clone();
        one.merge(&coarse);
        let mut other = coarse.clone();
        other.merge(&fine);
        assert_eq!(one, other);
        assert_eq!(one.since(&fine), coarse);
    }
}
