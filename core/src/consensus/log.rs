//! The log in memory: entries above a base, each with its journal record, size and rolling digest.
//!
//! An entry at or below the last one replaces it and everything after. Live records rise with the
//! index, so that the journal after the record of an entry holds every entry above it. Does not
//! do: know what is committed, beyond being told what may go.

use std::collections::VecDeque;

use super::{Entry, Membership, Payload, Position};
use crate::digest;
use crate::ids::{LogIndex, Lsn, Term};
use crate::limits::{BATCH_ENTRIES_MAX, RETAINED_BYTES_MAX};
use crate::wire::codec;

/// An entry in memory.
#[derive(Clone, Debug)]
pub(super) struct Slot<C> {
    /// Its record in the journal.
    pub(super) lsn: Lsn,
    /// The digest of the log up to it.
    pub(super) chain: u64,
    /// Bytes on the wire.
    size: usize,
    /// The entry.
    pub(super) entry: Entry<C>,
}

/// The end of a group's log.
#[derive(Clone, Debug)]
pub(super) struct Log<C> {
    base: Position,
    base_chain: u64,
    base_lsn: Lsn,
    slots: VecDeque<Slot<C>>,
    bytes: usize,
    durable: Lsn,
    /// The members at the last committed entry, and at every later one that changes them.
    memberships: Vec<(LogIndex, Membership)>,
    fallback: Membership,
}

impl<C: serde::Serialize> Log<C> {
    /// An empty log.
    pub(super) fn new() -> Self {
        Self {
            base: Position::default(),
            base_chain: 0,
            base_lsn: Lsn::new(0),
            slots: VecDeque::new(),
            bytes: 0,
            durable: Lsn::new(0),
            memberships: Vec::new(),
            fallback: Membership::default(),
        }
    }

    /// Begins after `base`, whose record is `lsn`; drops every entry.
    pub(super) fn reset(&mut self, base: Position, chain: u64, lsn: Lsn, members: Membership) {
        self.base = base;
        self.base_chain = chain;
        self.base_lsn = lsn;
        self.slots.clear();
        self.bytes = 0;
        self.memberships = vec![(base.index, members)];
    }

    /// The position before the first entry in memory.
    pub(super) fn base(&self) -> Position {
        self.base
    }

    /// The last position.
    pub(super) fn last(&self) -> Position {
        self.slots
            .back()
            .map_or(self.base, |slot| Position { term: slot.entry.term, index: slot.entry.index })
    }

    /// The digest of the whole log.
    pub(super) fn chain_last(&self) -> u64 {
        self.slots.back().map_or(self.base_chain, |slot| slot.chain)
    }

    /// The digest of the log up to there, if that is in memory.
    pub(super) fn chain(&self, index: LogIndex) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base_chain);
        }
        self.slot(index).map(|slot| slot.chain)
    }

    /// The members by the newest entry that names them.
    pub(super) fn membership(&self) -> &Membership {
        self.memberships.last().map_or(&self.fallback, |(_, members)| members)
    }

    /// The members at the last committed entry.
    pub(super) fn committed_membership(&self) -> &Membership {
        self.memberships.first().map_or(&self.fallback, |(_, members)| members)
    }

    /// Where the newest entry that names the members stands.
    pub(super) fn membership_index(&self) -> LogIndex {
        self.memberships.last().map_or(LogIndex::new(0), |(index, _)| *index)
    }

    /// An entry in memory.
    pub(super) fn slot(&self, index: LogIndex) -> Option<&Slot<C>> {
        self.slots.get(self.offset(index)?)
    }

    /// The term of the entry there, if that is in memory.
    pub(super) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.slot(index).map(|slot| slot.entry.term)
    }

    /// The record after which the log up to there is durable.
    pub(super) fn lsn_at(&self, index: LogIndex) -> Lsn {
        self.slot(index).map_or(self.base_lsn, |slot| slot.lsn)
    }

    /// The highest index at or below `index` whose term is at most `term`, as far as is known.
    pub(super) fn agreeable(&self, index: LogIndex, term: Term) -> Position {
        let count = self.offset(index.min(self.last().index)).map_or(0, |offset| offset + 1);
        let upto = self.slots.iter().take(count);
        let found = upto.rev().find(|slot| slot.entry.term <= term);
        found.map_or(self.base, |slot| Position { term: slot.entry.term, index: slot.entry.index })
    }

    /// The last entry that is durable with all before it.
    pub(super) fn durable_index(&self) -> LogIndex {
        let durable = self.slots.partition_point(|slot| slot.lsn <= self.durable);
        match durable.checked_sub(1).and_then(|at| self.slots.get(at)) {
            Some(slot) => slot.entry.index,
            None if self.base_lsn <= self.durable => self.base.index,
            None => LogIndex::new(0),
        }
    }

    /// The journal is durable up to there.
    pub(super) fn on_durable(&mut self, lsn: Lsn) {
        self.durable = self.durable.max(lsn);
    }

    /// Takes an entry at most one above the last; drops what it replaces. Gives how many.
    pub(super) fn push(&mut self, lsn: Lsn, entry: Entry<C>) -> usize {
        let keep = self.offset(entry.index).unwrap_or(0);
        let dropped = self.slots.len().saturating_sub(keep);
        while self.slots.len() > keep {
            let size = self.slots.pop_back().map_or(0, |slot| slot.size);
            self.bytes = self.bytes.saturating_sub(size);
        }
        self.memberships.retain(|(index, _)| *index < entry.index || *index <= self.base.index);
        if let Payload::Membership(members) = &entry.payload {
            self.memberships.push((entry.index, members.clone()));
        }
        let chain = digest::of(&(self.chain_last(), &entry));
        let size = codec::length(&entry);
        self.bytes = self.bytes.saturating_add(size);
        self.slots.push_back(Slot { lsn, chain, size, entry });
        dropped
    }

    /// Everything up to there is committed: forgets older members, and entries beyond what is kept
    /// for those that lag.
    pub(super) fn on_committed(&mut self, committed: LogIndex, retained: usize) {
        while self.memberships.get(1).is_some_and(|(index, _)| *index <= committed) {
            self.memberships.remove(0);
        }
        while self.slots.len() > retained || self.bytes > RETAINED_BYTES_MAX {
            if self.slots.front().is_none_or(|slot| slot.entry.index > committed) {
                return;
            }
            let Some(slot) = self.slots.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(slot.size);
            self.base = Position { term: slot.entry.term, index: slot.entry.index };
            (self.base_chain, self.base_lsn) = (slot.chain, slot.lsn);
        }
    }

    /// The entries after `prev`, at least one if there is one, else at most `bytes` in all.
    pub(super) fn batch(&self, prev: LogIndex, bytes: usize) -> impl Iterator<Item = &Entry<C>> {
        let from = self.offset(prev.next()).unwrap_or(0);
        let mut total = 0_usize;
        let fits = move |slot: &&Slot<C>| {
            let is_first = total == 0;
            total = total.saturating_add(slot.size);
            is_first || total <= bytes
        };
        let slots = self.slots.iter().skip(from).take(BATCH_ENTRIES_MAX).take_while(fits);
        slots.map(|slot| &slot.entry)
    }

    /// The entries after `prev`.
    pub(super) fn after(&self, prev: LogIndex) -> impl Iterator<Item = &Slot<C>> {
        self.slots.iter().skip(self.offset(prev.next()).unwrap_or(0))
    }

    fn offset(&self, index: LogIndex) -> Option<usize> {
        let above = index.get().checked_sub(self.base.index.get())?.checked_sub(1)?;
        usize::try_from(above).ok()
    }
}
