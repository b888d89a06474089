//! Whether a silence is the network's: several destinations that fall silent together are more
//! likely to be cut off from the observer than to have died at once.
//!
//! A silence is correlated when, of all known destinations, at least two and at least half are
//! silent since within one window. It stays so for a hold time, after which the observer believes
//! what it sees. Pure.

use super::HealthConfig;
use crate::time::Instant;

/// Whether the silence of destination `ix` counts as the network's. `silent`: for every known
/// destination since when it has been silent, if it is.
pub fn correlated(
    now: Instant,
    silent: &[Option<Instant>],
    ix: usize,
    config: &HealthConfig,
) -> bool {
    let Some(Some(since)) = silent.get(ix).copied() else { return false };
    let apart = |other: Instant| since.since(other).max(other.since(since));
    let with =
        silent.iter().flatten().filter(|other| apart(**other) <= config.correlated_within).count();
    let hold = config.unreachable_after.saturating_add(config.correlated_hold);
    with >= 2 && with.saturating_mul(2) >= silent.len() && now.since(since) < hold
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(secs: u64) -> Option<Instant> {
        Some(Instant::ZERO.after(Duration::from_secs(secs)))
    }

    fn judged(now: u64, silent: &[Option<Instant>]) -> Vec<bool> {
        let now = Instant::ZERO.after(Duration::from_secs(now));
        let config = HealthConfig::default();
        (0..silent.len()).map(|ix| correlated(now, silent, ix, &config)).collect()
    }

    #[test]
    fn silences_that_begin_together_are_the_networks_and_single_ones_are_not() {
        assert_eq!(judged(110, &[at(100), at(101), None]), [true, true, false]);
        assert_eq!(judged(110, &[at(100), None, None]), [false; 3], "one alone");
        assert_eq!(judged(110, &[at(100), at(60), None]), [false; 3], "one after the other");
        let few = [at(100), at(101), None, None, None];
        assert_eq!(judged(110, &few), [false; 5], "a minority");
        assert_eq!(judged(110, &[at(100)]), [false], "the only one");
    }

    #[test]
    fn the_network_is_blamed_for_a_while_only() {
        assert_eq!(judged(169, &[at(100), at(101)]), [true, true]);
        assert_eq!(judged(170, &[at(100), at(101)]), [false, true]);
        assert_eq!(judged(171, &[at(100), at(101)]), [false, false]);
    }
}
