//! Deadlines by key, polled by their owner.
//!
//! A machine sets, moves and cancels deadlines and answers the earliest as its next wake; on a
//! wake it pops everything due. Equal deadlines fire in the order of their keys, so the order is a
//! function of the state alone. Nothing here reads a clock. The number of timers is bounded by the
//! number of keys that the owner uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Instant;

/// A set of deadlines, at most one per key.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    by_key: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Copy> Timers<K> {
    /// No timers.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Sets the deadline of `key` to `at`, replacing the one it had.
    pub fn set(&mut self, key: K, at: Instant) {
        if let Some(old) = self.by_key.insert(key, at) {
            if old == at {
                return;
            }
            self.by_time.remove(&(old, key));
        }
        self.by_time.insert((at, key));
    }

    /// Removes the deadline of `key` and returns it.
    pub fn cancel(&mut self, key: &K) -> Option<Instant> {
        let (key, at) = self.by_key.remove_entry(key)?;
        self.by_time.remove(&(at, key));
        Some(at)
    }

    /// Removes and returns the earliest key whose deadline is at or before `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// The earliest deadline and its key.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, K)> {
        self.by_time.first().copied()
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn deadline(&self, key: &K) -> Option<Instant> {
        self.by_key.get(key).copied()
    }

    /// Every key with its deadline, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, Instant)> {
        self.by_key.iter().map(|(key, at)| (key, *at))
    }

    /// How many deadlines are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no deadline is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn setting_a_key_again_moves_it() {
        let mut timers = Timers::new();
        timers.set('a', at(5));
        timers.set('a', at(9));
        assert_eq!(timers.len(), 1);
        assert_eq!(timers.next(), Some((at(9), 'a')));
        assert_eq!(timers.pop_due(at(8)), None);
        assert_eq!(timers.pop_due(at(9)), Some('a'));
        assert!(timers.is_empty());
    }

    #[test]
    fn equal_deadlines_fire_in_key_order_and_a_late_wake_fires_all() {
        let mut timers = Timers::new();
        for (key, when) in [('c', 2), ('a', 3), ('b', 2)] {
            timers.set(key, at(when));
        }
        let fired: Vec<_> = core::iter::from_fn(|| timers.pop_due(at(100))).collect();
        assert_eq!(fired, ['b', 'c', 'a']);
    }

    #[test]
    fn cancel_answers_the_deadline_once() {
        let mut timers = Timers::default();
        timers.set(1, at(4));
        assert_eq!(timers.deadline(&1), Some(at(4)));
        assert_eq!(timers.cancel(&1), Some(at(4)));
        assert_eq!(timers.cancel(&1), None);
        assert_eq!(timers.next(), None);
    }
}
