//! Sparse HDR histogram: what travels, is digested and is stored. Dense ones exist only while recording.
//! 3 significant digits from 1 us to 1 h.

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedMap;
use crate::limits;

/// Counts per bucket; a bucket is named by its lowest value in microseconds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// Strictly ascending.
    pub buckets: BoundedMap<u64, u64, { limits::BUCKETS_MAX }>,
    /// Sum of the recorded values, microseconds (exact, for the mean).
    pub sum_us: u64,
    /// Samples above one hour, counted in the last bucket as well.
    pub clipped: u64,
}
