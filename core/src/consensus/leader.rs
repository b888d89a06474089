//! A leader's term: rounds, the quorum's count, and what answers change.
//!
//! An entry is committed when a majority of the configured voters holds it durably and it, or one
//! above it, is of the leader's own term. The leader's own part counts when `Input::Durable` covers
//! the record. A leader that no quorum answered for `election_max` stands down.

use super::Event;
use super::command::Command;
use super::election::Stance;
use super::group::Group;
use super::replication::Source;
use super::{Member, Payload, Position};
use crate::ids::{LogIndex, Term};
use crate::machine::Cx;
use crate::stat::Stat;

impl<C: Command> Group<C> {
    /// A heartbeat is due: begins a round, unless the quorum or the patience is gone.
    pub(super) fn beat(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let (me, patience) = (self.me, self.patience());
        let members = self.log.membership();
        let Stance::Leader(leading) = &self.stance else { return };
        if leading.retiring.is_some_and(|retiring| retiring.until <= now) {
            return self.on_transfer_failed(cx);
        }
        let heard = leading.rounds.quorum(now, me, members).unwrap_or(leading.since);
        if now.since(heard.max(leading.since)) >= patience {
            cx.count(Stat::QuorumLost);
            self.stand_down(cx);
            return self.rest(cx);
        }
        self.begin_round(cx);
    }

    /// Sends a heartbeat to every other member.
    pub(super) fn begin_round(&mut self, cx: &mut Cx<'_>) {
        let (now, post, patience) = (cx.now(), self.post(), self.patience());
        let Self { stance: Stance::Leader(leading), log, config, head, .. } = self else { return };
        let is_first = leading.rounds.last() == 0;
        leading.rounds.begin(now, patience);
        leading.beat_at = now.after(config.heartbeat);
        if is_first {
            // The first entries of the term go out with this round.
            return;
        }
        if let Some(retiring) = &mut leading.retiring {
            // The word to the successor may have been lost.
            retiring.is_told = false;
        }
        let round = leading.rounds.last();
        let source = Source { post, log, committed: head.index, round, config };
        for progress in leading.others.values_mut() {
            progress.beat(cx, &source);
        }
    }

    /// Whether an answer is from a member to this term's leader; notes its round.
    pub(super) fn is_answered(
        &mut self,
        cx: &mut Cx<'_>,
        from: Member,
        term: Term,
        round: u64,
    ) -> bool {
        if term > self.ballot.term {
            self.adopt(cx, term, None);
            return false;
        }
        let is_current = term == self.ballot.term;
        let Some(leading) = self.leading_mut().filter(|_| is_current) else {
            cx.count(Stat::MessageStale);
            return false;
        };
        // A member is its disk: answers of another disk of the node count for nothing.
        let is_known = leading.others.contains_key(&from.disk);
        if is_known {
            leading.rounds.on_answer(from.disk, round);
        } else {
            cx.count(Stat::MessageStale);
        }
        is_known
    }

    pub(super) fn on_appended(&mut self, from: Member, matched: LogIndex) {
        let (base, last) = (self.log.base().index, self.log.last().index);
        let Some(leading) = self.leading_mut() else { return };
        let Some(progress) = leading.others.get_mut(&from.disk) else { return };
        if matched <= last {
            progress.on_appended(matched, base);
        }
    }

    pub(super) fn on_rejected(&mut self, from: Member, prev: LogIndex, hint: Position) {
        let Self { stance: Stance::Leader(leading), log, .. } = self else { return };
        if let Some(progress) = leading.others.get_mut(&from.disk) {
            progress.on_rejected(prev, hint, log);
        }
    }

    /// Commits what the quorum holds.
    pub(super) fn count_quorum(&mut self, cx: &mut Cx<'_>) {
        let Some(leading) = self.leading() else { return };
        let index = leading.quorum_index(self.me, &self.log);
        // An entry of an earlier term is not safe by its count: only with one of this term above.
        if index > self.head.index && self.log.term_at(index) == Some(self.ballot.term) {
            self.commit_to(cx, index);
        }
    }

    /// Everything up to `index` is committed: tells the role, in order.
    pub(super) fn commit_to(&mut self, cx: &mut Cx<'_>, index: LogIndex) {
        while self.head.index < index {
            let Some(slot) = self.log.slot(self.head.index.next()) else { break };
            let (lsn, chain, entry) = (slot.lsn, slot.chain, slot.entry.clone());
            cx.count(Stat::Committed);
            self.committed_lsn = lsn;
            self.head.index = entry.index;
            self.head.index_term = entry.term;
            self.head.chain = chain;
            self.log.on_committed(entry.index, self.config.retained_entries);
            let is_new = entry.origin.is_none_or(|origin| self.note_origin(&origin));
            if !is_new {
                // The leader let no number into the log twice; should it have, it counts once.
                cx.count(Stat::OriginRepeated);
                continue;
            }
            match entry.payload {
                Payload::Opened => self.on_opened(entry.term),
                Payload::Membership(_) => self.on_members_committed(cx),
                Payload::Command(command) => {
                    let mine = entry.origin.filter(|origin| {
                        (origin.disk, origin.boot) == (self.me.disk, self.head.boots)
                    });
                    let seq = mine.map(|origin| origin.seq);
                    self.news.push(Event::Committed { index: entry.index, command, seq });
                }
            }
        }
        self.settle_submissions();
    }

    /// Holes 4 and 7: from here on the leader knows all that is committed.
    fn on_opened(&mut self, term: Term) {
        let is_mine = term == self.ballot.term;
        if is_mine && self.leading().is_some_and(|leading| leading.retiring.is_none()) {
            self.leads = true;
            self.news.push(Event::Led { term });
        }
    }
}
