//! The fences that an actor has seen, per shard: the highest it was told to act under, and the
//! highest that has ended. Whoever issued a fence, nothing lower is obeyed.
//!
//! Volatile and bounded. When it is full, the fences of the oldest closed job go first: nothing
//! starts without a confirmation that is addressed to this life of the actor, and nobody confirms
//! a closed job.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Fence, JobId, RunId, ShardId, ShardIx, WorkflowIx};

/// Why a fence is not obeyed. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FenceRefusal {
    /// It is not above the highest seen for its shard.
    #[error("the fence is not above the highest seen")]
    Stale,
    /// No shard can be remembered any more.
    #[error("too many fences of open jobs")]
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    obeyed: Fence,
    ended: Option<Fence>,
}

/// The fences seen.
#[derive(Clone, Debug)]
pub struct Fences {
    max: usize,
    seen: BTreeMap<ShardId, Seen>,
    /// Jobs of `seen` that are not worked on.
    closed: BTreeSet<JobId>,
}

impl Fences {
    /// None seen; at most `max` shards are remembered.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { max, seen: BTreeMap::new(), closed: BTreeSet::new() }
    }

    /// Obeys the fence of `run`: it becomes the highest seen for its shard, and its job is open.
    ///
    /// # Errors
    /// When it is not above the highest seen, or there is no room; nothing changed.
    pub fn obey(&mut self, run: RunId) -> Result<(), FenceRefusal> {
        match self.seen.get_mut(&run.shard) {
            Some(seen) if run.fence <= seen.obeyed => return Err(FenceRefusal::Stale),
            Some(seen) => seen.obeyed = run.fence,
            None => {
                if self.seen.len() >= self.max && !self.make_room() {
                    return Err(FenceRefusal::Full);
                }
                self.seen.insert(run.shard, Seen { obeyed: run.fence, ended: None });
            }
        }
        self.closed.remove(&run.shard.job);
        Ok(())
    }

    /// The run has ended: its fence and every lower one are over. Of a shard that was never seen
    /// nothing is remembered.
    pub fn end(&mut self, run: RunId) {
        if let Some(seen) = self.seen.get_mut(&run.shard) {
            seen.obeyed = seen.obeyed.max(run.fence);
            seen.ended = seen.ended.max(Some(run.fence));
        }
    }

    /// Whether the run holds the highest fence seen for its shard and has not ended.
    #[must_use]
    pub fn is_current(&self, run: RunId) -> bool {
        self.seen
            .get(&run.shard)
            .is_some_and(|seen| run.fence == seen.obeyed && seen.ended < Some(run.fence))
    }

    /// Whether a run of this fence or a higher one has ended.
    #[must_use]
    pub fn has_ended(&self, run: RunId) -> bool {
        self.seen.get(&run.shard).is_some_and(|seen| seen.ended >= Some(run.fence))
    }

    /// The highest fence seen for a shard.
    #[must_use]
    pub fn highest(&self, shard: ShardId) -> Option<Fence> {
        self.seen.get(&shard).map(|seen| seen.obeyed)
    }

    /// Nothing of the job is worked on: its fences may be forgotten when there is no room.
    pub fn close(&mut self, job: JobId) {
        if self.seen.range(first_of(job)..).next().is_some_and(|(shard, _)| shard.job == job) {
            self.closed.insert(job);
        }
    }

    /// How many shards are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no shard is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn make_room(&mut self) -> bool {
        let Some(job) = self.closed.pop_first() else { return false };
        let mut later = self.seen.split_off(&first_of(job));
        while let Some(entry) = later.first_entry() {
            if entry.key().job != job {
                break;
            }
            entry.remove();
        }
        self.seen.append(&mut later);
        true
    }
}

fn first_of(job: JobId) -> ShardId {
    ShardId { job, workflow: WorkflowIx::new(0), shard: ShardIx::new(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupId, LogIndex};

    fn run(job: u64, shard: u16, index: u64) -> RunId {
        let shard = ShardId {
            job: JobId::new(job),
            workflow: WorkflowIx::new(0),
            shard: ShardIx::new(shard),
        };
        RunId { shard, fence: Fence { group: GroupId::new(1), index: LogIndex::new(index) } }
    }

    #[test]
    fn only_higher_fences_are_obeyed() {
        let mut fences = Fences::new(8);
        assert_eq!(fences.obey(run(1, 0, 5)), Ok(()));
        assert!(fences.is_current(run(1, 0, 5)));
        assert_eq!(fences.obey(run(1, 0, 5)), Err(FenceRefusal::Stale));
        assert_eq!(fences.obey(run(1, 0, 4)), Err(FenceRefusal::Stale));
        assert_eq!(fences.obey(run(1, 0, 6)), Ok(()));
        assert!(!fences.is_current(run(1, 0, 5)));
        assert_eq!(fences.highest(run(1, 0, 0).shard), Some(run(1, 0, 6).fence));
        assert_eq!(fences.highest(run(1, 1, 0).shard), None);
    }

    #[test]
    fn an_ended_fence_ends_all_below_it() {
        let mut fences = Fences::new(8);
        fences.end(run(1, 0, 5));
        assert!(!fences.has_ended(run(1, 0, 5)), "never seen, not remembered");
        fences.obey(run(1, 0, 5)).unwrap();
        fences.end(run(1, 0, 5));
        assert!(fences.has_ended(run(1, 0, 5)) && fences.has_ended(run(1, 0, 4)));
        assert!(!fences.has_ended(run(1, 0, 6)) && !fences.is_current(run(1, 0, 5)));
        fences.obey(run(1, 0, 7)).unwrap();
        fences.end(run(1, 0, 6));
        assert!(fences.is_current(run(1, 0, 7)));
        fences.end(run(1, 0, 3));
        assert!(fences.has_ended(run(1, 0, 6)), "the highest ended never goes down");
    }

    #[test]
    fn another_group_is_ordered_too() {
        let mut fences = Fences::new(8);
        let mut other = run(1, 0, 1);
        other.fence.group = GroupId::new(2);
        fences.obey(other).unwrap();
        assert_eq!(fences.obey(run(1, 0, 9)), Err(FenceRefusal::Stale));
    }

    #[test]
    fn the_oldest_closed_job_makes_room() {
        let mut fences = Fences::new(3);
        for (job, shard) in [(1, 0), (2, 0), (2, 1)] {
            fences.obey(run(job, shard, 5)).unwrap();
        }
        assert_eq!(fences.obey(run(3, 0, 5)), Err(FenceRefusal::Full));
        fences.close(JobId::new(9));
        assert_eq!(fences.obey(run(3, 0, 5)), Err(FenceRefusal::Full));
        fences.close(JobId::new(2));
        fences.close(JobId::new(1));
        assert_eq!(fences.obey(run(3, 0, 5)), Ok(()));
        assert_eq!(fences.highest(run(1, 0, 0).shard), None);
        assert_eq!(fences.len(), 3);
        fences.obey(run(4, 0, 5)).unwrap();
        assert_eq!(fences.len(), 2, "both shards of job 2 are gone");
    }

    #[test]
    fn a_job_that_is_worked_on_again_is_open() {
        let mut fences = Fences::new(1);
        fences.obey(run(1, 0, 5)).unwrap();
        fences.close(JobId::new(1));
        fences.obey(run(1, 0, 6)).unwrap();
        assert_eq!(fences.obey(run(2, 0, 5)), Err(FenceRefusal::Full));
        assert!(!fences.is_empty());
    }
}
