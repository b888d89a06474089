//! A member that is led: entries from the leader, and what is answered.
//!
//! An answer claims entries only as far as they are durable when it leaves: it rests on the record
//! of the last one, or, when it carries no entries and should not wait, names what is durable
//! already. Hearing the leader of the term is a promise of silence.

use super::Event;
use super::command::Command;
use super::group::Group;
use super::{Body, Entry, Member, Message as GroupMessage, Position};
use crate::bounded::BoundedVec;
use crate::ids::{GroupId, LogIndex, Term};
use crate::journal::Record;
use crate::limits::BATCH_ENTRIES_MAX;
use crate::machine::Cx;
use crate::stat::Stat;

impl<C: Command> Group<C> {
    /// A disk that wants to join belongs to the group whose leader feeds it.
    pub(super) fn let_in(&mut self, cx: &mut Cx<'_>, msg: &GroupMessage<C>) -> bool {
        let is_feed = matches!(msg.body, Body::Append { .. } | Body::Chunk { .. });
        let is_new = self.head.group == GroupId::default() && self.head.joining.is_some();
        let is_peer = self.config.peers.contains(&msg.from.node);
        let is_let_in = is_feed && is_new && is_peer && msg.group != GroupId::default();
        if is_let_in && msg.to == self.me.disk {
            cx.out.append(Record::Joined { group: msg.group });
            self.head.group = msg.group;
        }
        is_let_in && msg.to == self.me.disk
    }

    /// A leader speaks. Whether it is the leader of this member's term; if so, it is followed.
    pub(super) fn follow(&mut self, cx: &mut Cx<'_>, from: Member, term: Term) -> bool {
        if term < self.ballot.term {
            // Tells a leader that is none any more of the higher term. It may lead that one too by
            // now, so no round of its earlier term is named.
            let (round, prev, hint) = (0, LogIndex::new(0), Position::default());
            self.post().send(cx, from, Body::<C>::Rejected { round, prev, hint });
            return false;
        }
        if term > self.ballot.term {
            self.adopt(cx, term, None);
        }
        if self.leading().is_some() || self.leader.is_some_and(|leader| leader != from) {
            cx.count(Stat::MessageForeign);
            return false;
        }
        self.stand_down(cx);
        if self.leader != Some(from) {
            self.leader = Some(from);
            self.news.push(Event::Followed { leader: Some(from.node) });
            self.submissions.on_leader();
            self.reads.on_leader();
        }
        self.ballot.keep_quiet(cx.now().after(self.config.silence));
        self.rest(cx);
        true
    }

    pub(super) fn on_append(
        &mut self,
        cx: &mut Cx<'_>,
        (round, commit): (u64, LogIndex),
        prev: Position,
        entries: BoundedVec<Entry<C>, BATCH_ENTRIES_MAX>,
    ) {
        let Some(leader) = self.leader else { return };
        let is_known = prev.index <= self.head.index;
        if !is_known && self.log.term_at(prev.index) != Some(prev.term) {
            cx.count(Stat::LogRejected);
            let upto = LogIndex::new(prev.index.get().saturating_sub(1));
            let hint = self.log.agreeable(upto, prev.term);
            let body = Body::<C>::Rejected { round, prev: prev.index, hint };
            return self.post().send(cx, leader, body);
        }
        let carries = !entries.is_empty();
        let Some(held) = self.take(cx, prev, entries) else {
            return cx.count(Stat::MessageForeign);
        };
        self.commit_to(cx, commit.min(held));
        if round == 0 {
            return;
        }
        if carries {
            // Claims the entries: rests on the record of the last.
            let body = Body::<C>::Appended { round, matched: held };
            return self.post().send_after(cx, self.log.lsn_at(held), leader, body);
        }
        // A heartbeat's answer is not to wait for a slow sync: it claims what is durable already.
        let matched = held.min(self.log.durable_index());
        self.post().send(cx, leader, Body::<C>::Appended { round, matched });
    }

    /// Takes entries that follow `prev`; gives up to where the log is the leader's, or nothing if
    /// they are no sequence or contradict what is committed.
    fn take(
        &mut self,
        cx: &mut Cx<'_>,
        prev: Position,
        entries: BoundedVec<Entry<C>, BATCH_ENTRIES_MAX>,
    ) -> Option<LogIndex> {
        let mut due = prev;
        for entry in &entries {
            let follows = entry.index == due.index.next() && entry.term >= due.term;
            if !follows || entry.term > self.ballot.term {
                return None;
            }
            due = Position { term: entry.term, index: entry.index };
        }
        for entry in entries {
            let (index, known) = (entry.index, self.log.term_at(entry.index));
            if index <= self.log.base().index || known == Some(entry.term) {
                continue;
            }
            if index <= self.head.index {
                return None;
            }
            let lsn = cx.out.append(C::record(entry.clone()));
            let dropped = self.log.push(lsn, entry);
            cx.count_many(Stat::LogTruncated, u64::try_from(dropped).unwrap_or(u64::MAX));
        }
        Some(due.index)
    }
}
