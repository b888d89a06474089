//! Suspicions and when they end.
//!
//! A suspicion lasts `max - (max - min) * log(C + 1) / log(K + 1)`, where C independent members
//! confirmed it and K confirmations are expected: long while one member alone could not reach the
//! suspect, short once others say the same. Only a confirmation moves a deadline, and only to an
//! earlier instant, so a suspicion ends in at most `max` whatever arrives (suspicion-expires).
//! Does not do: decide whom to suspect, or what an expired suspicion means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{BootId, NodeId};
use crate::time::Instant;
use crate::timers::Timers;

/// A suspicion, read-only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SuspicionView {
    /// Who is suspected.
    pub node: NodeId,
    /// Which life of it.
    pub boot: BootId,
    /// Which incarnation of that.
    pub incarnation: u64,
    /// When it ends.
    pub deadline: Instant,
}

#[derive(Debug)]
struct Suspicion {
    boot: BootId,
    incarnation: u64,
    since: Instant,
    accusers: BTreeSet<NodeId>,
    expected: u32,
}

/// The suspicions of a node.
#[derive(Debug)]
pub(super) struct Suspicions {
    min: Duration,
    max: Duration,
    held: BTreeMap<NodeId, Suspicion>,
    timers: Timers<NodeId>,
}

impl Suspicions {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, held: BTreeMap::new(), timers: Timers::new() }
    }

    /// A life of a node is suspected from here on; `expected` members may confirm it.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        (node, boot, incarnation): (NodeId, BootId, u64),
        accuser: NodeId,
        expected: u32,
    ) {
        let accusers = BTreeSet::from([accuser]);
        let held = Suspicion { boot, incarnation, since: now, accusers, expected };
        self.timers.set(node, now.after(self.span(&held)));
        self.held.insert(node, held);
    }

    /// Another member says the same. Whether that is news that others should hear.
    pub(super) fn confirm(&mut self, node: NodeId, boot: BootId, by: (NodeId, u64)) -> bool {
        let (accuser, incarnation) = by;
        let (min, max) = (self.min, self.max);
        let Some(held) = self.held.get_mut(&node) else { return false };
        let is_same = held.boot == boot && held.incarnation == incarnation;
        if !is_same || confirmations(held) >= held.expected || !held.accusers.insert(accuser) {
            return false;
        }
        let at = held.since.after(timeout(min, max, confirmations(held), held.expected));
        let current = self.timers.deadline(&node).unwrap_or(at);
        self.timers.set(node, at.min(current));
        true
    }

    /// The node is not suspected any more.
    pub(super) fn cancel(&mut self, node: NodeId) {
        if self.held.remove(&node).is_some() {
            self.timers.cancel(&node);
        }
    }

    /// A node that did not refute its suspicion in time.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<NodeId> {
        let node = self.timers.pop_due(now)?;
        self.held.remove(&node);
        Some(node)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.timers.next().map(|(at, _)| at)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn views(&self) -> impl Iterator<Item = SuspicionView> {
        self.held.iter().map(|(node, held)| SuspicionView {
            node: *node,
            boot: held.boot,
            incarnation: held.incarnation,
            deadline: self.timers.deadline(node).unwrap_or_default(),
        })
    }

    fn span(&self, held: &Suspicion) -> Duration {
        timeout(self.min, self.max, confirmations(held), held.expected)
    }
}

fn confirmations(held: &Suspicion) -> u32 {
    u32::try_from(held.accusers.len()).unwrap_or(u32::MAX).saturating_sub(1)
}

/// How long a suspicion with so many confirmations lasts.
pub fn timeout(min: Duration, max: Duration, confirmed: u32, expected: u32) -> Duration {
    if confirmed >= expected {
        return min;
    }
    let whole = log2(expected.saturating_add(1)).max(1);
    let done = log2(confirmed.saturating_add(1)).min(whole);
    let shortened = max.saturating_sub(min).as_nanos() * u128::from(done) / u128::from(whole);
    max.saturating_sub(Duration::from_nanos(u64::try_from(shortened).unwrap_or(u64::MAX)))
}

/// The binary logarithm with 16 fractional bits, rounded down.
fn log2(n: u32) -> u64 {
    const ONE: u64 = 1 << 31;
    let whole = n.max(1).ilog2();
    let mut mantissa = u64::from(n.max(1)) << (31_u32.saturating_sub(whole));
    let mut log = u64::from(whole);
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 31;
        log <<= 1;
        if mantissa >= 2 * ONE {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(9);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn logarithms_are_those_of_the_books() {
        assert_eq!([1, 2, 4, 1 << 20].map(log2), [0, 1 << 16, 2 << 16, 20 << 16]);
        assert_eq!([log2(3), log2(1_000)], [103_872, 653_117]);
    }

    #[test]
    fn confirmations_shorten_a_suspicion_to_its_least() {
        assert_eq!(timeout(MIN, MAX, 0, 3), MAX);
        assert_eq!(timeout(MIN, MAX, 1, 3), Duration::from_secs(5));
        assert_eq!(timeout(MIN, MAX, 2, 3).as_millis(), 2_660);
        assert_eq!([timeout(MIN, MAX, 3, 3), timeout(MIN, MAX, 0, 0)], [MIN, MIN]);
    }

    #[test]
    fn a_confirmation_pulls_a_deadline_and_never_pushes_it() {
        let mut all = Suspicions::new(MIN, MAX);
        let (node, boot) = (NodeId::new(1), BootId::new(7));
        all.begin(at(0), (node, boot, 4), NodeId::new(2), 3);
        let mut last = all.next().unwrap();
        assert_eq!(last, at(9_000));
        for accuser in 3..40 {
            all.confirm(node, boot, (NodeId::new(accuser), 4));
            let next = all.next().unwrap();
            assert!(next <= last);
            last = next;
        }
        assert_eq!(last, at(1_000));
        assert_eq!(all.pop_due(at(999)), None);
        assert_eq!(all.pop_due(at(1_000)), Some(node));
        assert_eq!(all.next(), None);
    }

    #[test]
    fn a_confirmation_of_another_life_or_by_the_same_accuser_counts_for_nothing() {
        let mut all = Suspicions::new(MIN, MAX);
        let (node, boot) = (NodeId::new(1), BootId::new(7));
        all.begin(at(0), (node, boot, 4), NodeId::new(2), 3);
        assert!(!all.confirm(node, boot, (NodeId::new(2), 4)));
        assert!(!all.confirm(node, boot, (NodeId::new(3), 5)));
        assert!(!all.confirm(node, BootId::new(8), (NodeId::new(3), 4)));
        assert_eq!(all.next(), Some(at(9_000)));
        assert!(all.confirm(node, boot, (NodeId::new(3), 4)));
    }
}
