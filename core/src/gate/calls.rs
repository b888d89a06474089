//! Open calls of clients: each is answered once, in time.
//!
//! A read waits until everything committed before it is applied here; a write until its entry is
//! committed. Without a quorum neither happens: a read is refused after `READ_WITHIN`, and a write
//! after `WRITE_WITHIN` with an unknown outcome, because its entry may still be committed.
//! Bounds: `CALLS_MAX` open calls.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{Command, Refusal};
use crate::ids::CallId;
use crate::limits::CALLS_MAX;
use crate::machine::Wake;
use crate::time::Instant;
use crate::timers::Timers;

/// How long a read waits for a quorum.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// How long a write waits for its entry.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// The open calls of a gate.
#[derive(Debug, Default)]
pub(super) struct Calls {
    ticket: u64,
    reads: BTreeMap<u64, (CallId, Command)>,
    open: BTreeMap<CallId, Option<u64>>,
    timers: Timers<CallId>,
}

impl Calls {
    /// Whether no more calls can be open.
    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= CALLS_MAX
    }

    /// Whether no call is open.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// A call needs what is committed; the ticket to wait for.
    pub(super) fn on_read(&mut self, now: Instant, call: CallId, command: Command) -> u64 {
        self.ticket = self.ticket.saturating_add(1);
        self.reads.insert(self.ticket, (call, command));
        self.open.insert(call, Some(self.ticket));
        self.timers.set(call, now.after(READ_WITHIN));
        self.ticket
    }

    /// A call waits for an entry.
    pub(super) fn on_write(&mut self, now: Instant, call: CallId) {
        self.open.insert(call, None);
        self.timers.set(call, now.after(WRITE_WITHIN));
    }

    /// Tickets that are waited for.
    pub(super) fn tickets(&self) -> Vec<u64> {
        self.reads.keys().copied().collect()
    }

    /// Everything the call needs is applied. The call is not open any more.
    pub(super) fn on_readable(&mut self, ticket: u64) -> Option<(CallId, Command)> {
        let (call, command) = self.reads.remove(&ticket)?;
        self.close(call).then_some((call, command))
    }

    /// The call is answered. Whether it was open.
    pub(super) fn close(&mut self, call: CallId) -> bool {
        self.timers.cancel(&call);
        match self.open.remove(&call) {
            Some(ticket) => {
                ticket.map(|ticket| self.reads.remove(&ticket));
                true
            }
            None => false,
        }
    }

    /// The calls whose time is up, with what they hear.
    pub(super) fn on_wake(&mut self, now: Instant) -> Vec<(CallId, Refusal)> {
        let mut over = Vec::new();
        while let Some(call) = self.timers.pop_due(now) {
            let reads = self.open.get(&call).is_some_and(Option::is_some);
            let refusal = if reads { Refusal::NotReady } else { Refusal::OutcomeUnknown };
            self.close(call);
            over.push((call, refusal));
        }
        over
    }

    /// When the time of a call is up.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, _)| Wake { at, why: "a call's time is up" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ZERO.after(Duration::from_secs(secs))
    }

    #[test]
    fn a_call_ends_once_by_its_answer_or_by_its_time() {
        let mut calls = Calls::default();
        let [read, write, late] = [1, 2, 3].map(CallId::new);
        let ticket = calls.on_read(at(0), read, Command::List);
        calls.on_write(at(0), write);
        let unread = calls.on_read(at(0), late, Command::List);
        assert_eq!(calls.on_readable(ticket), Some((read, Command::List)));
        assert_eq!(calls.on_readable(ticket), None);
        assert!(!calls.close(read));
        assert_eq!(calls.on_wake(at(1)), []);
        assert_eq!(calls.on_wake(at(2)), [(late, Refusal::NotReady)]);
        assert_eq!(calls.on_readable(unread), None);
        assert_eq!(calls.on_wake(at(5)), [(write, Refusal::OutcomeUnknown)]);
        assert!(!calls.close(write) && calls.is_idle());
        assert_eq!(calls.next_wake(), None);
    }
}
