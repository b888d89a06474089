//! The grantor's side of runs' leases: when the last confirmation of each run has surely ended.
//!
//! Volatile: a restarted grantor grants every run it may have confirmed anew, at the instant from
//! which it leads.

use std::time::Duration;

use super::grantor_wait;
use crate::config::LeaseConfig;
use crate::ids::RunId;
use crate::time::Instant;
use crate::timers::Timers;

/// Until when each run may be confirmed, by the grantor's clock. As many entries as runs granted
/// and not forgotten.
#[derive(Clone, Debug)]
pub struct Grantor {
    wait: Duration,
    granted: Timers<RunId>,
}

impl Grantor {
    /// Nothing granted.
    #[must_use]
    pub fn new(lease: LeaseConfig) -> Self {
        let wait = grantor_wait(lease.ttl, lease.drift_ppm);
        Self { wait, granted: Timers::new() }
    }

    /// Counts a confirmation of `run` that leaves at `now`. The end only moves later.
    pub fn grant(&mut self, run: RunId, now: Instant) {
        let end = now.after(self.wait);
        let end = self.granted.deadline(&run).map_or(end, |earlier| earlier.max(end));
        self.granted.set(run, end);
    }

    /// The first instant at which every confirmation of `run` has surely ended; `None` if it was
    /// never confirmed, or is forgotten.
    #[must_use]
    pub fn expires(&self, run: RunId) -> Option<Instant> {
        self.granted.deadline(&run)
    }

    /// Whether `run` surely holds no confirmation at `now`: it expired, or there was none.
    #[must_use]
    pub fn expired(&self, run: RunId, now: Instant) -> bool {
        self.expires(run).is_none_or(|end| end <= now)
    }

    /// The earliest end and its run; stays until the run is granted again or forgotten.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, RunId)> {
        self.granted.next()
    }

    /// Drops what is known of a run that has ended.
    pub fn forget(&mut self, run: RunId) {
        self.granted.cancel(&run);
    }

    /// How many runs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.granted.len()
    }

    /// Whether no run is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.granted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Fence, GroupId, JobId, LogIndex, ShardId, ShardIx, WorkflowIx};

    fn run(index: u64) -> RunId {
        let fence = Fence { group: GroupId::new(1), index: LogIndex::new(index) };
        let (job, workflow) = (JobId::new(1), WorkflowIx::new(0));
        RunId { shard: ShardId { job, workflow, shard: ShardIx::new(0) }, fence }
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn a_run_never_granted_has_expired() {
        let grantor = Grantor::new(LeaseConfig::default());
        assert!(grantor.expired(run(1), at(0)));
        assert_eq!(grantor.expires(run(1)), None);
        assert_eq!(grantor.next(), None);
    }

    #[test]
    fn expires_exactly_after_the_wait() {
        let mut grantor = Grantor::new(LeaseConfig::default());
        grantor.grant(run(1), at(100));
        assert_eq!(grantor.expires(run(1)), Some(at(100 + 3_060_606_062)));
        assert!(!grantor.expired(run(1), at(100 + 3_060_606_061)));
        assert!(grantor.expired(run(1), at(100 + 3_060_606_062)));
    }

    #[test]
    fn a_grant_only_extends_and_runs_are_apart() {
        let mut grantor = Grantor::new(LeaseConfig::default());
        grantor.grant(run(1), at(100));
        grantor.grant(run(2), at(40));
        grantor.grant(run(1), at(50));
        assert_eq!(grantor.expires(run(1)), Some(at(100 + 3_060_606_062)));
        assert_eq!(grantor.next(), Some((at(40 + 3_060_606_062), run(2))));
        grantor.forget(run(2));
        assert_eq!(grantor.next(), Some((at(100 + 3_060_606_062), run(1))));
        assert_eq!(grantor.len(), 1);
        grantor.forget(run(1));
        assert!(grantor.is_empty());
    }
}
