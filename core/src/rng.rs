//! Random numbers of the machines: one sequential ChaCha8 stream per (node, boot, purpose).
//!
//! The entropy comes from outside, once per boot. Purposes do not share a stream, so one more
//! draw for one purpose shifts no other. The values are part of every recorded run: the golden
//! test fails when they change.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// What a draw is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Election timers.
    Election,
    /// Jitter of retries.
    Backoff,
    /// Choice among equals when placing work.
    Routing,
    /// Identifiers.
    Ids,
    /// Whom a member probes.
    Membership,
}

/// The generators of one boot of one node.
#[derive(Clone, Debug)]
pub struct Streams {
    election: Rng,
    backoff: Rng,
    routing: Rng,
    ids: Rng,
    membership: Rng,
}

/// Keeps these streams apart from any other use of the same entropy.
const DOMAIN: u64 = u64::from_le_bytes(*b"HYSCORE1");

impl Streams {
    /// The streams of boot `boot` of node `node`, given `seed`, the entropy of the node.
    #[must_use]
    pub fn new(seed: u64, node: u64, boot: u64) -> Self {
        let mut key = [0; 32];
        let words = [seed, node, boot, DOMAIN];
        for (bytes, word) in key.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        Self {
            election: Rng::new(key, 0),
            backoff: Rng::new(key, 1),
            routing: Rng::new(key, 2),
            ids: Rng::new(key, 3),
            membership: Rng::new(key, 4),
        }
    }

    /// The generator for `stream`.
    pub fn draw(&mut self, stream: Stream) -> &mut Rng {
        match stream {
            Stream::Election => &mut self.election,
            Stream::Backoff => &mut self.backoff,
            Stream::Routing => &mut self.routing,
            Stream::Ids => &mut self.ids,
            Stream::Membership => &mut self.membership,
        }
    }
}

/// One sequential stream.
#[derive(Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    fn new(key: [u8; 32], stream: u64) -> Self {
        let mut inner = ChaCha8Rng::from_seed(key);
        inner.set_stream(stream);
        Self(inner)
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform number in `0..=max`.
    ///
    /// The high half of a widening product, with the few draws rejected that would make some
    /// results likelier than others (Lemire); fewer than two draws on average.
    pub fn at_most(&mut self, max: u64) -> u64 {
        let Some(range) = max.checked_add(1) else { return self.next_u64() };
        let biased = range.wrapping_neg() % range;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(range);
            if product as u64 >= biased {
                return (product >> 64) as u64;
            }
        }
    }

    /// True with a probability of `ppm` millionths; always from 1,000,000 on. Draws either way.
    pub fn chance(&mut self, ppm: u32) -> bool {
        self.at_most(999_999) < u64::from(ppm)
    }

    /// A uniform duration in `min..=max` at nanosecond steps; `min` when `max` is not above it.
    pub fn between(&mut self, min: Duration, max: Duration) -> Duration {
        let width = u64::try_from(max.saturating_sub(min).as_nanos()).unwrap_or(u64::MAX);
        min.saturating_add(Duration::from_nanos(self.at_most(width)))
    }

    /// Puts `items` in a uniformly random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let pick = self.at_most(last as u64) as usize;
            items.swap(last, pick);
        }
    }
}

impl core::fmt::Debug for Rng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Rng(stream {}, word {})", self.0.get_stream(), self.0.get_word_pos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Stream; 4] = [Stream::Election, Stream::Backoff, Stream::Routing, Stream::Ids];

    fn first(seed: u64, node: u64, boot: u64, stream: Stream) -> u64 {
        Streams::new(seed, node, boot).draw(stream).next_u64()
    }

    #[test]
    fn values_are_stable() {
        let golden: Vec<u64> = ALL.iter().map(|&stream| first(1, 2, 3, stream)).collect();
        assert_eq!(golden, GOLDEN);
        let mut rng = Streams::new(1, 2, 3);
        let rng = rng.draw(Stream::Routing);
        let bounded = [rng.at_most(9), rng.at_most(99), rng.at_most(u64::MAX)];
        let mut items = [0, 1, 2, 3, 4, 5, 6, 7];
        rng.shuffle(&mut items);
        assert_eq!((bounded, items), (GOLDEN_BOUNDED, GOLDEN_ORDER));
    }

    const GOLDEN: [u64; 4] = [
        17_668_453_713_053_839_934,
        3_850_688_541_395_883_672,
        12_986_514_558_030_620_072,
        14_565_134_152_390_751_369,
    ];
    const GOLDEN_BOUNDED: [u64; 3] = [7, 74, 5_627_909_009_023_483_518];
    const GOLDEN_ORDER: [u8; 8] = [6, 7, 3, 5, 4, 2, 1, 0];

    #[test]
    fn seed_node_boot_and_purpose_each_change_the_stream() {
        let base = first(1, 2, 3, Stream::Ids);
        assert_ne!(base, first(9, 2, 3, Stream::Ids));
        assert_ne!(base, first(1, 9, 3, Stream::Ids));
        assert_ne!(base, first(1, 2, 9, Stream::Ids));
        assert_ne!(base, first(1, 2, 3, Stream::Election));
    }

    #[test]
    fn a_draw_for_one_purpose_shifts_no_other() {
        let mut streams = Streams::new(5, 6, 7);
        for _ in 0..100 {
            streams.draw(Stream::Election).next_u64();
        }
        assert_eq!(streams.draw(Stream::Ids).next_u64(), first(5, 6, 7, Stream::Ids));
    }

    #[test]
    fn at_most_reaches_both_ends_and_is_even() {
        let mut streams = Streams::new(8, 8, 8);
        let rng = streams.draw(Stream::Ids);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[usize::try_from(rng.at_most(5)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
        assert_eq!(rng.at_most(0), 0);
        // Two thirds of the range. Without rejection a modulo would put two thirds of the results
        // into the lower half, and a widening product would make two thirds of them even.
        let max = u64::MAX / 3 * 2;
        let drawn: Vec<_> = (0..30_000).map(|_| rng.at_most(max)).collect();
        let low = drawn.iter().filter(|value| **value <= max / 2).count();
        let even = drawn.iter().filter(|value| *value % 2 == 0).count();
        assert!([low, even].iter().all(|count| (14_400..15_600).contains(count)), "{low} {even}");
    }

    #[test]
    fn chance_holds_its_ends_and_its_rate() {
        let mut streams = Streams::new(4, 4, 4);
        let rng = streams.draw(Stream::Backoff);
        assert!((0..1_000).all(|_| !rng.chance(0)));
        assert!((0..1_000).all(|_| rng.chance(1_000_000)));
        let hits = (0..100_000).filter(|_| rng.chance(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
    }

    #[test]
    fn between_stays_in_its_interval() {
        let mut streams = Streams::new(4, 4, 4);
        let rng = streams.draw(Stream::Election);
        let (min, max) = (Duration::from_millis(450), Duration::from_millis(900));
        let drawn: Vec<_> = (0..1_000).map(|_| rng.between(min, max)).collect();
        assert!(drawn.iter().all(|wait| (min..=max).contains(wait)));
        assert!(drawn.iter().any(|wait| *wait > Duration::from_millis(800)));
        assert_eq!(rng.between(max, min), max);
    }

    #[test]
    fn shuffle_keeps_the_items_and_reaches_every_order() {
        let mut streams = Streams::new(2, 2, 2);
        let rng = streams.draw(Stream::Routing);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let mut items = [1, 2, 3];
            rng.shuffle(&mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
        rng.shuffle::<u8>(&mut []);
    }
}
