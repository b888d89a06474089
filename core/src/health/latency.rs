//! Measured round trips of one destination: a window of the newest, and what its answers to work
//! took.
//!
//! The bound leans to the longest round trip seen while there are few samples and to the 90th
//! percentile once there are ten. What answers to work took is learned as a moving average and
//! weighs more the more there are and the younger the last is; when it is old, round trips alone
//! count. Microseconds, integers.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// Round trips remembered.
const SAMPLES_MAX: usize = 64;
/// So many samples are enough to trust.
const ENOUGH: u64 = 10;
/// What was learned counts less every second and nothing after this.
const LEARNED_FOR: Duration = Duration::from_secs(300);
/// No answer to work counts as longer than this.
const LEARNED_MAX: u64 = 60_000_000;
/// Round trips below this are alike.
const FLOOR: u64 = 1_000;

/// The measurements of one destination.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    samples: VecDeque<u64>,
    newest: Option<Instant>,
    learned: u64,
    learnings: u64,
    learned_at: Option<Instant>,
}

impl Latency {
    /// A round trip took so long.
    pub fn on_round_trip(&mut self, now: Instant, took: Duration) {
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(micros(took));
        self.newest = Some(now);
    }

    /// An answer to work took so long.
    pub fn on_answer(&mut self, now: Instant, took: Duration) {
        let took = micros(took).min(LEARNED_MAX);
        self.learned = match self.learnings {
            0 => took,
            _ => self.learned.saturating_mul(4).saturating_add(took) / 5,
        };
        self.learnings = self.learnings.saturating_add(1);
        self.learned_at = Some(now);
    }

    /// Another destination takes its place: what was measured says nothing about it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many round trips are remembered.
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// When the newest was measured.
    pub fn newest(&self) -> Option<Instant> {
        self.newest
    }

    /// The round trip that so many of a hundred do not exceed, microseconds.
    pub fn percentile(&self, of_hundred: usize) -> Option<u64> {
        let mut sorted: Vec<u64> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        let rank = sorted.len().saturating_mul(of_hundred).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied()
    }

    /// What a round trip hardly exceeds, microseconds.
    pub fn bound(&self) -> Option<u64> {
        let (most, usual) = (self.percentile(100)?, self.percentile(90)?);
        let trust = u64::try_from(self.samples.len()).unwrap_or(u64::MAX).min(ENOUGH);
        let sum = usual.saturating_mul(trust);
        let sum = sum.saturating_add(most.saturating_mul(ENOUGH.saturating_sub(trust)));
        Some(sum / ENOUGH)
    }

    /// What to expect of it, microseconds: the bound, blended with what was learned.
    pub fn expected(&self, now: Instant) -> Option<u64> {
        let bound = self.bound()?;
        let age = self.learned_at.map_or(LEARNED_FOR, |at| now.since(at)).min(LEARNED_FOR);
        let left = u64::try_from(LEARNED_FOR.saturating_sub(age).as_millis()).unwrap_or(0);
        let span = u64::try_from(LEARNED_FOR.as_millis()).unwrap_or(1);
        let trust = self.learnings.min(ENOUGH).saturating_mul(1_000) / ENOUGH;
        let trust = trust.saturating_mul(left).checked_div(span).unwrap_or(0);
        let sum = self.learned.saturating_mul(trust);
        let sum = sum.saturating_add(bound.saturating_mul(1_000_u64.saturating_sub(trust)));
        Some((sum / 1_000).max(FLOOR))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn now(secs: u64) -> Instant {
        Instant::ZERO.after(Duration::from_secs(secs))
    }

    #[test]
    fn few_samples_count_by_the_longest_and_many_by_the_usual() {
        let mut latency = Latency::default();
        assert_eq!(latency.bound(), None);
        for (n, took) in [80, 20, 20, 20, 20].into_iter().enumerate() {
            latency.on_round_trip(now(n as u64), took * MS);
        }
        assert_eq!(latency.bound(), Some(80_000));
        for n in 5..20 {
            latency.on_round_trip(now(n), 20 * MS);
        }
        assert_eq!(latency.bound(), Some(20_000), "one outlier of twenty");
        assert_eq!((latency.percentile(50), latency.percentile(99)), (Some(20_000), Some(80_000)));
        for n in 20..100 {
            latency.on_round_trip(now(n), 30 * MS);
        }
        assert_eq!(latency.percentile(50), Some(30_000), "the window moves");
        assert_eq!(latency.samples(), 64);
    }

    #[test]
    fn what_was_learned_blends_in_and_fades() {
        let mut latency = Latency::default();
        for n in 0..10 {
            latency.on_round_trip(now(n), 20 * MS);
        }
        assert_eq!(latency.expected(now(10)), Some(20_000));
        latency.on_answer(now(10), 120 * MS);
        assert_eq!(latency.expected(now(10)), Some(30_000), "a tenth of it");
        for _ in 0..9 {
            latency.on_answer(now(10), 120 * MS);
        }
        assert_eq!(latency.expected(now(10)), Some(120_000));
        assert_eq!(latency.expected(now(160)), Some(70_000), "half as old as it may be");
        assert_eq!(latency.expected(now(400)), Some(20_000), "too old to count");
    }
}
