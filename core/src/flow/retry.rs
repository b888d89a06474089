//! Retries: how long to wait before one, and how many there may be.
//!
//! A [`Budget`] is part of a ledger, so a new leader goes on counting where the last one stopped.
//! What it counts are incidents, not shards: a worker that fails sixteen shards at once fails them
//! for one reason, and costs one retry. Whatever it fails of what it was given after that retry
//! costs another.
//!
//! Invariant: retry-budget.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedMap;
use crate::ids::{LogIndex, NodeId};
use crate::limits;
use crate::rng::Rng;

/// Doublings of a wait.
const DOUBLINGS_MAX: u32 = 6;

/// Waits that double from `first` and never exceed `most`. Half of a wait is certain and half is
/// drawn, so that retries which began together do not come together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

impl Backoff {
    /// How long to wait before the retry that follows `failures` failures.
    pub fn wait(&self, failures: u32, rng: &mut Rng) -> Duration {
        let doubled = failures.saturating_sub(1).min(DOUBLINGS_MAX);
        let wait = self.first.saturating_mul(1 << doubled).min(self.most);
        rng.between(wait / 2, wait)
    }
}

/// Retries that were made after failures of workers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Budget {
    used: u32,
    /// The entry that made the last retry after a failure of a worker.
    last: BoundedMap<NodeId, LogIndex, { limits::INCIDENTS_MAX }>,
}

impl Budget {
    /// Retries made so far.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Whether a retry after the failure of `worker` in what entry `given` gave it fits into a
    /// budget of `most`.
    pub fn allows(&self, (worker, given): (NodeId, LogIndex), most: u32) -> bool {
        !self.costs(worker, given) || self.used < most
    }

    /// Entry `at` retries. Whether it cost anything.
    pub fn charge(&mut self, (worker, given): (NodeId, LogIndex), at: LogIndex) -> bool {
        let costs = self.costs(worker, given);
        if costs {
            self.used = self.used.saturating_add(1);
            self.last.remove(&worker);
            if self.last.is_full() {
                self.last.pop_first();
            }
            if self.last.insert(worker, at).is_err() {
                tracing::debug!(?worker, "no room for an incident");
            }
        }
        costs
    }

    fn costs(&self, worker: NodeId, given: LogIndex) -> bool {
        self.last.get(&worker).is_none_or(|last| *last <= given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Stream, Streams};

    #[test]
    fn waits_double_up_to_the_most_and_half_of_each_is_drawn() {
        let backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(10) };
        let mut streams = Streams::new(1, 2, 3);
        let rng = streams.draw(Stream::Backoff);
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (90, 10)] {
            let waits: Vec<_> = (0..50).map(|_| backoff.wait(failures, rng)).collect();
            let most = Duration::from_secs(most);
            assert!(waits.iter().all(|wait| *wait >= most / 2 && *wait <= most), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter");
        }
    }

    #[test]
    fn an_incident_costs_one_retry_however_many_shards_it_hit() {
        let mut budget = Budget::default();
        let (first, second) = (NodeId::new(1), NodeId::new(2));
        let index = LogIndex::new;
        assert!(budget.charge((first, index(5)), index(20)));
        assert!(!budget.charge((first, index(6)), index(21)), "the same incident");
        assert!(budget.charge((first, index(21)), index(30)), "it failed again");
        assert!(budget.charge((second, index(7)), index(31)));
        assert_eq!(budget.used(), 3);
        assert!(!budget.allows((second, index(40)), 3));
        assert!(budget.allows((second, index(8)), 3), "that was counted");
    }
}
