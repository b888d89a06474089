//! Reads at any member: everything committed before the call is applied before the answer.
//!
//! A leader with its lease knows all that is committed. Another member asks it and waits until that
//! much is applied here. The question is repeated at heartbeat pace and names the boot and the
//! newest read it is for, so that an answer to an earlier question settles no later read. Bounded
//! in number and in time: a read that gets no answer is dropped, its caller has a deadline.

use std::collections::VecDeque;
use std::time::Duration;

use super::Event;
use super::command::Command;
use super::group::Group;
use super::{Body, Member};
use crate::ids::LogIndex;
use crate::limits::READS_MAX;
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;

#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: u64,
    ticket: u64,
    until: Instant,
    /// What must be applied, once the leader has said it.
    index: Option<LogIndex>,
}

/// The reads that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    last: u64,
    waiting: VecDeque<Waiting>,
    /// The newest read that the present leader was asked for.
    asked: u64,
    ask_at: Instant,
}

impl Reads {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Nobody was asked that is leader now.
    pub(super) fn on_leader(&mut self) {
        self.asked = 0;
    }

    /// Everything committed before the reads up to `number` is at or below `index`.
    fn on_index(&mut self, number: u64, index: LogIndex) {
        for read in self.waiting.iter_mut().filter(|read| read.number <= number) {
            read.index.get_or_insert(index);
        }
    }

    /// The newest read that nothing is known of.
    fn open(&self) -> Option<u64> {
        let open = self.waiting.iter().rev().find(|read| read.index.is_none());
        open.map(|read| read.number)
    }

    /// When to ask again or to give up.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        let first = self.waiting.front()?;
        let at = if self.open().is_some() { first.until.min(self.ask_at) } else { first.until };
        Some(Wake { at, why: "reads again" })
    }
}

impl<C: Command> Group<C> {
    pub(super) fn on_read(&mut self, cx: &mut Cx<'_>, ticket: u64) {
        if self.reads.waiting.len() >= READS_MAX {
            return cx.count(Stat::CapRefused);
        }
        let number = self.reads.last.saturating_add(1);
        self.reads.last = number;
        let until = cx.now().after(self.read_patience());
        self.reads.waiting.push_back(Waiting { number, ticket, until, index: None });
    }

    /// A member asks the leader.
    pub(super) fn on_read_asked(&mut self, cx: &mut Cx<'_>, from: Member, boot: u64, number: u64) {
        if self.leads_at(cx.now()) {
            let index = self.head.index;
            self.post().send(cx, from, Body::<C>::ReadAt { boot, number, index });
        } else {
            cx.count(Stat::MessageStale);
        }
    }

    pub(super) fn on_read_at(&mut self, cx: &mut Cx<'_>, boot: u64, number: u64, at: LogIndex) {
        if boot == self.head.boots {
            self.reads.on_index(number, at);
        } else {
            cx.count(Stat::BootStale);
        }
    }

    /// Tells of reads that may be served; drops those that waited too long; asks for the rest.
    pub(super) fn serve_reads(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        if self.reads.waiting.is_empty() {
            return;
        }
        if self.leads_at(now) {
            self.reads.on_index(u64::MAX, self.head.index);
        }
        let waiting = std::mem::take(&mut self.reads.waiting);
        for read in waiting {
            if read.index.is_some_and(|index| index <= self.head.index) {
                cx.count(Stat::ReadServed);
                self.news.push(Event::Readable { ticket: read.ticket });
            } else if read.until <= now {
                cx.count(Stat::ReadDropped);
            } else {
                self.reads.waiting.push_back(read);
            }
        }
        let Some(number) = self.reads.open() else { return };
        if number <= self.reads.asked && now < self.reads.ask_at {
            return;
        }
        self.reads.ask_at = now.after(self.config.heartbeat);
        if let Some(leader) = self.following() {
            self.reads.asked = number;
            let body = Body::<C>::Read { boot: self.head.boots, number };
            // Names this boot: rests on its record, or the next boot could have the same number.
            self.post().send_after(cx, self.head.booted, leader, body);
        }
    }

    fn read_patience(&self) -> Duration {
        self.config.election_max.saturating_mul(4)
    }
}
