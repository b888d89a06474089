//! Open calls of clients: each is answered once, in time.
//!
//! A read waits until everything committed before it is applied here; a write until its entry is
//! committed. Without a quorum neither happens: a read is refused after `READ_WITHIN`, and a write
//! after `WRITE_WITHIN` with an unknown outcome, because its entry may still be committed.
//! Bounds: each class of calls has its own (`flow::Credits`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{Command, Refusal, Tenant};
use crate::flow::{Class, Credits};
use crate::ids::CallId;
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
    reads: BTreeMap<u64, (CallId, Tenant, Command)>,
    open: BTreeMap<CallId, (Option<u64>, Class)>,
    credits: Credits,
    timers: Timers<CallId>,
}

impl Calls {
    /// Open calls by class.
    pub(super) fn credits(&self) -> &Credits {
        &self.credits
    }

    /// Whether no call is open.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// A call needs what is committed; the ticket to wait for.
    pub(super) fn on_read(
        &mut self,
        now: Instant,
        call: CallId,
        client: Tenant,
        command: Command,
    ) -> u64 {
        self.ticket = self.ticket.saturating_add(1);
        self.open(call, Some(self.ticket), Class::of_command(&command));
        self.reads.insert(self.ticket, (call, client, command));
        self.timers.set(call, now.after(READ_WITHIN));
        self.ticket
    }

    /// A call waits for an entry.
    pub(super) fn on_write(&mut self, now: Instant, call: CallId, class: Class) {
        self.open(call, None, class);
        self.timers.set(call, now.after(WRITE_WITHIN));
    }

    fn open(&mut self, call: CallId, ticket: Option<u64>, class: Class) {
        self.credits.take(class);
        if let Some((_, before)) = self.open.insert(call, (ticket, class)) {
            self.credits.give_back(before);
        }
    }

    /// Tickets that are waited for.
    pub(super) fn tickets(&self) -> Vec<u64> {
        self.reads.keys().copied().collect()
    }

    /// Everything the call needs is applied. The call is not open any more.
    pub(super) fn on_readable(&mut self, ticket: u64) -> Option<(CallId, Tenant, Command)> {
        let (call, client, command) = self.reads.remove(&ticket)?;
        self.close(call).then_some((call, client, command))
    }

    /// The call is answered. Whether it was open.
    pub(super) fn close(&mut self, call: CallId) -> bool {
        self.timers.cancel(&call);
        match self.open.remove(&call) {
            Some((ticket, class)) => {
                self.credits.give_back(class);
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
            let reads = self.open.get(&call).is_some_and(|(ticket, _)| ticket.is_some());
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
        let ticket = calls.on_read(at(0), read, Tenant::default(), Command::List);
        calls.on_write(at(0), write, Class::Dispatch);
        let unread = calls.on_read(at(0), late, Tenant::default(), Command::List);
        assert_eq!(calls.credits().open(Class::Telemetry), 2);
        let asked = (read, Tenant::default(), Command::List);
        assert_eq!(calls.on_readable(ticket), Some(asked));
        assert_eq!(calls.on_readable(ticket), None);
        assert!(!calls.close(read));
        assert_eq!(calls.on_wake(at(1)), []);
        assert_eq!(calls.on_wake(at(2)), [(late, Refusal::NotReady)]);
        assert_eq!(calls.on_readable(unread), None);
        assert_eq!(calls.on_wake(at(5)), [(write, Refusal::OutcomeUnknown)]);
        assert!(!calls.close(write) && calls.is_idle());
        assert_eq!(calls.credits(), &Credits::default());
        assert_eq!(calls.next_wake(), None);
    }
}
