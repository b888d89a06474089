//! What a leader knows of one member's log, and what it sends next.
//!
//! A member is probed until one position is known at which the logs agree; then entries are
//! pipelined, a bounded number of messages at a time. A heartbeat names the position before the
//! next entry to send, so that a lost message shows at the next heartbeat: the member rejects it
//! and is probed again. One that lags behind the log in memory gets a snapshot. Entries may be sent
//! before they are durable here: this node's own part of the quorum counts only what is.

use std::collections::VecDeque;

use super::command::Command;
use super::log::Log;
use super::post::Post;
use super::{Body, ConsensusConfig, Member, Position};
use crate::bounded::BoundedVec;
use crate::ids::LogIndex;
use crate::machine::Cx;
use crate::time::Instant;

/// What a leader sends from.
pub(super) struct Source<'a, C> {
    pub(super) post: Post,
    pub(super) log: &'a Log<C>,
    pub(super) committed: LogIndex,
    pub(super) round: u64,
    pub(super) config: &'a ConsensusConfig,
}

/// How a member is fed.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Mode {
    /// Where the logs agree is not known. One message at a time.
    Probe {
        /// Whether it is out.
        asked: bool,
    },
    /// The last entries of the messages that are not answered.
    Pipeline(VecDeque<LogIndex>),
    /// The member lacks entries that are gone.
    Snapshot(Sending),
}

/// How far a member has a snapshot.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sending {
    /// The last entry in it; 0 while it is not made.
    pub(super) index: LogIndex,
    /// The bytes that arrived.
    pub(super) acked: u64,
    /// The bytes that were sent.
    pub(super) sent: u64,
    /// When one of the two last moved.
    pub(super) moved: Instant,
}

/// One member's log as its leader sees it.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) member: Member,
    /// The last entry known to match and to be durable there.
    pub(super) matched: LogIndex,
    /// The next to send.
    next: LogIndex,
    /// The commit index it was told.
    told: LogIndex,
    pub(super) mode: Mode,
}

impl Progress {
    /// A member of which nothing is known; entries from `next` on are tried first.
    pub(super) fn new(member: Member, next: LogIndex) -> Self {
        let (matched, told) = Default::default();
        Self { member, matched, next, told, mode: Mode::Probe { asked: false } }
    }

    /// Keeps the member's silence, and shows what was lost.
    pub(super) fn beat<C: Command>(&mut self, cx: &mut Cx<'_>, source: &Source<'_, C>) {
        let probe = Position::default();
        match &mut self.mode {
            Mode::Snapshot(_) => self.append(cx, source, probe, source.round),
            Mode::Probe { .. } | Mode::Pipeline(_) => {
                let Some(prev) = self.prev(source.log) else { return self.lag(cx.now()) };
                if let Mode::Probe { asked } = &mut self.mode {
                    *asked = true;
                }
                self.append(cx, source, prev, source.round);
            }
        }
    }

    /// Sends what there is to send and may be in flight.
    pub(super) fn feed<C: Command>(&mut self, cx: &mut Cx<'_>, source: &Source<'_, C>) {
        let last = source.log.last().index;
        while self.may_send(last, source.config.in_flight_max) {
            let Some(prev) = self.prev(source.log) else { return self.lag(cx.now()) };
            self.send_batch(cx, source, prev);
        }
        // A round of 0 asks for no answer: only the news that entries are committed.
        let known = source.committed.min(LogIndex::new(self.next.get().saturating_sub(1)));
        if matches!(self.mode, Mode::Pipeline(_)) && self.told < known {
            let Some(prev) = self.prev(source.log) else { return };
            self.append(cx, source, prev, 0);
        }
    }

    /// The member's log is ours up to there, durably.
    pub(super) fn on_appended(&mut self, matched: LogIndex, base: LogIndex) {
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        match &mut self.mode {
            Mode::Probe { .. } => self.mode = Mode::Pipeline(VecDeque::new()),
            Mode::Pipeline(in_flight) => in_flight.retain(|last| *last > self.matched),
            Mode::Snapshot(_) if self.matched >= base => {
                self.mode = Mode::Probe { asked: false };
            }
            Mode::Snapshot(_) => {}
        }
    }

    /// The member's log does not hold `prev`, and agrees with ours at or below `hint` at most.
    pub(super) fn on_rejected<C: serde::Serialize>(
        &mut self,
        prev: LogIndex,
        hint: Position,
        log: &Log<C>,
    ) {
        let is_current = match &self.mode {
            Mode::Probe { .. } => prev.next() == self.next,
            Mode::Pipeline(_) => prev < self.next,
            Mode::Snapshot(_) => false,
        };
        if !is_current || hint.index >= prev {
            return;
        }
        let agreed = if hint.index < log.base().index {
            hint.index
        } else {
            log.agreeable(hint.index, hint.term).index
        };
        self.next = agreed.max(self.matched).next();
        self.told = LogIndex::new(0);
        self.mode = Mode::Probe { asked: false };
    }

    fn may_send(&self, last: LogIndex, in_flight_max: usize) -> bool {
        match &self.mode {
            Mode::Probe { asked } => !asked,
            Mode::Pipeline(in_flight) => self.next <= last && in_flight.len() < in_flight_max,
            Mode::Snapshot(_) => false,
        }
    }

    fn prev<C: serde::Serialize>(&self, log: &Log<C>) -> Option<Position> {
        let index = LogIndex::new(self.next.get().saturating_sub(1));
        Some(Position { term: log.term_at(index)?, index })
    }

    fn lag(&mut self, now: Instant) {
        let (index, acked, sent) = Default::default();
        self.mode = Mode::Snapshot(Sending { index, acked, sent, moved: now });
    }

    fn send_batch<C: Command>(&mut self, cx: &mut Cx<'_>, source: &Source<'_, C>, prev: Position) {
        let batch = source.log.batch(prev.index, source.config.batch_bytes);
        let entries: Vec<_> = batch.cloned().collect();
        let last = entries.last().map_or(prev.index, |entry| entry.index);
        match &mut self.mode {
            Mode::Probe { asked } => *asked = true,
            Mode::Pipeline(in_flight) => {
                in_flight.push_back(last);
                self.next = last.next();
            }
            Mode::Snapshot(_) => {}
        }
        self.told = source.committed.min(last);
        let entries = BoundedVec::try_from(entries).unwrap_or_default();
        let (round, commit) = (source.round, source.committed);
        // Rests on the ballot: a leader's entries count here only when they are durable here, and
        // at the member when they are durable there.
        source.post.send(cx, self.member, Body::<C>::Append { round, prev, commit, entries });
    }

    fn append<C: Command>(
        &mut self,
        cx: &mut Cx<'_>,
        source: &Source<'_, C>,
        prev: Position,
        round: u64,
    ) {
        self.told = self.told.max(source.committed.min(prev.index));
        let (commit, entries) = (source.committed, BoundedVec::new());
        source.post.send(cx, self.member, Body::<C>::Append { round, prev, commit, entries });
    }
}
