//! What an iteration sends is a function of the plan, its seed and the global index of the item,
//! never of the shard that runs it: every random choice is drawn by these keys.

use hyperscale_core::plan::RowOrder;

/// The row of a data source that an item uses; `rows` must be above zero.
pub fn row(order: RowOrder, rows: usize, seed: u64, source: u16, index: u64) -> usize {
    let rows = rows as u64;
    (match order {
        RowOrder::Sequential => index % rows,
        RowOrder::Random => evenly(mix(seed, u64::from(source), index), rows - 1),
    }) as usize
}

/// The length of a think step in nanoseconds, from `min` to `max`, both included.
pub fn think(seed: u64, step: ThinkStep, index: u64, (min, max): (u64, u64)) -> u64 {
    let stream = 1 << 32 | u64::from(step.workflow) << 16 | u64::from(step.step);
    min + evenly(mix(seed, stream, index), max.saturating_sub(min))
}

/// Which think step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThinkStep {
    /// The workflow's place in the plan.
    pub workflow: u16,
    /// The step's place in the flow.
    pub step: u16,
}

/// 64 bits that depend on every bit of the key: two rounds of splitmix64.
fn mix(seed: u64, stream: u64, ordinal: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let round = |key: u64| {
        let z = key.wrapping_add(GOLDEN);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    round(round(seed ^ stream.wrapping_mul(GOLDEN)) ^ ordinal)
}

/// Scales uniform bits to `0..=max`.
fn evenly(bits: u64, max: u64) -> u64 {
    ((u128::from(bits) * (u128::from(max) + 1)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_cover_their_source_and_depend_on_the_key_only() {
        let sequential: Vec<_> = (5..9).map(|i| row(RowOrder::Sequential, 3, 1, 0, i)).collect();
        assert_eq!(sequential, [2, 0, 1, 2]);
        let drawn = |seed, source| -> Vec<usize> {
            (0..64).map(|i| row(RowOrder::Random, 4, seed, source, i)).collect()
        };
        assert!((0..4).all(|r| drawn(7, 0).contains(&r)));
        assert_eq!(drawn(7, 0), drawn(7, 0));
        assert_ne!(drawn(7, 0), drawn(8, 0));
        assert_ne!(drawn(7, 0), drawn(7, 1));
    }

    #[test]
    fn thinks_stay_in_their_interval() {
        let step = ThinkStep { workflow: 0, step: 1 };
        let drawn: Vec<_> = (0..1000).map(|i| think(3, step, i, (10, 13))).collect();
        assert!((10..=13).all(|t| drawn.contains(&t)));
        assert!(drawn.iter().all(|t| (10..=13).contains(t)));
        assert_eq!(think(3, step, 0, (10, 10)), 10);
        assert!(think(3, step, 0, (0, u64::MAX)) > 0);
    }
}
