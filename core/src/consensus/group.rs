//! A group of one voter.

use std::collections::VecDeque;

use super::{
    ConsensusConfig, Entry, Head, Member, Membership, Message as GroupMessage, Origin, Payload,
};
use crate::digest::{self, Digest};
use crate::ids::{Boot, DiskId, Fence, GroupId, LogIndex, Lsn, NodeId, Term};
use crate::invariant::{Inv, Violation};
use crate::journal::{LedgerSnapshot, Record, RecoverError};
use crate::machine::{Cx, Events, Machine, Wake};
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::Message;

/// What can happen to a group.
#[derive(Clone, PartialEq, Debug)]
pub enum Input<C> {
    /// The node runs. Sent once, with the first input of a boot.
    Start,
    /// A deadline passed.
    Wake,
    /// The journal is durable up to here.
    Durable(Lsn),
    /// A member, or one that wants to be, says something.
    Received {
        /// The node it came from.
        from: NodeId,
        /// What it says.
        msg: Box<GroupMessage<C>>,
    },
    /// A decision of the leader: into the log at `Group::next_index`, or nowhere. It is gone when
    /// leadership is lost before it is committed.
    Propose(C),
    /// A command of any member, numbered `Group::next_seq`: it is committed once, whoever leads,
    /// if this boot lives to see a quorum.
    Submit(C),
    /// Everything committed before this is wanted: answered by `Event::Readable`, or never.
    Read(u64),
    /// The ledger as of `Group::committed`, for `Event::LedgerWanted`.
    Ledger(Box<LedgerSnapshot>),
    /// Hand leadership to another voter.
    Transfer,
}

/// What a group tells its role.
#[derive(Clone, PartialEq, Debug)]
pub enum Event<C> {
    /// An entry of this node's term is committed: it may confirm, read and answer.
    Led {
        /// The term.
        term: Term,
    },
    /// This node leads no more: whatever it decided as leader and is not committed is void.
    StoodDown,
    /// Somebody leads, or nobody is known to.
    Followed {
        /// Who.
        leader: Option<NodeId>,
    },
    /// A command is committed: apply it.
    Committed {
        /// Its place; a fence if it grants something.
        index: LogIndex,
        /// What to apply.
        command: C,
        /// Its number, if this boot submitted it.
        seq: Option<u64>,
    },
    /// A snapshot replaces the ledger.
    Installed {
        /// The last entry it contains.
        index: LogIndex,
        /// The ledger.
        ledger: Box<LedgerSnapshot>,
    },
    /// Everything that was committed before the read is applied.
    Readable {
        /// The read.
        ticket: u64,
    },
    /// A member is so far behind that it needs the ledger: give it with `Input::Ledger`.
    LedgerWanted,
}

/// The log of a group with one voter.
#[derive(Clone, Debug)]
pub struct Group<C> {
    config: ConsensusConfig,
    me: Member,
    head: Head,
    log: VecDeque<(Lsn, Entry<C>)>,
    /// The digest of the log up to its end.
    chain: u64,
    last: LogIndex,
    committed: LogIndex,
    committed_lsn: Lsn,
    leads: bool,
    seq: u64,
}

impl<C: Clone + serde::Serialize> Group<C>
where
    Record: From<Entry<C>>,
    Message: From<GroupMessage<C>>,
{
    /// A group that nothing is known of.
    pub fn new(node: NodeId, config: ConsensusConfig, boot: Boot) -> Self {
        Self {
            config,
            me: Member { node, disk: boot.disk },
            head: Head::default(),
            log: VecDeque::new(),
            chain: 0,
            last: LogIndex::new(0),
            committed: LogIndex::new(0),
            committed_lsn: Lsn::new(0),
            leads: false,
            seq: 0,
        }
    }

    /// Continues from a snapshot.
    pub fn replay_snapshot(&mut self, head: Head) {
        self.last = head.index;
        self.committed = head.index;
        self.chain = head.chain;
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
            GroupRecord::Formed { group, membership } => {
                self.head.group = group;
                self.head.membership = membership.clone();
            }
            GroupRecord::Joining { .. } => {}
            GroupRecord::Booted => self.head.boots = self.head.boots.saturating_add(1),
            GroupRecord::Ballot { term, vote } => {
                self.head.term = self.head.term.max(term);
                self.head.vote = vote;
            }
            GroupRecord::Entry(entry) => {
                if entry.index != self.last.next() {
                    return Err(RecoverError::LogGap { lsn, last: self.last, found: entry.index });
                }
                self.push(lsn, entry.clone());
            }
        }
        Ok(None)
    }

    /// The state of the group for a snapshot of the ledger as of `committed`, and the journal
    /// record up to which the snapshot stands for everything. Entries that it contains are
    /// dropped from memory.
    pub fn snapshot(&mut self) -> (Lsn, Head) {
        (self.committed_lsn, self.head.clone())
    }

    /// The group; 0 before it is known.
    pub fn id(&self) -> GroupId {
        self.head.group
    }

    /// The node's disk within the group.
    pub fn me(&self) -> Member {
        self.me
    }

    /// The current term.
    pub fn term(&self) -> Term {
        self.head.term
    }

    /// Whom the node voted for in the current term.
    pub fn vote(&self) -> Option<DiskId> {
        self.head.vote
    }

    /// Boots of this disk, with this one.
    pub fn boots(&self) -> u64 {
        self.head.boots
    }

    /// The members by the newest entry that names them.
    pub fn membership(&self) -> &Membership {
        &self.head.membership
    }

    /// Who leads, as far as known.
    pub fn leader(&self) -> Option<NodeId> {
        self.leads.then_some(self.me.node)
    }

    /// Whether this node leads and an entry of its term is committed and applied.
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// Whether this node leads and nobody else can at this instant: what it knows to be committed
    /// is all that is.
    pub fn leads_at(&self, _now: Instant) -> bool {
        self.leads
    }

    /// Where the next proposal will stand, if this node leads.
    pub fn next_index(&self) -> LogIndex {
        self.last.next()
    }

    /// The number of the next submission.
    pub fn next_seq(&self) -> u64 {
        self.seq.saturating_add(1)
    }

    /// The last entry of the log, committed or not.
    pub fn last(&self) -> LogIndex {
        self.last
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

    /// A digest of what recovery rebuilds.
    pub fn durable_digest(&self) -> u64 {
        let mut all = Digest::new();
        all.u64(self.head.group.get());
        all.u64(self.head.term.get());
        all.value(&self.head.vote);
        all.u64(self.last.get());
        all.u64(self.chain);
        all.finish()
    }

    fn push(&mut self, lsn: Lsn, entry: Entry<C>) {
        self.last = entry.index;
        self.chain = digest::of(&(self.chain, &entry));
        self.log.push_back((lsn, entry));
    }

    fn on_start(&mut self, cx: &mut Cx<'_>) {
        if self.head.group == GroupId::default() {
            if !self.config.peers.is_empty() {
                return;
            }
            let group = GroupId::new(cx.rng(Stream::Ids).next_u64());
            let membership = Membership::of_one(self.me);
            cx.out.append(Record::Formed { group, membership: membership.clone() });
            self.head.group = group;
            self.head.membership = membership;
        }
        cx.out.append(Record::Booted);
        self.head.boots = self.head.boots.saturating_add(1);
        self.head.term = self.head.term.next();
        self.head.vote = Some(self.me.disk);
        cx.out.append(Record::Ballot { term: self.head.term, vote: self.head.vote });
        self.enter(cx, None, Payload::Opened);
    }

    fn enter(&mut self, cx: &mut Cx<'_>, origin: Option<Origin>, payload: Payload<C>) {
        let entry = Entry { term: self.head.term, index: self.last.next(), origin, payload };
        cx.count(Stat::Proposed);
        let lsn = cx.out.append(entry.clone());
        self.push(lsn, entry);
    }

    fn on_submit(&mut self, cx: &mut Cx<'_>, command: C) {
        self.seq = self.seq.saturating_add(1);
        let origin = Origin { disk: self.me.disk, boot: self.head.boots, seq: self.seq };
        self.enter(cx, Some(origin), Payload::Command(command));
    }

    fn on_durable(&mut self, cx: &mut Cx<'_>, durable: Lsn) -> Events<Event<C>> {
        let mut events = Events::none();
        while self.log.front().is_some_and(|(lsn, _)| *lsn <= durable) {
            let Some((lsn, entry)) = self.log.pop_front() else { break };
            self.committed_lsn = lsn;
            cx.count(Stat::Committed);
            self.committed = entry.index;
            self.head.index = entry.index;
            self.head.index_term = entry.term;
            self.head.chain = digest::of(&(self.head.chain, &entry));
            match entry.payload {
                Payload::Opened if entry.term == self.head.term => {
                    self.leads = true;
                    events.push(Event::Led { term: entry.term });
                }
                Payload::Opened | Payload::Membership(_) => {}
                Payload::Command(command) => {
                    let mine = entry.origin.filter(|origin| {
                        (origin.disk, origin.boot) == (self.me.disk, self.head.boots)
                    });
                    let seq = mine.map(|origin| origin.seq);
                    events.push(Event::Committed { index: entry.index, command, seq });
                }
            }
        }
        events
    }
}

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
}

impl<C: Clone + serde::Serialize> Machine for Group<C>
where
    Record: From<Entry<C>>,
    Message: From<GroupMessage<C>>,
{
    type Input = Input<C>;
    type Event = Event<C>;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<C>) -> Events<Event<C>> {
        match input {
            Input::Start => self.on_start(cx),
            Input::Durable(lsn) => return self.on_durable(cx, lsn),
            Input::Propose(command) if self.leads => {
                self.enter(cx, None, Payload::Command(command));
            }
            Input::Submit(command) => self.on_submit(cx, command),
            Input::Read(ticket) if self.leads => return Events::one(Event::Readable { ticket }),
            Input::Received { .. } => cx.count(Stat::MessageForeign),
            Input::Propose(_)
            | Input::Wake
            | Input::Read(_)
            | Input::Ledger(_)
            | Input::Transfer => {}
        }
        Events::none()
    }

    fn next_wake(&self) -> Option<Wake> {
        None
    }

    fn check(&self) -> Result<(), Violation> {
        let pending = u64::try_from(self.log.len()).unwrap_or(u64::MAX);
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
