//! `timeout` of a job: it is ended once it has run for so long, counted from its begin.
//!
//! The owner counts on its own clock and commits from time to time how long the job has run, so
//! that another owner goes on from there: what a change of owners takes is not counted. The end is
//! an entry like any other: if the job has ended before it, it changes nothing, and after it the
//! job ends as timed out, whatever its parts report.
//!
//! Invariant: timeout-honest. Does not do: stopping load (`dispatch` sends the cancel), a
//! datacenter that no gate reaches (the manager's `timeouts`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::errand::Wish;
use super::models::{CancelCause, GateCommand, Job};
use super::state::Committed;
use crate::ids::JobId;
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;

/// How long a job ran is committed so often at most.
const TICK_LEAST: Duration = Duration::from_secs(1);
/// How long a job ran is committed so often at least.
const TICK_MOST: Duration = Duration::from_secs(10);

/// Jobs that have a timeout and run.
#[derive(Debug, Default)]
pub(super) struct Timeouts {
    /// Since when this gate counts, and what was committed before.
    clocks: BTreeMap<JobId, (Instant, Duration)>,
    timers: Timers<JobId>,
}

impl Timeouts {
    /// Begins to count, or stops, by what is committed.
    pub(super) fn watch(&mut self, now: Instant, (id, job): (JobId, &Job)) {
        let timeout = job.plan.as_deref().and_then(|plan| plan.timeout);
        let counts = job.has_begun() && job.cancel.is_none();
        let Some(timeout) = timeout.filter(|_| counts) else { return self.forget(id) };
        if let Entry::Vacant(vacant) = self.clocks.entry(id) {
            vacant.insert((now, job.elapsed));
            self.timers.set(id, now.after(wait(timeout, job.elapsed)));
        }
    }

    /// The job has ended, or another gate acts for it.
    pub(super) fn forget(&mut self, id: JobId) {
        self.clocks.remove(&id);
        self.timers.cancel(&id);
    }

    /// What is due: entries to be submitted.
    pub(super) fn on_wake(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>) -> Vec<Wish> {
        let mut wishes = Vec::new();
        while let Some(id) = self.timers.pop_due(cx.now()) {
            let job = committed.ledger.job(id);
            let timeout = job.and_then(|job| job.plan.as_deref()?.timeout);
            let Some(((since, before), (job, timeout))) =
                self.clocks.get(&id).copied().zip(job.zip(timeout))
            else {
                continue;
            };
            let elapsed = before.saturating_add(cx.now().since(since));
            let owner = job.owner.fence;
            let command = if elapsed >= timeout {
                cx.count(Stat::JobTimedOut);
                let reason = format!("it ran for its timeout of {timeout:?}");
                let cause = CancelCause::TimedOut { reason };
                GateCommand::Cancel { job: id, cause, workflow: None, owner: Some(owner) }
            } else {
                GateCommand::Ran { job: id, elapsed, owner }
            };
            self.timers.set(id, cx.now().after(wait(timeout, elapsed)));
            wishes.push(Wish::Propose { job: id, part: None, command });
        }
        wishes
    }

    /// When something is due.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, _)| Wake { at, why: "a job's timeout" })
    }

    /// Whether nothing is counted.
    pub(super) fn is_idle(&self) -> bool {
        self.clocks.is_empty() && self.timers.is_empty()
    }
}

fn wait(timeout: Duration, elapsed: Duration) -> Duration {
    let left = timeout.saturating_sub(elapsed);
    let tick = (timeout / 8).clamp(TICK_LEAST, TICK_MOST);
    if left.is_zero() { TICK_LEAST } else { left.min(tick) }
}
