//! How what runs gets on: the progress signal of workers, and what is done about a run that is
//! stuck while others go on.
//!
//! Inputs: what heartbeats list of running runs, plan time, once a second for each workflow.
//! A run is judged by the items it issued or dropped against the items due by its plan in the same
//! window. An executor without a schedule gets on as long as something is issued within the longest
//! iteration that its flow allows.
//!
//! A worker with a stuck run gets no new ones. When a run was stuck for `stuck_after`, with more
//! time for whatever it gets on, its worker gives it away like one that leaves: stop, or the end of
//! its last confirmation, then another worker. When more than half of the workers that run
//! something are stuck, nothing is moved: it is not them. If then every run of a workflow is
//! overdue it fails.
//!
//! Invariants: run-exclusive (a stuck run ends by acknowledgement or expiry only), route-sane.
//! Does not do: silence of workers (`registry`), leases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Manager;
use super::leases::Lease;
use super::models::{ManagerCommand, WorkflowKey};
use super::stats::planned_span;
use crate::health::signals::{Extensions, Pace, Signals, Verdict, holds_evictions};
use crate::ids::{NodeId, RunId, ShardId};
use crate::machine::Cx;
use crate::plan::{PlanTime, Step, Workflow};
use crate::report::WorkflowStatus;
use crate::stat::Stat;
use crate::time::Instant;

/// Workers are judged at most so often, however many workflows run.
const JUDGED_EVERY: Duration = Duration::from_millis(500);

/// How a run gets on.
#[derive(Clone, Copy, Debug)]
struct Track {
    run: RunId,
    worker: NodeId,
    /// The last item it came to, and when.
    reached: (u64, Instant),
    /// Where the window began: when, what it had come to, what was due.
    window: (Instant, u64, u64),
    pace: Pace,
    /// Stuck from here on, put off by extensions.
    stuck_from: Option<Instant>,
    extensions: Extensions,
    is_overdue: bool,
}

/// The progress signal. Volatile.
#[derive(Clone, Debug)]
pub(super) struct Health {
    runs: BTreeMap<ShardId, Track>,
    /// Workers whose last alert said that they are stuck.
    stuck: BTreeSet<NodeId>,
    is_holding: bool,
    /// When workers were judged last.
    judged: Instant,
}

impl Health {
    pub(super) fn new() -> Self {
        let (runs, stuck) = (BTreeMap::new(), BTreeSet::new());
        Self { runs, stuck, is_holding: false, judged: Instant::ZERO }
    }

    /// Whether a worker gets no new runs.
    pub(super) fn is_stuck(&self, worker: NodeId) -> bool {
        !self.is_holding && self.stuck.contains(&worker)
    }

    /// Whether a run is to be given away.
    pub(super) fn is_evicted(&self, shard: ShardId) -> bool {
        !self.is_holding && self.runs.get(&shard).is_some_and(|track| track.is_overdue)
    }

    /// The shard's run ended.
    pub(super) fn forget(&mut self, shard: ShardId) {
        let Some(track) = self.runs.remove(&shard) else { return };
        let worker = track.worker;
        if self.stuck.contains(&worker)
            && !self.runs.values().any(|t| t.worker == worker && t.pace == Pace::Stuck)
        {
            self.stuck.remove(&worker);
        }
    }

    /// Whether nothing of any job is held.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    fn observe(&mut self, lease: &Lease, seen: Seen, wait: Duration) {
        let Seen { now, next, due, is_open, longest, window } = seen;
        let fresh = Track {
            run: lease.run,
            worker: lease.worker,
            reached: (next, now),
            window: (now, next, due),
            pace: Pace::Idle,
            stuck_from: None,
            extensions: Extensions::new(next),
            is_overdue: false,
        };
        let track = self.runs.entry(lease.run.shard).or_insert(fresh);
        if track.run != lease.run {
            *track = fresh;
        }
        if next > track.reached.0 {
            track.reached = (next, now);
        }
        let (from, before, due_before) = track.window;
        if is_open && now.since(from) >= window {
            track.pace = Pace::of(next.saturating_sub(before), due.saturating_sub(due_before));
            track.window = (now, next, due);
        } else if !is_open {
            let allowed = window.saturating_add(longest);
            let is_late = now.since(track.reached.1) > allowed;
            track.pace = if is_late { Pace::Stuck } else { Pace::Normal };
        }
        if track.pace != Pace::Stuck {
            track.stuck_from = None;
            track.is_overdue = false;
            track.extensions = Extensions::new(next);
            return;
        }
        let from = *track.stuck_from.get_or_insert(now);
        if now >= from.after(wait) {
            match track.extensions.ask(next) {
                Some(grant) => track.stuck_from = Some(from.after(grant)),
                None => track.is_overdue = true,
            }
        }
    }

    /// Says once when a worker becomes stuck and when it is not any more.
    fn alert(&mut self, cx: &mut Cx<'_>, signals: impl Fn(NodeId, Pace) -> Signals) {
        if cx.now() < self.judged.after(JUDGED_EVERY) {
            return;
        }
        self.judged = cx.now();
        let mut paces: BTreeMap<NodeId, Pace> = BTreeMap::new();
        for track in self.runs.values() {
            let pace = paces.entry(track.worker).or_insert(track.pace);
            *pace = (*pace).max(track.pace);
        }
        let is_stuck = |(worker, pace): &(&NodeId, &Pace)| {
            signals(**worker, **pace).verdict() == Verdict::Evict
        };
        let stuck = paces.iter().filter(is_stuck).map(|(worker, _)| *worker);
        let stuck = stuck.collect::<BTreeSet<_>>();
        for worker in stuck.difference(&self.stuck) {
            cx.count(Stat::WorkerStuck);
            tracing::warn!(?worker, "a worker's runs do not get on");
        }
        for worker in self.stuck.difference(&stuck) {
            cx.count(Stat::WorkerRecovered);
            tracing::info!(?worker, "a worker's runs get on again, or ended");
        }
        let is_holding = holds_evictions(stuck.len(), paces.len());
        if is_holding && !self.is_holding {
            cx.count(Stat::EvictionsHeld);
            tracing::warn!(stuck = stuck.len(), of = paces.len(), "most workers seem stuck");
        }
        self.is_holding = is_holding;
        self.stuck = stuck;
    }
}

/// What is seen of a run.
#[derive(Clone, Copy, Debug)]
struct Seen {
    now: Instant,
    /// The next item.
    next: u64,
    /// Items due by now.
    due: u64,
    /// It has a schedule.
    is_open: bool,
    /// The longest that one iteration may take.
    longest: Duration,
    /// In which it is judged.
    window: Duration,
}

impl Manager {
    /// Looks how the runs of a workflow get on.
    pub(super) fn review(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        let now = cx.now();
        let Some(part) = self.ledger.of_job(key.job) else { return };
        let Some(planned) = part.planned(key.workflow) else { return };
        let Some(at) = self.leases.plan_time(key, now) else { return };
        if part.status(key.workflow) != Some(WorkflowStatus::Running) {
            return;
        }
        let is_open = planned.executor.schedule().is_some();
        let longest = longest_iteration(planned);
        let beats = self.config.lease.heartbeat_interval();
        let window = window(self.config.stuck_after).max(beats * 4);
        let is_over = at < PlanTime::ZERO
            || planned_span(&planned.executor).is_some_and(|span| at >= PlanTime::at(span));
        for lease in self.leases.of_workflow(key) {
            let shard = lease.run.shard;
            let wants = lease.executor.local_items(&lease.share);
            match lease.running_next() {
                // Waiting for a ceiling, being done or silent is not being stuck.
                Some((next, at_heard))
                    if !is_over
                        && now.since(at_heard) <= beats * 3
                        && next < lease.given
                        && wants.is_none_or(|wants| next < wants) =>
                {
                    let due = lease.executor.local_items_due_by(&lease.share, at);
                    let seen = Seen { now, next, due, is_open, longest, window };
                    self.health.observe(lease, seen, self.config.stuck_after);
                }
                Some(_) | None => self.health.forget(shard),
            }
        }
        let registry = &self.registry;
        self.health.alert(cx, |worker, pace| Signals {
            is_live: registry.is_known(worker),
            is_ready: !registry.is_draining(worker),
            pace,
        });
        self.fail_if_stuck(cx, key);
    }

    /// Nothing of a workflow gets on, and moving it would not help.
    fn fail_if_stuck(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        let is_overdue = |lease: &Lease| {
            let track = self.health.runs.get(&lease.run.shard);
            track.is_some_and(|track| track.is_overdue)
        };
        let is_stuck = self.leases.of_workflow(key).next().is_some()
            && self.leases.of_workflow(key).all(is_overdue);
        let Some(part) = self.ledger.of_job(key.job).map(|part| part.id) else { return };
        if !self.health.is_holding || !is_stuck {
            return;
        }
        cx.count(Stat::WorkflowStuck);
        let reason = format!("stuck: nothing was issued for {:?}", self.config.stuck_after);
        let workflow = Some(key.workflow);
        self.propose(cx, ManagerCommand::Fail { part, workflow, reason });
    }
}

/// The window in which a run is judged.
fn window(stuck_after: Duration) -> Duration {
    (stuck_after / 8).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

/// Every request up to its timeout, and every pause at its longest.
fn longest_iteration(workflow: &Workflow) -> Duration {
    workflow.flow.iter().fold(Duration::ZERO, |sum, step| {
        sum.saturating_add(match step {
            Step::Request(step) => step.timeout,
            Step::Think { max, .. } => *max,
        })
    })
}
