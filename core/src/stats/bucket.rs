//! The buckets of every histogram: HDR's for 3 significant digits from 1 us. Values below 2048 have
//! their own; above, 1024 buckets per doubling. A bucket is named by its lowest value, so equal
//! recordings have equal sparse forms.

use crate::limits::HISTOGRAM_MAX_US;

const EXACT_BITS: u32 = 11;
/// Buckets per doubling.
pub(super) const PER_DOUBLING: usize = 1 << (EXACT_BITS - 1);

/// How many low bits a bucket of `value`'s size spans.
const fn width_bits(value: u64) -> u32 {
    (u64::BITS - (value | ((1 << EXACT_BITS) - 1)).leading_zeros()).saturating_sub(EXACT_BITS)
}

/// The bucket that counts `value`.
pub(super) const fn lowest(value: u64) -> u64 {
    let bits = width_bits(value);
    (value >> bits) << bits
}

/// The highest recordable value that is counted in the bucket of `value`.
pub(super) fn highest(value: u64) -> u64 {
    let span = (1u64 << width_bits(value)).saturating_sub(1);
    (lowest(value) | span).min(HISTOGRAM_MAX_US)
}

/// The place of `value`'s bucket among all buckets.
pub(super) fn ordinal(value: u64) -> usize {
    let bits = width_bits(value);
    let place = (u64::from(bits) << (EXACT_BITS - 1)).saturating_add(value >> bits);
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The bucket at a place; the inverse of [`ordinal`].
pub(super) fn at(ordinal: usize) -> u64 {
    let doublings = (ordinal >> (EXACT_BITS - 1)).saturating_sub(1);
    let mantissa = ordinal.saturating_sub(doublings << (EXACT_BITS - 1));
    let bits = u32::try_from(doublings).unwrap_or(u32::MAX);
    (mantissa as u64).checked_shl(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_ascend_without_a_gap_and_invert() {
        let last = ordinal(HISTOGRAM_MAX_US);
        assert!(last < crate::limits::BUCKETS_MAX);
        for place in 0..last {
            let (bucket, after) = (at(place), at(place + 1));
            assert_eq!(ordinal(bucket), place);
            assert_eq!(lowest(bucket), bucket);
            assert_eq!(highest(bucket) + 1, after);
            assert_eq!(ordinal(highest(bucket)), place);
        }
        assert_eq!(highest(HISTOGRAM_MAX_US), HISTOGRAM_MAX_US);
    }

    #[test]
    fn a_bucket_spans_at_most_a_thousandth_of_its_value() {
        for place in 0..ordinal(HISTOGRAM_MAX_US) {
            let bucket = at(place);
            assert!((highest(bucket) - bucket) * 1000 <= bucket, "{bucket}");
        }
    }

    #[test]
    fn the_buckets_are_hdr_s() {
        let hdr = hdrhistogram::Histogram::<u64>::new_with_bounds(1, HISTOGRAM_MAX_US, 3).unwrap();
        for place in 0..ordinal(HISTOGRAM_MAX_US) {
            let bucket = at(place);
            assert_eq!(hdr.lowest_equivalent(bucket + 1), lowest(bucket + 1));
            assert_eq!(hdr.highest_equivalent(bucket), highest(bucket));
        }
    }
}
