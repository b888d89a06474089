//! Sparse HDR histogram: what travels, is digested and is stored. Dense ones exist only while
//! recording. 3 significant digits from 1 us to 1 h.

use serde::{Deserialize, Serialize};

use super::bucket;
use crate::bounded::BoundedVec;
use crate::limits::{BUCKETS_MAX, HISTOGRAM_MAX_US};

type Buckets = BoundedVec<(u64, u64), BUCKETS_MAX>;

/// Counts per bucket. Equal recordings, in any order and merged in any way, give equal values.
/// Counts saturate.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Untrusted")]
pub struct Histogram {
    /// Lowest value and count, strictly ascending, no zero counts.
    buckets: Buckets,
    sum_us: u64,
    clipped: u64,
}

/// Bytes of a peer that are no histogram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadHistogram {
    /// Buckets do not ascend strictly.
    #[error("buckets do not ascend")]
    Order,
    /// A bucket is not one of HDR's, or above one hour.
    #[error("no such bucket")]
    Bucket,
    /// A bucket that counts nothing.
    #[error("an empty bucket is listed")]
    Empty,
    /// More samples clipped than the last bucket counts.
    #[error("more clipped than counted")]
    Clipped,
}

#[derive(Deserialize)]
struct Untrusted {
    buckets: Buckets,
    sum_us: u64,
    clipped: u64,
}

impl TryFrom<Untrusted> for Histogram {
    type Error = BadHistogram;

    fn try_from(raw: Untrusted) -> Result<Self, BadHistogram> {
        let mut before = None;
        for &(bucket, count) in &raw.buckets {
            if before.is_some_and(|before| before >= bucket) {
                return Err(BadHistogram::Order);
            }
            if bucket > HISTOGRAM_MAX_US || bucket::lowest(bucket) != bucket {
                return Err(BadHistogram::Bucket);
            }
            if count == 0 {
                return Err(BadHistogram::Empty);
            }
            before = Some(bucket);
        }
        let top = raw.buckets.last().filter(|last| last.0 == bucket::lowest(HISTOGRAM_MAX_US));
        if raw.clipped > top.map_or(0, |last| last.1) {
            return Err(BadHistogram::Clipped);
        }
        Ok(Self { buckets: raw.buckets, sum_us: raw.sum_us, clipped: raw.clipped })
    }
}

impl Histogram {
    /// From ascending places and counts, as a recorder has them; zero counts are left out.
    pub(super) fn from_counts(counts: &[u64], sum_us: u64, clipped: u64) -> Self {
        let listed = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let buckets: Vec<_> = listed.map(|(place, count)| (bucket::at(place), *count)).collect();
        Self { buckets: BoundedVec::try_from(buckets).unwrap_or_default(), sum_us, clipped }
    }

    /// Lowest value of the bucket in microseconds, and samples; strictly ascending.
    pub fn buckets(&self) -> &[(u64, u64)] {
        &self.buckets
    }

    /// Sum of the recorded values in microseconds, exact; a clipped one counts as one hour.
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// Samples above one hour; they are counted in the last bucket as well.
    pub const fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Mean in nanoseconds, rounded down; `None` without samples.
    pub fn mean_ns(&self) -> Option<u64> {
        let mean = (u128::from(self.sum_us) * 1_000).checked_div(u128::from(self.count()))?;
        Some(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// Smallest sample in microseconds, to the bucket: its lowest value; `None` without samples.
    pub fn min(&self) -> Option<u64> {
        self.buckets.first().map(|(bucket, _)| *bucket)
    }

    /// Largest sample in microseconds, to the bucket: its highest value; `None` without samples.
    pub fn max(&self) -> Option<u64> {
        self.buckets.last().map(|(bucket, _)| bucket::highest(*bucket))
    }

    /// The value in microseconds that at least `per_100_000` hundred-thousandths of the samples do
    /// not exceed, to the bucket: its highest value. 0 asks for the first sample, above 100 000 is
    /// read as that; `None` without samples.
    pub fn quantile(&self, per_100_000: u32) -> Option<u64> {
        let share = u128::from(per_100_000.min(100_000));
        let rank = (u128::from(self.count()) * share).div_ceil(100_000).max(1);
        let mut seen: u128 = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen = seen.saturating_add(u128::from(*count));
            seen >= rank
        });
        found.map(|(bucket, _)| bucket::highest(*bucket))
    }

    /// Adds the samples of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.clipped = self.clipped.saturating_add(other.clipped);
        if self.buckets.is_empty() {
            self.buckets = other.buckets.clone();
        } else if !other.buckets.is_empty() {
            let merged = merged(&self.buckets, &other.buckets);
            // Only names of HDR's buckets get in here, and there are fewer than the cap.
            self.buckets = BoundedVec::try_from(merged).unwrap_or_default();
        }
    }

    /// Joins buckets (`fit`); the samples and their sum stay.
    pub(super) fn coarsen(&mut self, coarse: u8) {
        let mut joined = Vec::<(u64, u64)>::new();
        for (bucket, count) in &self.buckets {
            let name = super::fit::joined(*bucket, coarse);
            match joined.last_mut().filter(|last| last.0 == name) {
                Some(last) => last.1 = last.1.saturating_add(*count),
                None => joined.push((name, *count)),
            }
        }
        self.buckets = BoundedVec::try_from(joined).unwrap_or_default();
    }

    /// The samples that came since `before`, bucket by bucket; none where `before` has more.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut earlier = before.buckets.iter().peekable();
        let left = self.buckets.iter().filter_map(|(bucket, count)| {
            while earlier.next_if(|held| held.0 < *bucket).is_some() {}
            let held = earlier.next_if(|held| held.0 == *bucket).map_or(0, |held| held.1);
            let left = count.saturating_sub(held);
            (left > 0).then_some((*bucket, left))
        });
        Self {
            buckets: BoundedVec::try_from(left.collect::<Vec<_>>()).unwrap_or_default(),
            sum_us: self.sum_us.saturating_sub(before.sum_us),
            clipped: self.clipped.saturating_sub(before.clipped),
        }
    }
}

fn merged(left: &[(u64, u64)], right: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut out = Vec::with_capacity(left.len().saturating_add(right.len()));
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(&&a), Some(&&b)) = (left.peek(), right.peek()) {
        if a.0 <= b.0 {
            left.next();
        }
        if b.0 <= a.0 {
            right.next();
        }
        out.push(match a.0.cmp(&b.0) {
            std::cmp::Ordering::Less => a,
            std::cmp::Ordering::Greater => b,
            std::cmp::Ordering::Equal => (a.0, a.1.saturating_add(b.1)),
        });
    }
    out.extend(left);
    out.extend(right);
    out
}
