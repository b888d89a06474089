//! Discovery: which of the addresses that a name has today is tried next.
//!
//! In: resolved candidates with their tier (a lower one is nearer), what became of attempts, the
//! clock. Out: an order. Who tries, with what socket, and how names resolve is the runtime's.
//!
//! - Sticky: the address that worked last comes first while it works.
//! - Spread: of the others, a nearer tier first; within a tier by rendezvous hash of the chooser
//!   and the address, so that choosers differ among each other, each is stable in itself, and an
//!   address that comes or goes moves nobody else. Of the first two the one that failed less goes
//!   first (power of two choices).
//! - Evicted: `FAILURES_MAX` failures in a row put an address behind all others for `EVICTED`; it
//!   is never left out, since it may be the only one that is left.
//!
//! Invariant: every candidate is in the order exactly once (`bounded`: at most `ADDRESSES_MAX`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::digest;
use crate::limits::ADDRESSES_MAX;
use crate::time::Instant;

/// Failures in a row that evict an address.
const FAILURES_MAX: u32 = 3;
/// How long an evicted address stays behind the others.
const EVICTED: Duration = Duration::from_secs(30);

/// An address and how near it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    /// The nearer the lower: the priority of a service record, or a locality.
    pub tier: u16,
    /// Where it is.
    pub address: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Record {
    in_a_row: u32,
    failures: u32,
    evicted_until: Option<Instant>,
}

/// What one chooser knows of its candidates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chooser {
    key: u64,
    candidates: Vec<Candidate>,
    records: BTreeMap<String, Record>,
    sticky: Option<String>,
}

impl Chooser {
    /// A chooser with no candidates; `key` tells it from others.
    pub const fn new(key: u64) -> Self {
        Self { key, candidates: Vec::new(), records: BTreeMap::new(), sticky: None }
    }

    /// What the name resolves to now. Addresses beyond the cap are left out, those of the farthest
    /// tiers first; what is known of an address that is gone is forgotten.
    pub fn on_resolved(&mut self, candidates: impl IntoIterator<Item = Candidate>) {
        let key = self.key;
        let mut all: Vec<Candidate> = candidates.into_iter().collect();
        all.sort_by_key(|of| (of.address.clone(), of.tier));
        all.dedup_by(|a, b| a.address == b.address);
        all.sort_by_key(|of| (of.tier, digest::of(&(key, &of.address))));
        all.truncate(ADDRESSES_MAX);
        self.records.retain(|address, _| all.iter().any(|of| of.address == *address));
        self.sticky.take_if(|sticky| !all.iter().any(|of| of.address == *sticky));
        self.candidates = all;
    }

    /// The candidates in the order in which to try them.
    pub fn order(&self, now: Instant) -> Vec<&Candidate> {
        let is_out = |of: &Candidate| {
            let record = self.record(&of.address);
            record.evicted_until.is_some_and(|until| now < until)
        };
        let is_sticky = |of: &Candidate| self.sticky.as_ref() == Some(&of.address);
        let mut order: Vec<&Candidate> = self.candidates.iter().collect();
        // Stable: within a group the rendezvous order stays.
        order.sort_by_key(|of| (is_out(of), !is_sticky(of), of.tier));
        if let [first, second, ..] = order.as_mut_slice()
            && first.tier == second.tier
            && !is_sticky(first)
            && is_out(first) == is_out(second)
            && self.record(&second.address).failures < self.record(&first.address).failures
        {
            core::mem::swap(first, second);
        }
        order
    }

    /// An attempt at an address worked.
    pub fn on_worked(&mut self, address: &str) {
        if let Some(record) = self.known(address) {
            *record = Record { failures: record.failures / 2, ..Record::default() };
            self.sticky = Some(address.to_owned());
        }
    }

    /// An attempt at an address failed. Answers whether it is evicted by that.
    pub fn on_failed(&mut self, now: Instant, address: &str) -> bool {
        let Some(record) = self.known(address) else { return false };
        record.failures = record.failures.saturating_add(1);
        record.in_a_row = record.in_a_row.saturating_add(1);
        if record.in_a_row < FAILURES_MAX {
            return false;
        }
        record.in_a_row = 0;
        record.evicted_until = Some(now.after(EVICTED));
        self.sticky.take_if(|sticky| sticky == address);
        true
    }

    /// Whether there is nothing to try.
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    fn record(&self, address: &str) -> Record {
        self.records.get(address).copied().unwrap_or_default()
    }

    fn known(&mut self, address: &str) -> Option<&mut Record> {
        let is_known = self.candidates.iter().any(|of| of.address == address);
        is_known.then(|| self.records.entry(address.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chooser(key: u64, tiers: &[(u16, &str)]) -> Chooser {
        let mut chooser = Chooser::new(key);
        chooser.on_resolved(candidates(tiers));
        chooser
    }

    fn candidates(tiers: &[(u16, &str)]) -> Vec<Candidate> {
        let of =
            |(tier, address): &(u16, &str)| Candidate { tier: *tier, address: (*address).into() };
        tiers.iter().map(of).collect()
    }

    fn order(chooser: &Chooser, ns: u64) -> Vec<String> {
        let order = chooser.order(Instant::from_nanos(ns));
        order.into_iter().map(|of| of.address.clone()).collect()
    }

    const FIVE: [(u16, &str); 5] = [(1, "a"), (1, "b"), (1, "c"), (1, "d"), (0, "near")];

    #[test]
    fn near_tiers_first_choosers_differ_and_each_is_stable() {
        let mut firsts = std::collections::BTreeSet::new();
        for key in 0..64 {
            let all = order(&chooser(key, &FIVE), 0);
            assert_eq!(all.len(), 5);
            assert_eq!(all[0], "near");
            assert_eq!(all, order(&chooser(key, &FIVE), 99));
            firsts.insert(all[1].clone());
            let fewer: Vec<_> = FIVE.iter().copied().filter(|(_, a)| *a != "c").collect();
            let kept: Vec<_> = all.iter().filter(|a| *a != "c").cloned().collect();
            assert_eq!(order(&chooser(key, &fewer), 0), kept, "one that goes moves no other");
        }
        assert_eq!(firsts.len(), 4, "all of a tier are chosen by someone");
    }

    #[test]
    fn what_worked_stays_first_until_it_fails_too_often() {
        let mut chooser = chooser(1, &FIVE);
        chooser.on_worked("c");
        assert_eq!(order(&chooser, 0)[0], "c");
        let now = Instant::from_nanos(5);
        assert!(!chooser.on_failed(now, "c") && !chooser.on_failed(now, "c"));
        assert_eq!(order(&chooser, 5)[0], "c", "sticky");
        assert!(chooser.on_failed(now, "c"));
        assert_eq!(order(&chooser, 5)[4], "c", "evicted, and still there");
        let later = now.after(EVICTED).as_nanos();
        assert_ne!(order(&chooser, later)[4], "c");
    }

    #[test]
    fn of_the_first_two_the_one_that_failed_less() {
        let mut chooser = chooser(7, &FIVE[..4]);
        let before = order(&chooser, 0);
        chooser.on_failed(Instant::from_nanos(0), &before[0]);
        let after = order(&chooser, 0);
        assert_eq!((&after[0], &after[1]), (&before[1], &before[0]));
        assert_eq!(after[2..], before[2..]);
    }

    #[test]
    fn rotated_addresses_are_forgotten_and_twins_are_one() {
        let mut chooser = chooser(7, &[(3, "a"), (0, "a"), (1, "b")]);
        assert_eq!(order(&chooser, 0), ["a", "b"], "its nearest tier counts");
        chooser.on_worked("b");
        chooser.on_failed(Instant::from_nanos(0), "gone");
        chooser.on_resolved(candidates(&[(1, "x"), (1, "y")]));
        assert!(chooser.records.is_empty() && chooser.sticky.is_none() && !chooser.is_empty());
        let many: Vec<_> =
            (0..200).map(|n| Candidate { tier: n, address: n.to_string() }).collect();
        chooser.on_resolved(many);
        assert_eq!(chooser.candidates.len(), ADDRESSES_MAX);
        assert_eq!(order(&chooser, 0)[0], "0");
    }
}
