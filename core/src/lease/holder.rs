//! The holder's side of a lease: valid for `ttl` from the send of the request that was granted, by
//! the holder's own clock, compared at the instant of use.

use std::time::Duration;

use crate::time::Instant;

/// What a holder knows about its lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holder {
    until: Option<Instant>,
}

impl Holder {
    /// Takes a grant that answers a request sent at `sent`. Answers whether it is still worth
    /// something at `now`; if it is not, nothing changed. A grant never shortens an earlier one.
    pub fn take(&mut self, sent: Instant, ttl: Duration, now: Instant) -> bool {
        let until = sent.after(ttl);
        if until <= now {
            return false;
        }
        self.until = Some(self.until.map_or(until, |earlier| earlier.max(until)));
        true
    }

    /// The first instant at which it is not valid; `None` if it was never granted.
    #[must_use]
    pub const fn until(self) -> Option<Instant> {
        self.until
    }

    /// Whether the holder may act at `now`.
    #[must_use]
    pub fn holds(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn counts_from_the_send_and_ends_exactly_at_until() {
        let mut holder = Holder::default();
        assert!(!holder.holds(at(0)));
        assert!(holder.take(at(10), Duration::from_nanos(100), at(60)));
        assert_eq!(holder.until(), Some(at(110)));
        assert!(holder.holds(at(109)));
        assert!(!holder.holds(at(110)));
    }

    #[test]
    fn a_late_grant_changes_nothing() {
        let mut holder = Holder::default();
        assert!(!holder.take(at(10), Duration::from_nanos(100), at(110)));
        assert_eq!(holder, Holder::default());
    }

    #[test]
    fn an_older_grant_never_shortens() {
        let mut holder = Holder::default();
        assert!(holder.take(at(20), Duration::from_nanos(100), at(60)));
        assert!(holder.take(at(10), Duration::from_nanos(100), at(70)));
        assert_eq!(holder.until(), Some(at(120)));
    }
}
