//! Submissions of this node on their way into the log.
//!
//! Each has a number, counted over a boot. They wait here until they are committed; whoever leads
//! gets them in order, from the first that is not committed when the leader changes or nothing was
//! heard of them for a while. The leader takes only the next number of each disk and boot, judged
//! by its log, so a submission is in the log once. Bounded: `has_room` before `Input::Submit`.

use std::collections::VecDeque;

use super::Body;
use super::command::Command;
use super::group::Group;
use super::leading::Leading;
use super::{Member, Origin, Payload};
use crate::bounded::BoundedVec;
use crate::limits::{FORWARDED_MAX, SUBMISSIONS_BYTES_MAX, SUBMISSIONS_MAX, UNCOMMITTED_MAX};
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::codec;

/// The submissions that are not committed.
#[derive(Clone, Debug)]
pub(super) struct Submissions<C> {
    /// Command and size; the first has the number `first`.
    queue: VecDeque<(C, usize)>,
    first: u64,
    bytes: usize,
    /// The highest number that the present leader was sent.
    sent: u64,
    /// When they are sent again.
    resend_at: Option<Instant>,
}

impl<C: Command> Submissions<C> {
    /// Nothing submitted.
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new(), first: 1, bytes: 0, sent: 0, resend_at: None }
    }

    /// The number of the next.
    pub(super) fn next_seq(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.queue.len()).unwrap_or(u64::MAX))
    }

    /// The last number that is committed with all before it.
    pub(super) fn settled(&self) -> u64 {
        self.first.saturating_sub(1)
    }

    /// Whether one more is taken.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < SUBMISSIONS_MAX && self.bytes < SUBMISSIONS_BYTES_MAX
    }

    /// Whether one more is taken that leaves so many places to others.
    pub(super) fn has_room_beside(&self, reserved: usize) -> bool {
        self.queue.len() < SUBMISSIONS_MAX.saturating_sub(reserved)
            && self.bytes < SUBMISSIONS_BYTES_MAX / 2
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Everything up to this number is committed.
    pub(super) fn on_settled(&mut self, seq: u64) {
        while self.first <= seq {
            let Some((_, size)) = self.queue.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(size);
            self.first = self.first.saturating_add(1);
            self.resend_at = None;
        }
    }

    /// Nothing was sent to the leader that is now known.
    pub(super) fn on_leader(&mut self) {
        (self.sent, self.resend_at) = (0, None);
    }

    /// When they are sent again.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        let at = self.resend_at.filter(|_| !self.queue.is_empty())?;
        Some(Wake { at, why: "submissions again" })
    }

    fn push(&mut self, command: C) {
        let size = codec::length(&command);
        self.bytes = self.bytes.saturating_add(size);
        self.queue.push_back((command, size));
    }

    /// The commands from number `from` on, as many as go into one message.
    fn batch(&self, from: u64, bytes: usize) -> Vec<C> {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let mut total = 0_usize;
        let fits = |(_, size): &&(C, usize)| {
            let is_first = total == 0;
            total = total.saturating_add(*size);
            is_first || total <= bytes
        };
        let room = FORWARDED_MAX.saturating_sub(skip);
        let batch = self.queue.iter().skip(skip).take(room).take_while(fits);
        batch.map(|(command, _)| command.clone()).collect()
    }
}

impl<C: Command> Group<C> {
    pub(super) fn on_submit(&mut self, cx: &mut Cx<'_>, command: C) {
        if self.submissions.has_room() {
            self.submissions.push(command);
        } else {
            cx.count(Stat::CapRefused);
        }
    }

    /// A member's submissions reach the leader.
    pub(super) fn on_forward(
        &mut self,
        cx: &mut Cx<'_>,
        from: Member,
        (boot, first): (u64, u64),
        commands: BoundedVec<C, FORWARDED_MAX>,
    ) {
        let is_member = self.log.membership().members().any(|member| member == from);
        if !is_member || !self.takes_submissions() {
            return cx.count(Stat::MessageStale);
        }
        let mut seq = first;
        for command in commands {
            let origin = Origin { disk: from.disk, boot, seq };
            seq = seq.saturating_add(1);
            let is_next = self.leading().is_some_and(|leading| leading.is_next(&origin));
            if !is_next || !self.takes_submissions() {
                cx.count(Stat::ForwardRepeated);
                continue;
            }
            cx.count(Stat::Forwarded);
            self.enter(cx, Some(origin), Payload::Command(command));
        }
    }

    /// Sends or enters what waits.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_>) {
        if self.submissions.queue.is_empty() {
            return;
        }
        let now = cx.now();
        let waiting = &mut self.submissions;
        if waiting.resend_at.take_if(|at| *at <= now).is_some() {
            cx.count(Stat::Resent);
            waiting.sent = 0;
        }
        if self.takes_submissions() {
            return self.enter_submissions(cx);
        }
        let Some(leader) = self.following() else {
            // Whoever leads next is sent everything at once.
            return self.submissions.on_leader();
        };
        let waiting = &mut self.submissions;
        let from = waiting.sent.max(waiting.settled()).saturating_add(1);
        let commands = waiting.batch(from, self.config.batch_bytes);
        let count = u64::try_from(commands.len()).unwrap_or(0);
        let Ok(commands) = BoundedVec::try_from(commands) else { return };
        if count > 0 {
            waiting.sent = from.saturating_add(count).saturating_sub(1);
            waiting.resend_at = Some(now.after(self.config.silence));
            let body = Body::Forward { boot: self.head.boots, first: from, commands };
            // Names this boot: rests on its record, or the next boot could have the same number.
            self.post().send_after(cx, self.head.booted, leader, body);
        } else if waiting.resend_at.is_none() {
            waiting.resend_at = Some(now.after(self.config.silence));
        }
    }

    fn enter_submissions(&mut self, cx: &mut Cx<'_>) {
        let (disk, boot) = (self.me.disk, self.head.boots);
        let Some(last) = self.leading().and_then(|leading| leading.origins.get(&disk)) else {
            return self.enter_from(cx, 1);
        };
        let next = if last.0 == boot { last.1.saturating_add(1) } else { 1 };
        self.enter_from(cx, next);
    }

    fn enter_from(&mut self, cx: &mut Cx<'_>, next: u64) {
        let skip = usize::try_from(next.saturating_sub(self.submissions.first)).unwrap_or(0);
        let due: Vec<_> = self.submissions.queue.iter().skip(skip).cloned().collect();
        for (seq, (command, _)) in (next..).zip(due) {
            let origin = Origin { disk: self.me.disk, boot: self.head.boots, seq };
            let is_next = self.leading().is_some_and(|leading| leading.is_next(&origin));
            if is_next && self.takes_submissions() {
                self.enter(cx, Some(origin), Payload::Command(command));
            }
        }
    }

    fn takes_submissions(&self) -> bool {
        let uncommitted = self.log.last().index.get().saturating_sub(self.head.index.get());
        let is_staying = |leading: &Leading| leading.retiring.is_none();
        uncommitted < UNCOMMITTED_MAX && self.leading().is_some_and(is_staying)
    }

    /// The last submission of a disk that is committed; tells whether this one is the next.
    pub(super) fn note_origin(&mut self, origin: &Origin) -> bool {
        if !super::leading::follows(self.head.origins.get(&origin.disk), origin) {
            return false;
        }
        if self.head.origins.is_full() && !self.head.origins.contains_key(&origin.disk) {
            let members = self.log.committed_membership();
            let is_member = |disk| members.members().any(|member| member.disk == disk);
            let gone = self.head.origins.keys().find(|disk| !is_member(**disk)).copied();
            if let Some(gone) = gone {
                self.head.origins.remove(&gone);
            }
        }
        let _ = self.head.origins.insert(origin.disk, (origin.boot, origin.seq));
        true
    }

    /// Forgets the submissions of this boot that are committed.
    pub(super) fn settle_submissions(&mut self) {
        let boots = self.head.boots;
        let mine = self.head.origins.get(&self.me.disk).filter(|(boot, _)| *boot == boots);
        if let Some((_, seq)) = mine.copied() {
            self.submissions.on_settled(seq);
        }
    }
}
