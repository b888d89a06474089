//! Facts that a journal states, with the record that first stated each. A crash takes back what it
//! lost.

use std::collections::BTreeMap;

use hyperscale_core::ids::Lsn;

/// Facts by the record that stated them.
#[derive(Clone, Debug)]
pub(super) struct Book<F: Ord> {
    facts: BTreeMap<F, Lsn>,
}

impl<F: Ord> Default for Book<F> {
    fn default() -> Self {
        Self { facts: BTreeMap::new() }
    }
}

impl<F: Ord> Book<F> {
    /// A record states a fact.
    pub(super) fn write(&mut self, lsn: Lsn, fact: F) {
        self.facts.entry(fact).or_insert(lsn);
    }

    /// Only records up to `last` were on the disk.
    pub(super) fn cut(&mut self, last: Lsn) {
        self.facts.retain(|_, lsn| *lsn <= last);
    }

    /// Whether some record states it.
    pub(super) fn holds(&self, fact: &F) -> bool {
        self.facts.contains_key(fact)
    }

    /// Whether a record up to `durable` states it.
    pub(super) fn holds_by(&self, fact: &F, durable: Lsn) -> bool {
        self.facts.get(fact).is_some_and(|lsn| *lsn <= durable)
    }

    /// Whether a record up to `durable` states one of the facts in `from..=to`.
    pub(super) fn any_by(&self, from: &F, to: &F, durable: Lsn) -> bool {
        self.facts.range(from..=to).any(|(_, lsn)| *lsn <= durable)
    }

    /// The facts in a range, in order.
    pub(super) fn range(&self, range: std::ops::Range<F>) -> impl Iterator<Item = &F> {
        self.facts.range(range).map(|(fact, _)| fact)
    }

    /// The record that first states it.
    pub(super) fn at(&self, fact: &F) -> Option<Lsn> {
        self.facts.get(fact).copied()
    }
}
