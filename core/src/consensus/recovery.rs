//! What a group's part of a disk folds to, and the snapshot that stands for it.
//!
//! Folding gives term, vote, boots, log and members; what is committed beyond the snapshot is not
//! journalled and is learned again. A snapshot holds the group at the last committed entry, and
//! stands for every record up to that entry's: later records hold every later entry, because the
//! records of live entries rise with the index. Term, vote and boots are the present ones; folding
//! their later records again changes nothing.

use super::command::Command;
use super::group::Group;
use super::{Chunk, Entry, Head, Membership, Position};
use crate::ids::{DiskId, GroupId, LogIndex, Lsn, Term};
use crate::journal::{LedgerSnapshot, RecoverError};

/// A journal record of a group.
#[derive(Clone, Copy, Debug)]
pub enum GroupRecord<'a, C> {
    /// See `Record::Formed`.
    Formed {
        /// The group.
        group: GroupId,
        /// Its first members.
        membership: &'a Membership,
    },
    /// See `Record::Joining`.
    Joining {
        /// The voter whose place is taken.
        replaces: Option<DiskId>,
    },
    /// See `Record::Booted`.
    Booted,
    /// See `Record::Ballot`.
    Ballot {
        /// The term.
        term: Term,
        /// The vote in it.
        vote: Option<DiskId>,
    },
    /// An entry.
    Entry(&'a Entry<C>),
    /// See `Record::Joined`.
    Joined {
        /// The group.
        group: GroupId,
    },
    /// See `Record::Chunk`.
    Chunk(&'a Chunk),
}

impl<C: Command> Group<C> {
    /// Continues from a snapshot.
    pub fn replay_snapshot(&mut self, head: Head) {
        let base = Position { term: head.index_term, index: head.index };
        self.log.reset(base, head.chain, Lsn::new(0), head.membership.clone());
        self.ballot.replay(Lsn::new(0), head.term, head.vote);
        self.head = head;
    }

    /// Folds a record. Gives the ledger if the record completes a snapshot from the leader.
    ///
    /// # Errors
    /// When it does not follow what was folded before; nothing changed.
    pub fn replay(
        &mut self,
        lsn: Lsn,
        record: GroupRecord<'_, C>,
    ) -> Result<Option<Box<LedgerSnapshot>>, RecoverError> {
        match record {
            GroupRecord::Formed { group, membership } => self.form(group, membership.clone()),
            GroupRecord::Joining { replaces } => self.head.joining = Some(replaces),
            GroupRecord::Joined { group } => self.head.group = group,
            GroupRecord::Booted if lsn > self.head.booted => {
                self.head.boots = self.head.boots.saturating_add(1);
                self.head.booted = lsn;
            }
            GroupRecord::Booted => {}
            GroupRecord::Ballot { term, vote } => self.ballot.replay(lsn, term, vote),
            GroupRecord::Entry(entry) => self.replay_entry(lsn, entry)?,
            GroupRecord::Chunk(chunk) => {
                let installed = self.replay_chunk(lsn, chunk)?;
                self.log.on_durable(lsn);
                return Ok(installed);
            }
        }
        self.log.on_durable(lsn);
        Ok(None)
    }

    /// The state of the group for a snapshot of the ledger as of `committed`, and the journal
    /// record up to which the snapshot stands for everything.
    pub fn snapshot(&mut self) -> (Lsn, Head) {
        // Pieces of a leader's snapshot at or below that record would be missing when the rest is
        // folded: it is begun again.
        self.assembly = None;
        (self.committed_lsn, self.present_head())
    }

    /// The group at the last committed entry, with the present ballot.
    pub(super) fn present_head(&self) -> Head {
        let membership = self.log.committed_membership().clone();
        let (term, vote) = (self.ballot.term, self.ballot.vote);
        Head { term, vote, membership, ..self.head.clone() }
    }

    pub(super) fn form(&mut self, group: GroupId, membership: Membership) {
        self.head.group = group;
        self.log.reset(Position::default(), 0, Lsn::new(0), membership);
    }

    fn replay_entry(&mut self, lsn: Lsn, entry: &Entry<C>) -> Result<(), RecoverError> {
        let last = self.log.last().index;
        let is_above = entry.index > self.head.index;
        if !is_above || entry.index > last.next() {
            let last = if is_above { last } else { self.head.index };
            return Err(RecoverError::LogGap { lsn, last, found: entry.index });
        }
        self.log.push(lsn, entry.clone());
        Ok(())
    }

    /// The base of the log in memory, for tests of what is kept.
    pub fn base(&self) -> LogIndex {
        self.log.base().index
    }
}
