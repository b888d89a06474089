//! Dense histogram of one metric of one step on one thread. Memory is taken by the first sample,
//! and grows by doublings of the largest: 8 KiB each.

use super::bucket;
use super::histogram::Histogram;
use crate::limits::HISTOGRAM_MAX_US;

/// Records samples; [`Recorder::snapshot`] gives what travels.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    counts: Vec<u64>,
    sum_us: u64,
    clipped: u64,
}

impl Recorder {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self { counts: Vec::new(), sum_us: 0, clipped: 0 }
    }

    /// Counts one sample of `us` microseconds; above one hour it is recorded as one hour and
    /// counted as clipped.
    pub fn record(&mut self, us: u64) {
        let value = us.min(HISTOGRAM_MAX_US);
        self.clipped = self.clipped.saturating_add(u64::from(us > value));
        self.sum_us = self.sum_us.saturating_add(value);
        let place = bucket::ordinal(value);
        if place >= self.counts.len() {
            let len = place.saturating_add(1).next_multiple_of(bucket::PER_DOUBLING);
            self.counts.resize(len, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// Everything recorded since the beginning.
    pub fn snapshot(&self) -> Histogram {
        Histogram::from_counts(&self.counts, self.sum_us, self.clipped)
    }
}
