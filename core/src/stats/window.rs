//! Windows: what was measured between two whole plan seconds, from sources that report cumulative
//! totals.
//!
//! A source is a shard's run for a manager and a datacenter's part for a gate; the same cut is made
//! in both. In: what a source's totals gained when they reached a plan second. Out: closed windows,
//! in order and without a gap. A boundary is cut when every source has reached it and no gain lies
//! across it: a source that skips seconds makes windows wider and never wrong. A boundary that is
//! overdue is cut without the sources that are late: their gain goes to the window that is open
//! when it comes. So a closed window never changes, and all windows with what is open are the
//! totals (windows-sum).
//! Bounds: `WINDOW_SLOTS_MAX` open seconds; above it the oldest is cut. Does not do: keeping
//! windows (`tier`), knowing the time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::totals::Totals;
use crate::limits::WINDOW_SLOTS_MAX;

/// What was measured between two whole plan seconds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    /// The plan second at which it begins.
    pub from: u32,
    /// The plan second before which it ends.
    pub until: u32,
    /// Shards whose totals had reached its end when it was closed.
    pub shards: u32,
    /// Shards that ran.
    pub of: u32,
    /// Shards whose gain from before the window is in it.
    pub late: u32,
    /// What was measured.
    pub totals: Box<Totals>,
}

impl Window {
    /// Whether it has the measurements of every shard that ran, and nothing from before.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.shards >= self.of && self.late == 0
    }

    /// Adds the window that follows.
    pub fn extend(&mut self, next: &Self) {
        self.until = next.until;
        self.shards = self.shards.min(next.shards);
        self.of = self.of.max(next.of);
        self.late = self.late.max(next.late);
        self.totals.merge(&next.totals);
    }
}

#[derive(Clone, Copy, Debug)]
struct Source {
    second: u32,
    shards: u32,
    late: u32,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// The earliest second from which a gain in it comes.
    since: u32,
    late: u32,
    totals: Totals,
}

/// Cuts the gains of many sources into windows.
#[derive(Clone, Debug)]
pub struct Cutter<K> {
    closed: u32,
    sources: BTreeMap<K, Source>,
    /// Gains by the second that they reach.
    slots: BTreeMap<u32, Slot>,
}

impl<K: Ord + Copy> Default for Cutter<K> {
    fn default() -> Self {
        Self { closed: 0, sources: BTreeMap::new(), slots: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Cutter<K> {
    /// Everything that was measured before this second, by sources that were not late, is in closed
    /// windows.
    #[must_use]
    pub const fn closed(&self) -> u32 {
        self.closed
    }

    /// Whether a source is waited for.
    pub fn has(&self, key: K) -> bool {
        self.sources.contains_key(&key)
    }

    /// The sources that are waited for.
    pub fn sources(&self) -> impl Iterator<Item = K> {
        self.sources.keys().copied()
    }

    /// A source of so many shards is waited for; what it measures comes from `second` on. Of a
    /// known one only the shards change.
    pub fn open(&mut self, key: K, second: u32, (shards, late): (u32, u32)) {
        let source = self.sources.entry(key).or_insert(Source { second, shards, late });
        (source.shards, source.late) = (shards, late);
    }

    /// A source's totals have reached a second, with this gain since it was last heard.
    pub fn credit(&mut self, key: K, second: u32, gain: &Totals) {
        let (shards, late) =
            self.sources.get(&key).map_or((1, 0), |source| (source.shards, source.late));
        let before = self.sources.get(&key).map_or(self.closed, |source| source.second);
        if let Some(source) = self.sources.get_mut(&key) {
            source.second = source.second.max(second);
        }
        if gain.is_zero() {
            return;
        }
        let until = second.max(self.closed.saturating_add(1));
        let since = before.min(until.saturating_sub(1)).max(self.closed);
        let slot = self.slots.entry(until).or_insert_with(|| Slot { since, ..Slot::default() });
        slot.since = slot.since.min(since);
        // A source whose clock is behind that of the one before it measures in seconds that are
        // closed already.
        let is_late = before < self.closed || second <= self.closed;
        slot.late = slot.late.saturating_add(if is_late { shards } else { late });
        slot.totals.merge(gain);
    }

    /// What a source measured ended within the second before this one; whoever follows it may
    /// still measure in that second, however far the clock of the one before it was ahead.
    pub fn credit_end(&mut self, key: K, second: u32, gain: &Totals) {
        self.credit(key, second, gain);
        if let Some(source) = self.sources.get_mut(&key) {
            source.second = second.saturating_sub(1).max(self.closed);
        }
    }

    /// A source has nothing more to say.
    pub fn close(&mut self, key: K) {
        self.sources.remove(&key);
    }

    /// The next window that can be closed: all sources have reached its end, or it ends before
    /// `overdue`.
    pub fn pop(&mut self, overdue: u32) -> Option<Window> {
        let newest = self.slots.last_key_value().map_or(self.closed, |(until, _)| *until);
        let reached = self.sources.values().map(|source| source.second).min().unwrap_or(newest);
        let full = self.slots.len() > WINDOW_SLOTS_MAX;
        let first = self.slots.first_key_value().map_or(self.closed, |(until, _)| *until);
        let forced = if full { overdue.max(first) } else { overdue };
        let until = self.boundary(reached).or_else(|| self.boundary(forced));
        let until = until.or_else(|| full.then_some(first))?;
        Some(self.cut(until))
    }

    /// The next window up to the newest second that a source has reached; `None` once nothing is
    /// open.
    pub fn flush(&mut self) -> Option<Window> {
        let newest = *self.slots.last_key_value()?.0;
        self.pop(newest)
    }

    /// What is in no closed window.
    #[must_use]
    pub fn rest(&self) -> Totals {
        let mut rest = Totals::default();
        self.slots.values().for_each(|slot| rest.merge(&slot.totals));
        rest
    }

    /// How many buckets the open seconds have.
    pub fn cells(&self) -> usize {
        self.slots.values().map(|slot| slot.totals.cells()).sum()
    }

    /// The first boundary up to `most` that no gain lies across.
    fn boundary(&self, most: u32) -> Option<u32> {
        let mut until = self.closed.checked_add(1)?;
        for (end, slot) in &self.slots {
            if *end > until && slot.since < until {
                until = *end;
            }
        }
        (until <= most).then_some(until)
    }

    fn cut(&mut self, until: u32) -> Window {
        let from = self.closed;
        self.closed = until;
        let later = until.checked_add(1).map(|next| self.slots.split_off(&next));
        let inside = std::mem::replace(&mut self.slots, later.unwrap_or_default());
        let mut window = Window { from, until, ..Window::default() };
        for slot in inside.values() {
            window.late = window.late.saturating_add(slot.late);
            window.totals.merge(&slot.totals);
        }
        for source in self.sources.values() {
            window.of = window.of.saturating_add(source.shards);
            if source.second >= until {
                let counted = source.shards.saturating_sub(source.late);
                window.shards = window.shards.saturating_add(counted);
            }
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(iterations: u64) -> Totals {
        Totals { iterations, ..Totals::default() }
    }

    fn spans(cutter: &mut Cutter<u8>, overdue: u32) -> Vec<(u32, u32, u64, bool)> {
        let next = || cutter.pop(overdue);
        let window = |w: Window| (w.from, w.until, w.totals.iterations, w.is_complete());
        std::iter::from_fn(next).map(window).collect()
    }

    fn two() -> Cutter<u8> {
        let mut cutter = Cutter::default();
        cutter.open(1, 0, (1, 0));
        cutter.open(2, 0, (1, 0));
        cutter
    }

    #[test]
    fn a_window_waits_for_every_source() {
        let mut cutter = two();
        cutter.credit(1, 1, &n(5));
        cutter.credit(1, 2, &n(5));
        assert_eq!(spans(&mut cutter, 0), []);
        cutter.credit(2, 1, &n(7));
        assert_eq!(spans(&mut cutter, 0), [(0, 1, 12, true)]);
        assert_eq!(cutter.rest(), n(5));
    }

    #[test]
    fn skipped_seconds_make_windows_wider_and_not_wrong() {
        let mut cutter = two();
        for second in 1..=4 {
            cutter.credit(1, second, &n(1));
        }
        cutter.credit(2, 2, &n(20));
        cutter.credit(2, 4, &n(20));
        assert_eq!(spans(&mut cutter, 0), [(0, 2, 22, true), (2, 4, 22, true)]);
        assert!(cutter.rest().is_zero());
    }

    #[test]
    fn a_late_source_is_in_a_later_window_that_says_so() {
        let mut cutter = two();
        for second in 1..=4 {
            cutter.credit(1, second, &n(1));
        }
        assert_eq!(spans(&mut cutter, 2), [(0, 1, 1, false), (1, 2, 1, false)]);
        cutter.credit(2, 3, &n(30));
        let window = cutter.pop(0).unwrap();
        assert_eq!((window.from, window.until, window.late), (2, 3, 1));
        assert_eq!((window.totals.iterations, window.is_complete()), (31, false));
        cutter.credit(2, 4, &n(10));
        assert_eq!(spans(&mut cutter, 0), [(3, 4, 11, true)]);
    }

    #[test]
    fn who_follows_a_source_with_a_fast_clock_is_waited_for() {
        let mut cutter = two();
        cutter.credit(1, 9, &n(5));
        cutter.credit_end(1, 4, &n(0));
        cutter.credit(2, 9, &n(7));
        assert_eq!(spans(&mut cutter, 0), []);
        cutter.credit(1, 5, &n(2));
        cutter.credit(1, 9, &n(3));
        assert_eq!(spans(&mut cutter, 0), [(0, 9, 17, true)]);
    }

    #[test]
    fn a_source_that_begins_behind_the_newest_boundary_is_late() {
        let mut cutter: Cutter<u8> = Cutter::default();
        cutter.open(1, 0, (1, 0));
        cutter.credit(1, 3, &n(5));
        assert_eq!(spans(&mut cutter, 0), [(0, 3, 5, true)]);
        cutter.close(1);
        cutter.open(2, 3, (1, 0));
        cutter.credit(2, 2, &n(1));
        cutter.credit(2, 4, &n(2));
        let window = cutter.pop(0).unwrap();
        assert_eq!((window.until, window.late, window.is_complete()), (4, 1, false));
    }

    #[test]
    fn what_comes_for_a_closed_second_goes_to_the_next() {
        let mut cutter = Cutter::default();
        cutter.credit(9, 3, &n(1));
        assert_eq!(spans(&mut cutter, 0), [(0, 3, 1, true)]);
        cutter.credit(9, 2, &n(4));
        assert_eq!((cutter.closed(), cutter.rest()), (3, n(4)));
        assert_eq!(cutter.flush().map(|w| (w.from, w.until, w.totals.iterations)), Some((3, 4, 4)));
        assert!(cutter.flush().is_none());
    }

    #[test]
    fn open_seconds_are_bounded() {
        let mut cutter = two();
        let most = u32::try_from(WINDOW_SLOTS_MAX).unwrap();
        let mut closed = 0;
        for second in 1..=most + 20 {
            cutter.credit(1, second, &n(1));
            closed += spans(&mut cutter, 0).iter().map(|window| window.2).sum::<u64>();
            assert!(cutter.slots.len() <= WINDOW_SLOTS_MAX);
        }
        assert_eq!(closed + cutter.rest().iterations, u64::from(most) + 20);
    }

    #[test]
    fn whatever_comes_in_any_order_windows_and_rest_are_the_totals() {
        let mut seed = 7u64;
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..300 {
            let mut cutter = Cutter::default();
            let (mut sum, mut closed, mut until) = (0, 0, 0);
            for source in 0..4u8 {
                cutter.open(source, 0, (1, 0));
            }
            let mut at = [0u32; 4];
            for _ in 0..60 {
                let source = usize::try_from(draw(4)).unwrap();
                at[source] += u32::try_from(draw(4)).unwrap();
                let gain = draw(9);
                sum += gain;
                cutter.credit(u8::try_from(source).unwrap(), at[source], &n(gain));
                let overdue = at.iter().max().unwrap().saturating_sub(6);
                for (from, end, found, _) in spans(&mut cutter, overdue) {
                    assert_eq!(from, until);
                    assert!(end > from);
                    until = end;
                    closed += found;
                }
                assert_eq!(closed + cutter.rest().iterations, sum);
            }
        }
    }
}
