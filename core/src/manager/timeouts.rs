//! `timeout` of a job while every gate is silent: the datacenter ends its part by itself.
//!
//! The gate that owns the job decides its timeout. Only when no gate was heard for
//! `gate_silence` and the part has run for its job's timeout is it failed here. How long it ran is
//! committed from time to time, so that another leader goes on from there. When gates are back,
//! whatever the owner decided first stands: a part that has ended reports so, and a cancel of it
//! changes nothing.
//!
//! Invariant: timeout-honest.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::Manager;
use super::models::{ManagerCommand, Part};
use crate::ids::JobId;
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;

/// What a reason of such an end begins with.
pub const TIMED_OUT: &str = "timed out while every gate was silent";

/// How long a part ran is committed so often at most.
const TICK_LEAST: Duration = Duration::from_secs(1);
/// How long a part ran is committed so often at least.
const TICK_MOST: Duration = Duration::from_secs(10);

/// Begun parts of jobs that have a timeout. Volatile.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeouts {
    /// Since when this life counts, and what was committed before.
    clocks: BTreeMap<JobId, (Instant, Duration)>,
    timers: Timers<JobId>,
}

impl Timeouts {
    /// A part was begun or is being ended, or this life leads.
    pub(super) fn watch(&mut self, now: Instant, part: &Part) {
        let job = part.id.job;
        let counts = part.begun && !part.cancelled && !part.is_ended();
        let Some(timeout) = part.plan.timeout.filter(|_| counts) else { return self.forget(job) };
        if let Entry::Vacant(vacant) = self.clocks.entry(job) {
            vacant.insert((now, part.elapsed));
            self.timers.set(job, now.after(wait(timeout, part.elapsed)));
        }
    }

    /// The part does not run any more.
    pub(super) fn forget(&mut self, job: JobId) {
        self.clocks.remove(&job);
        self.timers.cancel(&job);
    }

    /// When something is due.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, _)| Wake { at, why: "a job's timeout" })
    }

    /// Whether nothing is counted.
    pub(super) fn is_empty(&self) -> bool {
        self.clocks.is_empty() && self.timers.is_empty()
    }
}

impl Manager {
    /// Commits how long parts ran, and ends those whose time is up while gates are silent.
    pub(super) fn on_timeouts(&mut self, cx: &mut Cx<'_>) {
        while let Some(job) = self.timeouts.timers.pop_due(cx.now()) {
            let Some(part) = self.ledger.of_job(job).filter(|part| !part.is_ended()) else {
                self.timeouts.forget(job);
                continue;
            };
            let clock = self.timeouts.clocks.get(&job).copied();
            let Some(((since, before), timeout)) = clock.zip(part.plan.timeout) else { continue };
            let elapsed = before.saturating_add(cx.now().since(since));
            let heard = self.gate_loss.heard().max(since);
            let is_silent = cx.now() >= heard.after(self.config.gate_silence);
            let part = part.id;
            let command = if elapsed >= timeout && is_silent {
                cx.count(Stat::PartTimedOut);
                let reason = format!("{TIMED_OUT}: it ran for {timeout:?}");
                ManagerCommand::Fail { part, workflow: None, reason }
            } else {
                ManagerCommand::Ran { part, elapsed }
            };
            let ends = matches!(command, ManagerCommand::Fail { .. });
            // Once its end is in the log there is nothing to count any more.
            if !(self.propose(cx, command) && ends) {
                self.timeouts.timers.set(job, cx.now().after(wait(timeout, elapsed)));
            }
        }
    }
}

fn wait(timeout: Duration, elapsed: Duration) -> Duration {
    let left = timeout.saturating_sub(elapsed);
    let tick = (timeout / 8).clamp(TICK_LEAST, TICK_MOST);
    if left.is_zero() { tick } else { left.min(tick) }
}
