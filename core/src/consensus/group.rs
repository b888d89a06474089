//! The router of a group: inputs to handlers, and what follows from any of them.
//!
//! After every input: a leader counts its quorum, submissions move, entries are sent, reads are
//! served. Events leave in the order in which they came to be.

use super::ballot::Ballot;
use super::command::Command;
use super::election::Stance;
use super::forward::Submissions;
use super::leading::Leading;
use super::log::Log;
use super::post::Post;
use super::read::Reads;
use super::replication::Source;
use super::snapshot::Assembly;
use super::{
    Body, ConsensusConfig, Entry, Event, Head, Input, Member, Membership, Message as GroupMessage,
    Origin, Payload,
};
use crate::digest::Digest;
use crate::ids::{Boot, DiskId, Fence, GroupId, LogIndex, Lsn, NodeId, Term};
use crate::invariant::{Inv, Violation};
use crate::journal::Record;
use crate::limits;
use crate::machine::{Cx, Events, Machine, Wake};
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;

/// One member of a group.
#[derive(Clone, Debug)]
pub struct Group<C> {
    pub(super) config: ConsensusConfig,
    pub(super) me: Member,
    /// The group at the last committed entry; its term, vote and members are kept elsewhere.
    pub(super) head: Head,
    pub(super) committed_lsn: Lsn,
    pub(super) ballot: Ballot,
    pub(super) log: Log<C>,
    pub(super) stance: Stance,
    /// Who leads the present term, if that is somebody else and known.
    pub(super) leader: Option<Member>,
    /// Whether an entry of this leader's term is committed and leadership is not being handed over.
    pub(super) leads: bool,
    pub(super) has_started: bool,
    /// When a voter that heard of no leader stands.
    pub(super) election_at: Instant,
    /// When a disk that wants in asks again.
    pub(super) join_at: Instant,
    pub(super) submissions: Submissions<C>,
    pub(super) reads: Reads,
    pub(super) assembly: Option<Assembly>,
    pub(super) news: Vec<Event<C>>,
}

impl<C: Command> Group<C> {
    /// A group that nothing is known of.
    pub fn new(node: NodeId, config: ConsensusConfig, boot: Boot) -> Self {
        Self {
            config,
            me: Member { node, disk: boot.disk },
            head: Head::default(),
            committed_lsn: Lsn::new(0),
            ballot: Ballot::default(),
            log: Log::new(),
            stance: Stance::Follower,
            leader: None,
            leads: false,
            has_started: false,
            election_at: Instant::ZERO,
            join_at: Instant::ZERO,
            submissions: Submissions::new(),
            reads: Reads::default(),
            assembly: None,
            news: Vec::new(),
        }
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
        self.ballot.term
    }

    /// Whom the node voted for in the current term.
    pub fn vote(&self) -> Option<DiskId> {
        self.ballot.vote
    }

    /// Boots of this disk, with this one.
    pub fn boots(&self) -> u64 {
        self.head.boots
    }

    /// The members by the newest entry that names them.
    pub fn membership(&self) -> &Membership {
        self.log.membership()
    }

    /// Who leads, as far as known.
    pub fn leader(&self) -> Option<NodeId> {
        if self.leads { Some(self.me.node) } else { self.leader.map(|leader| leader.node) }
    }

    /// Whether this node leads and an entry of its term is committed and applied.
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// Whether this node leads and nobody else can at this instant: what it knows to be committed
    /// is all that is.
    pub fn leads_at(&self, now: Instant) -> bool {
        let Some(leading) = self.leading().filter(|_| self.leads) else { return false };
        if self.is_alone() {
            return true;
        }
        let answered = leading.rounds.quorum(now, self.me, self.log.membership());
        answered.is_some_and(|sent| now < sent.after(self.config.lease()))
    }

    /// Where the next proposal will stand, if this node leads.
    pub fn next_index(&self) -> LogIndex {
        self.log.last().index.next()
    }

    /// The number of the next submission.
    pub fn next_seq(&self) -> u64 {
        self.submissions.next_seq()
    }

    /// The submissions of this boot up to this number are committed.
    pub fn settled_seq(&self) -> u64 {
        self.submissions.settled()
    }

    /// Whether one more submission or read is taken; otherwise the node is not ready.
    pub fn has_room(&self) -> bool {
        self.submissions.has_room() && self.reads.len() < limits::READS_MAX
    }

    /// Whether one more submission or read is taken that leaves so many places to others.
    pub fn has_room_beside(&self, reserved: usize) -> bool {
        self.submissions.has_room_beside(reserved)
            && self.reads.len() < limits::READS_MAX.saturating_sub(reserved)
    }

    /// The last entry of the log, committed or not.
    pub fn last(&self) -> LogIndex {
        self.log.last().index
    }

    /// The last committed entry.
    pub fn committed(&self) -> LogIndex {
        self.head.index
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

    /// The digest of the log up to an entry: equal on all members that hold the same entry of the
    /// same term there. `None` for one that is not in memory.
    pub fn chain(&self, index: LogIndex) -> Option<u64> {
        self.log.chain(index)
    }

    /// The term of the entry there. `None` for one that is not in memory.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.log.term_at(index)
    }

    /// The digest of the whole log.
    pub fn chain_last(&self) -> u64 {
        self.log.chain_last()
    }

    /// A digest of what recovery rebuilds.
    pub fn durable_digest(&self) -> u64 {
        let mut all = Digest::new();
        all.u64(self.head.group.get());
        all.u64(self.ballot.term.get());
        all.value(&self.ballot.vote);
        all.value(self.log.membership());
        all.u64(self.log.last().index.get());
        all.u64(self.log.chain_last());
        all.finish()
    }

    pub(super) fn leading(&self) -> Option<&Leading> {
        match &self.stance {
            Stance::Leader(leading) => Some(leading),
            Stance::Follower | Stance::PreCandidate(_) | Stance::Candidate(_) => None,
        }
    }

    pub(super) fn leading_mut(&mut self) -> Option<&mut Leading> {
        match &mut self.stance {
            Stance::Leader(leading) => Some(leading),
            Stance::Follower | Stance::PreCandidate(_) | Stance::Candidate(_) => None,
        }
    }

    /// Who leads, if that is another.
    pub(super) fn following(&self) -> Option<Member> {
        self.leader
    }

    /// Whether this node is a group's only voter.
    pub(super) fn is_alone(&self) -> bool {
        matches!(&*self.log.membership().voters, [one] if *one == self.me)
    }

    pub(super) fn is_voter(&self) -> bool {
        self.log.membership().is_voter(self.me.disk)
    }

    pub(super) fn post(&self) -> Post {
        Post {
            group: self.head.group,
            from: self.me,
            term: self.ballot.term,
            ballot: self.ballot.lsn,
        }
    }

    /// Enters into term `term` with this vote, durably.
    pub(super) fn adopt(&mut self, cx: &mut Cx<'_>, term: Term, vote: Option<DiskId>) {
        if term > self.ballot.term {
            self.stand_down(cx);
            self.unfollow();
        }
        (self.ballot.term, self.ballot.vote) = (term, vote);
        self.ballot.lsn = cx.out.append(Record::Ballot { term, vote });
    }

    /// Ends whatever this node was beside a follower.
    pub(super) fn stand_down(&mut self, cx: &mut Cx<'_>) {
        self.stance = Stance::Follower;
        if std::mem::take(&mut self.leads) {
            cx.count(Stat::StoodDown);
            self.news.push(Event::StoodDown);
        }
    }

    /// Appends an entry of the leader.
    pub(super) fn enter(&mut self, cx: &mut Cx<'_>, origin: Option<Origin>, payload: Payload<C>) {
        let entry = Entry { term: self.ballot.term, index: self.next_index(), origin, payload };
        cx.count(Stat::Proposed);
        let is_membership = matches!(entry.payload, Payload::Membership(_));
        let lsn = cx.out.append(C::record(entry.clone()));
        let last = self.log.last().index;
        self.log.push(lsn, entry);
        let Self { stance: Stance::Leader(leading), log, me, .. } = self else { return };
        if let Some(origin) = origin {
            leading.origins.insert(origin.disk, (origin.boot, origin.seq));
        }
        if is_membership {
            leading.on_members(*me, log.membership(), last);
        }
    }

    fn on_start(&mut self, cx: &mut Cx<'_>) {
        self.has_started = true;
        let is_new = self.head.group == GroupId::default() && self.head.joining.is_none();
        if is_new {
            if !self.config.peers.is_empty() {
                return;
            }
            let group = GroupId::new(cx.rng(Stream::Ids).next_u64().max(1));
            let membership = Membership::of_one(self.me);
            cx.out.append(Record::Formed { group, membership: membership.clone() });
            self.form(group, membership);
        }
        self.head.booted = cx.out.append(Record::Booted);
        self.head.boots = self.head.boots.saturating_add(1);
        self.begin_elections(cx);
    }

    fn on_durable(&mut self, durable: Lsn) {
        self.log.on_durable(durable);
    }

    fn on_propose(&mut self, cx: &mut Cx<'_>, command: C) {
        if self.leads {
            self.enter(cx, None, Payload::Command(command));
        } else {
            cx.count(Stat::ProposalDropped);
        }
    }

    fn on_received(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: GroupMessage<C>) {
        let is_mine = msg.to == self.me.disk || msg.to == DiskId::default();
        if msg.from.node != from || !is_mine || msg.from == self.me || !self.has_started {
            return cx.count(Stat::MessageForeign);
        }
        let is_join = matches!(msg.body, Body::Join { .. });
        if msg.group != self.head.group && !is_join && !self.let_in(cx, &msg) {
            return cx.count(Stat::MessageForeign);
        }
        let (from, term) = (msg.from, msg.term);
        match msg.body {
            Body::Join { replaces } => self.on_join(cx, from, replaces),
            Body::Forward { boot, first, commands } => {
                self.on_forward(cx, from, (boot, first), commands);
            }
            Body::PreVote { wish, last } => self.on_pre_vote(cx, from, wish, last),
            Body::PreVoted { wish, granted } => self.on_pre_voted(cx, from, term, wish, granted),
            Body::Vote { last, handed } => self.on_vote(cx, from, term, last, handed),
            Body::Voted { granted } => self.on_voted(cx, from, term, granted),
            Body::Append { round, prev, commit, entries } => {
                if self.follow(cx, from, term) {
                    self.on_append(cx, (round, commit), prev, entries);
                }
            }
            Body::Appended { round, matched } => {
                if self.is_answered(cx, from, term, round) {
                    self.on_appended(from, matched);
                }
            }
            Body::Rejected { round, prev, hint } => {
                if self.is_answered(cx, from, term, round) {
                    self.on_rejected(from, prev, hint);
                }
            }
            Body::Chunk { round, chunk } => {
                if self.follow(cx, from, term) {
                    self.on_chunk(cx, round, chunk);
                }
            }
            Body::Chunked { round, index, wanted } => {
                if self.is_answered(cx, from, term, round) {
                    self.on_chunked(cx, from, index, wanted);
                }
            }
            Body::TransferNow => self.on_transfer_now(cx, from, term),
            Body::Read { boot, number } => self.on_read_asked(cx, from, boot, number),
            Body::ReadAt { boot, number, index } => self.on_read_at(cx, boot, number, index),
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        if !self.has_started {
            return;
        }
        let now = cx.now();
        match &self.stance {
            Stance::Leader(leading) if leading.beat_at <= now => self.beat(cx),
            Stance::Leader(_) => {}
            Stance::Follower | Stance::PreCandidate(_) | Stance::Candidate(_) => {
                self.on_election_wake(cx);
            }
        }
        self.ask_to_join(cx);
    }

    /// What may follow from any input.
    fn advance(&mut self, cx: &mut Cx<'_>) {
        self.count_quorum(cx);
        self.reconfigure(cx);
        self.pump(cx);
        self.feed(cx);
        self.hand_over(cx);
        self.serve_reads(cx);
    }

    fn feed(&mut self, cx: &mut Cx<'_>) {
        let post = self.post();
        let Self { stance: Stance::Leader(leading), log, config, head, .. } = self else { return };
        let round = leading.rounds.last();
        let source = Source { post, log, committed: head.index, round, config };
        leading.feed(cx, &source);
        self.feed_snapshots(cx);
    }
}

impl<C: Command> Machine for Group<C> {
    type Input = Input<C>;
    type Event = Event<C>;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<C>) -> Events<Event<C>> {
        match input {
            Input::Start => self.on_start(cx),
            Input::Wake => self.on_wake(cx),
            Input::Durable(lsn) => self.on_durable(lsn),
            Input::Received { from, msg } => self.on_received(cx, from, *msg),
            Input::Propose(command) => self.on_propose(cx, command),
            Input::Submit(command) => self.on_submit(cx, command),
            Input::Read(ticket) => self.on_read(cx, ticket),
            Input::Ledger(ledger) => self.on_ledger(cx, *ledger),
            Input::Transfer => self.on_transfer(cx),
        }
        if self.has_started {
            self.advance(cx);
        }
        let mut events = Events::none();
        self.news.drain(..).for_each(|event| events.push(event));
        events
    }

    fn next_wake(&self) -> Option<Wake> {
        if !self.has_started {
            return None;
        }
        let wakes = [
            self.election_wake(),
            self.join_wake(),
            // Without a leader there is nobody to send them to: who is heard next sends them.
            self.submissions.next_wake().filter(|_| self.following().is_some()),
            self.reads.next_wake(),
        ];
        wakes.into_iter().fold(None, Wake::earliest)
    }

    fn check(&self) -> Result<(), Violation> {
        let (base, last) = (self.log.base().index, self.log.last().index);
        let committed = self.head.index;
        if base > committed || committed > last {
            let detail = format!("{base:?} in the base, {committed:?} committed, last {last:?}");
            return Err(Violation::new(Inv::PersistFirst, detail));
        }
        let above = self.log.slot(committed.next());
        if above.is_some_and(|slot| slot.lsn <= self.committed_lsn) {
            let detail = format!("{:?} follows {:?}", above.map(|slot| slot.lsn), committed);
            return Err(Violation::new(Inv::RecoverEqual, detail));
        }
        let bounds = [
            ("submissions", self.submissions.len(), limits::SUBMISSIONS_MAX),
            ("reads", self.reads.len(), limits::READS_MAX),
        ];
        for (what, found, max) in bounds {
            if found > max {
                return Err(Violation::new(Inv::Bounded, format!("{found} {what}, {max} at most")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
