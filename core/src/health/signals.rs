//! Liveness, readiness and progress: three signals that say different things, and what follows.
//!
//! Whether a node answers, whether it takes more, and whether what it has gets on are told apart
//! for workers, managers and gates alike. Progress is what was issued against what the plan wanted
//! issued in the same time; completions say nothing about a long workflow.
//!
//! Pure. When most would be evicted it is the judge that sees wrongly: then nobody is. Extra time
//! is granted in halves, only for progress since the last grant, and a few times at most.

use std::time::Duration;

/// How what a node has gets on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Pace {
    /// Nothing was to be done.
    Idle,
    /// At least four fifths of what was planned.
    Normal,
    /// At least half.
    Slow,
    /// At least a fifth.
    Degraded,
    /// Less.
    Stuck,
}

impl Pace {
    /// The pace of so much done of so much planned.
    pub fn of(done: u64, planned: u64) -> Self {
        let (done, planned) = (u128::from(done) * 100, u128::from(planned));
        if planned == 0 {
            Self::Idle
        } else if done >= planned * 80 {
            Self::Normal
        } else if done >= planned * 50 {
            Self::Slow
        } else if done >= planned * 20 {
            Self::Degraded
        } else {
            Self::Stuck
        }
    }
}

/// The three signals of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signals {
    /// It was heard lately.
    pub is_live: bool,
    /// It takes more work.
    pub is_ready: bool,
    /// How what it has gets on.
    pub pace: Pace,
}

/// What a node is good for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// It gets more work.
    Route,
    /// It gets more work, and somebody should look.
    Investigate,
    /// It keeps what it has.
    Drain,
    /// What it has goes elsewhere.
    Evict,
}

impl Signals {
    /// What follows from them.
    pub fn verdict(self) -> Verdict {
        match self.pace {
            _ if !self.is_live => Verdict::Evict,
            Pace::Stuck => Verdict::Evict,
            _ if !self.is_ready => Verdict::Drain,
            Pace::Degraded => Verdict::Investigate,
            Pace::Idle | Pace::Normal | Pace::Slow => Verdict::Route,
        }
    }
}

/// Whether nobody is evicted, because more than half of all would be.
pub fn holds_evictions(evicted: usize, known: usize) -> bool {
    evicted.saturating_mul(2) > known
}

/// The first grant of extra time; the next is half of it.
const FIRST_GRANT: Duration = Duration::from_secs(30);
/// Grants of extra time before a deadline stands.
const GRANTS_MAX: u32 = 5;

/// Extra time for something that is late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extensions {
    granted: u32,
    progress: u64,
}

impl Extensions {
    /// None granted; so far it has come to `progress`.
    pub fn new(progress: u64) -> Self {
        Self { granted: 0, progress }
    }

    /// More time, if it got on since the last grant and there were not too many.
    pub fn ask(&mut self, progress: u64) -> Option<Duration> {
        if self.granted >= GRANTS_MAX || progress <= self.progress {
            return None;
        }
        let grant = FIRST_GRANT / (1 << self.granted);
        self.progress = progress;
        self.granted = self.granted.saturating_add(1);
        Some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_what_was_issued_against_the_plan() {
        let of = |done| Pace::of(done, 100);
        assert_eq!([of(100), of(80)], [Pace::Normal; 2]);
        assert_eq!([of(79), of(50)], [Pace::Slow; 2]);
        assert_eq!([of(49), of(20)], [Pace::Degraded; 2]);
        assert_eq!([of(19), of(0)], [Pace::Stuck; 2]);
        assert_eq!(Pace::of(0, 0), Pace::Idle);
        assert_eq!(Pace::of(u64::MAX, u64::MAX), Pace::Normal);
    }

    #[test]
    fn the_three_signals_are_judged_in_order() {
        let verdict = |is_live, is_ready, pace| Signals { is_live, is_ready, pace }.verdict();
        assert_eq!(verdict(false, true, Pace::Normal), Verdict::Evict);
        assert_eq!(verdict(true, true, Pace::Stuck), Verdict::Evict);
        assert_eq!(verdict(true, false, Pace::Degraded), Verdict::Drain);
        assert_eq!(verdict(true, true, Pace::Degraded), Verdict::Investigate);
        assert_eq!(verdict(true, true, Pace::Slow), Verdict::Route);
        assert_eq!(verdict(true, true, Pace::Idle), Verdict::Route);
    }

    #[test]
    fn nobody_is_evicted_when_most_would_be() {
        assert!(!holds_evictions(1, 2));
        assert!(holds_evictions(2, 3));
        assert!(holds_evictions(1, 1));
        assert!(!holds_evictions(0, 0));
    }

    #[test]
    fn extensions_halve_need_progress_and_end() {
        let mut extensions = Extensions::new(7);
        assert_eq!(extensions.ask(7), None, "no progress");
        let grants: Vec<_> = (8..20).filter_map(|progress| extensions.ask(progress)).collect();
        assert_eq!(
            grants.iter().map(Duration::as_millis).collect::<Vec<_>>(),
            [30_000, 15_000, 7_500, 3_750, 1_875]
        );
    }
}
