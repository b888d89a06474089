//! What a voter has bound itself to: its term, its vote in it, and silence.
//!
//! A voter votes once per term, durably. One that heard a leader votes for nobody for
//! `ConsensusConfig::silence` on its own clock, counted from the receipt; a leader's lease rests on
//! that. The promise is in memory only, so a restarted voter keeps quiet for as long as any promise
//! of an earlier boot can last. Does not do: say who may lead.

use crate::ids::{DiskId, Lsn, Term};
use crate::time::Instant;

/// Term, vote and promise of a voter.
#[derive(Clone, Debug, Default)]
pub(super) struct Ballot {
    /// The term.
    pub(super) term: Term,
    /// The vote in it.
    pub(super) vote: Option<DiskId>,
    /// The record that both stand in.
    pub(super) lsn: Lsn,
    /// The end of the silence promised.
    quiet_until: Instant,
}

impl Ballot {
    /// Folds a record: a lower term is old news, and a vote is cast once.
    pub(super) fn replay(&mut self, lsn: Lsn, term: Term, vote: Option<DiskId>) {
        if term > self.term {
            (self.term, self.vote, self.lsn) = (term, vote, lsn);
        } else if term == self.term && self.vote.is_none() {
            (self.vote, self.lsn) = (vote, lsn);
        }
    }

    /// Promises silence until then; an earlier promise holds.
    pub(super) fn keep_quiet(&mut self, until: Instant) {
        self.quiet_until = self.quiet_until.max(until);
    }

    /// Whether a promise forbids a vote.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        now < self.quiet_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_is_cast_once_per_term_and_a_lower_term_changes_nothing() {
        let [one, two] = [1, 2].map(|disk| Some(DiskId::new(disk)));
        let mut ballot = Ballot::default();
        ballot.replay(Lsn::new(1), Term::new(3), None);
        ballot.replay(Lsn::new(2), Term::new(3), one);
        ballot.replay(Lsn::new(3), Term::new(3), two);
        ballot.replay(Lsn::new(4), Term::new(2), two);
        assert_eq!((ballot.term, ballot.vote, ballot.lsn), (Term::new(3), one, Lsn::new(2)));
        ballot.replay(Lsn::new(5), Term::new(4), two);
        assert_eq!((ballot.term, ballot.vote, ballot.lsn), (Term::new(4), two, Lsn::new(5)));
    }

    #[test]
    fn a_promise_is_not_shortened() {
        let mut ballot = Ballot::default();
        ballot.keep_quiet(Instant::from_nanos(9));
        ballot.keep_quiet(Instant::from_nanos(5));
        assert!(ballot.is_quiet(Instant::from_nanos(8)));
        assert!(!ballot.is_quiet(Instant::from_nanos(9)));
    }
}
