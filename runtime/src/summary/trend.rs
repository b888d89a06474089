//! Merged samples of a time, and the values shown of them.

use std::collections::BTreeMap;

use hyperscale_core::stats::Histogram;

use super::document::Trend;
use super::format::micros;

/// The samples of any number of histograms.
#[derive(Clone, Default, Debug)]
pub(super) struct Samples {
    buckets: BTreeMap<u64, u64>,
    count: u64,
    sum_us: u128,
}

impl Samples {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (value, count) in histogram.buckets().iter() {
            *self.buckets.entry(*value).or_default() += count;
            self.count += count;
        }
        self.sum_us += u128::from(histogram.sum_us());
    }

    /// What is shown; `None` without samples.
    pub(super) fn trend(&self) -> Option<Trend> {
        let (min, _) = self.buckets.first_key_value()?;
        let (max, _) = self.buckets.last_key_value()?;
        Some(Trend {
            avg: micros(self.sum_us as f64 / self.count as f64 / 1000.0),
            min: ms(*min),
            med: self.quantile(50_000),
            max: ms(*max),
            p90: self.quantile(90_000),
            p95: self.quantile(95_000),
            p99: self.quantile(99_000),
            p999: self.quantile(99_900),
            count: self.count,
        })
    }

    /// The smallest recorded value that at least `thousandths` of a percent of the samples do not exceed.
    fn quantile(&self, thousandths: u32) -> f64 {
        let rank = (u128::from(self.count) * u128::from(thousandths)).div_ceil(100_000).max(1);
        let mut seen = 0;
        for (value, count) in &self.buckets {
            seen += u128::from(*count);
            if seen >= rank {
                return ms(*value);
            }
        }
        0.0
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}
