//! A group of one voter.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ids::{Fence, GroupId, LogIndex, Lsn, Term};
use crate::invariant::{Inv, Violation};
use crate::journal::{Record, RecoverError};
use crate::machine::{Cx, Events, Machine, Wake};
use crate::rng::Stream;
use crate::stat::Stat;

/// An entry of a group's log; `None` opens a term.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry<C> {
    /// The term it was proposed in.
    pub term: Term,
    /// Its place.
    pub index: LogIndex,
    /// What it commands.
    pub command: Option<C>,
}

/// What can happen to a group.
#[derive(Clone, PartialEq, Debug)]
pub enum Input<C> {
    /// The node runs: open a new term. Sent once, with the first input of a boot.
    Start,
    /// Put a command into the log. Its index is `Group::next_index` before this input.
    Propose(C),
    /// The journal is durable up to here.
    Durable(Lsn),
}

/// What a group tells its role.
#[derive(Clone, PartialEq, Debug)]
pub enum Event<C> {
    /// An entry of this term is committed: the node may confirm, read and answer.
    Led {
        /// The term.
        term: Term,
    },
    /// A command is committed: apply it.
    Committed {
        /// Its place; a fence if it grants something.
        index: LogIndex,
        /// What to apply.
        command: C,
    },
}

/// The log of a group with one voter.
#[derive(Clone, Debug)]
pub struct Group<C> {
    id: Option<GroupId>,
    term: Term,
    last: LogIndex,
    committed: LogIndex,
    committed_lsn: Lsn,
    leads: bool,
    pending: VecDeque<(Lsn, Entry<C>)>,
}

impl<C> Default for Group<C> {
    fn default() -> Self {
        Self {
            id: None,
            term: Term::new(0),
            last: LogIndex::new(0),
            committed: LogIndex::new(0),
            committed_lsn: Lsn::new(0),
            leads: false,
            pending: VecDeque::new(),
        }
    }
}

impl<C: Clone> Group<C>
where
    Record: From<Entry<C>>,
{
    /// Continues from a snapshot.
    pub fn restore(group: GroupId, term: Term, index: LogIndex) -> Self {
        Self { id: Some(group), term, last: index, committed: index, ..Self::default() }
    }

    /// Folds the record that formed the group.
    pub fn replay_formed(&mut self, group: GroupId) {
        self.id = Some(group);
    }

    /// Folds a term record.
    pub fn replay_term(&mut self, term: Term) {
        self.term = self.term.max(term);
    }

    /// Folds a log entry: durable, hence committed.
    ///
    /// # Errors
    /// When it does not follow the last one; nothing changed.
    pub fn replay_entry(&mut self, lsn: Lsn, entry: &Entry<C>) -> Result<(), RecoverError> {
        if entry.index != self.last.next() {
            return Err(RecoverError::LogGap { lsn, last: self.last, found: entry.index });
        }
        self.last = entry.index;
        self.committed = entry.index;
        self.committed_lsn = lsn;
        Ok(())
    }

    /// The group, once formed.
    pub fn id(&self) -> GroupId {
        self.id.unwrap_or_default()
    }

    /// The current term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whether an entry of the current term is committed.
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// Where the next proposal will stand.
    pub fn next_index(&self) -> LogIndex {
        self.last.next()
    }

    /// The last committed entry.
    pub fn committed(&self) -> LogIndex {
        self.committed
    }

    /// The journal record of the last committed entry: what a promise about committed state rests
    /// on.
    pub fn committed_lsn(&self) -> Lsn {
        self.committed_lsn
    }

    /// The fence that an entry at `index` grants.
    pub fn fence(&self, index: LogIndex) -> Fence {
        Fence { group: self.id(), index }
    }

    fn on_start(&mut self, cx: &mut Cx<'_>) {
        if self.id.is_none() {
            let group = GroupId::new(cx.rng(Stream::Ids).next_u64());
            cx.out.append(Record::Formed { group });
            self.id = Some(group);
        }
        self.term = self.term.next();
        cx.out.append(Record::Termed { term: self.term });
        self.enter(cx, None);
    }

    fn enter(&mut self, cx: &mut Cx<'_>, command: Option<C>) {
        let entry = Entry { term: self.term, index: self.last.next(), command };
        self.last = entry.index;
        cx.count(Stat::Proposed);
        let lsn = cx.out.append(entry.clone());
        self.pending.push_back((lsn, entry));
    }

    fn on_durable(&mut self, cx: &mut Cx<'_>, durable: Lsn) -> Events<Event<C>> {
        let mut events = Events::none();
        while self.pending.front().is_some_and(|(lsn, _)| *lsn <= durable) {
            let Some((lsn, entry)) = self.pending.pop_front() else { break };
            self.committed_lsn = lsn;
            cx.count(Stat::Committed);
            self.committed = entry.index;
            match entry.command {
                None => {
                    self.leads = true;
                    events.push(Event::Led { term: entry.term });
                }
                Some(command) => events.push(Event::Committed { index: entry.index, command }),
            }
        }
        events
    }
}

impl<C: Clone> Machine for Group<C>
where
    Record: From<Entry<C>>,
{
    type Input = Input<C>;
    type Event = Event<C>;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<C>) -> Events<Event<C>> {
        match input {
            Input::Start => {
                self.on_start(cx);
                Events::none()
            }
            Input::Propose(command) => {
                self.enter(cx, Some(command));
                Events::none()
            }
            Input::Durable(lsn) => self.on_durable(cx, lsn),
        }
    }

    fn next_wake(&self) -> Option<Wake> {
        None
    }

    fn check(&self) -> Result<(), Violation> {
        let pending = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        if self.committed.get().saturating_add(pending) == self.last.get() {
            Ok(())
        } else {
            Err(Violation::new(
                Inv::PersistFirst,
                format!("{:?} committed, {pending} pending, last {:?}", self.committed, self.last),
            ))
        }
    }
}

#[cfg(test)]
mod tests;
