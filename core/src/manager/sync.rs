//! Totals upwards: the newest report of every open run, and reports of parts to the gate.
//!
//! A run's report replaces an older one of it (highest sequence wins), so loss, duplication and
//! reordering are harmless.
//! A part is reported at once on every committed change that a gate cares for, every second while
//! it runs, and with back-off while it has ended and is not acknowledged. The receiver is the gate
//! that spoke of the part under the highest fence. Nothing is sent without the leader's lease.
//!
//! Invariants: persist-first (a report's phase is the ledger's, and rests on its last entry),
//! counted-once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Manager;
use super::models::{Part, WorkflowKey, WorkflowState};
use super::windows::Cuts;
use crate::bounded::BoundedVec;
use crate::ids::{Fence, JobId, NodeId, PartId, ShardId, WorkflowIx};
use crate::input::Progress;
use crate::limits;
use crate::machine::{Cx, Wake};
use crate::plan::PlanTime;
use crate::report::{PartResult, WorkflowStatus, WorkflowView};
use crate::stat::Stat;
use crate::stats::{self, Totals};
use crate::time::Instant;
use crate::timers::Timers;
use crate::wire::{PartPhase, PartReport, Report};

/// A part that runs is reported so often.
const LIVE_EVERY: Duration = Duration::from_secs(1);
/// Doublings of the back-off.
const DOUBLINGS_MAX: u32 = 4;

/// The newest report of an open run.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    seq: u64,
    /// Everything that ended before this plan second is in the totals.
    pub(super) second: u32,
    /// The counters at the cut.
    pub(super) progress: Progress,
    /// Totals since the run began.
    pub(super) totals: Box<Totals>,
}

/// Reports in both directions. Volatile.
#[derive(Clone, Debug, Default)]
pub(super) struct Sync {
    counter: u64,
    /// The gate that spoke of a job under the highest fence in this life.
    gates: BTreeMap<JobId, (Fence, NodeId)>,
    pub(super) runs: BTreeMap<ShardId, Reported>,
    /// What those add up to at whole plan seconds.
    pub(super) cuts: Cuts,
    /// When runs ended whose last word is being committed, by their workers' plan time.
    ends: BTreeMap<ShardId, PlanTime>,
    timers: Timers<JobId>,
    tries: BTreeMap<JobId, u32>,
}

impl Sync {
    /// A gate spoke of a job's part under a fence.
    pub(super) fn on_gate(&mut self, job: JobId, gate: NodeId, fence: Fence) {
        let known = self.gates.entry(job).or_insert((fence, gate));
        if fence >= known.0 {
            *known = (fence, gate);
        }
    }

    fn receiver(&self, part: &Part) -> NodeId {
        let heard = self.gates.get(&part.id.job).filter(|(fence, _)| *fence >= part.fence);
        heard.map_or(part.gate, |(_, gate)| *gate)
    }

    /// Takes a report of an open run; an older one than what is known changes nothing.
    pub(super) fn on_report(&mut self, cx: &mut Cx<'_>, report: Report) {
        let shard = report.run.shard;
        if self.runs.get(&shard).is_some_and(|known| known.seq >= report.seq) {
            cx.count(Stat::ReportStale);
            return;
        }
        let Report { seq, second, progress, totals, .. } = report;
        match self.runs.get(&shard) {
            Some(known) => self.cuts.credit(shard, second, &totals.since(&known.totals)),
            None => self.cuts.credit(shard, second, &totals),
        }
        self.runs.insert(shard, Reported { seq, second, progress, totals });
    }

    /// The newest report of a shard's open run.
    pub(super) fn reported(&self, shard: ShardId) -> Option<&Reported> {
        self.runs.get(&shard)
    }

    /// A run ended at a plan time; its last word is being committed.
    pub(super) fn on_last_word(&mut self, shard: ShardId, at: Option<PlanTime>) {
        if let Some(at) = at {
            self.ends.insert(shard, at);
            self.cuts.on_last_word(shard, at);
        }
    }

    /// The end of a shard's run is committed, with what it measured before `until` if its worker
    /// did not say when it ended.
    pub(super) fn end_run(&mut self, shard: ShardId, until: PlanTime, totals: &Totals) {
        let until = self.ends.remove(&shard).unwrap_or(until);
        let known = self.runs.get(&shard).map(|known| &*known.totals);
        self.cuts.on_run_ended(shard, until, (totals, known));
    }

    /// The shard's run ended or another takes over.
    pub(super) fn close_run(&mut self, shard: ShardId) {
        self.runs.remove(&shard);
        self.ends.remove(&shard);
    }

    /// The part is no longer of this ledger.
    pub(super) fn close(&mut self, job: JobId) {
        self.gates.remove(&job);
        self.tries.remove(&job);
        self.timers.cancel(&job);
    }

    /// The next job whose part is to be reported.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<JobId> {
        self.timers.pop_due(now)
    }

    /// When the next report is due.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, _)| Wake { at, why: "report a part" })
    }

    /// Whether nothing of any job is held.
    pub(super) fn is_empty(&self) -> bool {
        self.gates.is_empty()
            && self.runs.is_empty()
            && self.cuts.is_empty()
            && self.ends.is_empty()
            && self.timers.is_empty()
            && self.tries.is_empty()
    }
}

impl Manager {
    /// Tells the gate where a part stands, and sets when it is told again.
    pub(super) fn report_part(&mut self, cx: &mut Cx<'_>, job: JobId) {
        let workflows = self.ledger.of_job(job).map_or(0, |part| part.workflows.len());
        for workflow in (0u16..).map(WorkflowIx::new).take(workflows) {
            self.cut(cx, WorkflowKey { job, workflow });
        }
        let Some(part) = self.ledger.of_job(job) else { return };
        let mut to = self.sync.receiver(part);
        let may_speak = self.may_speak(cx);
        let (id, fence, phase) = (part.id, part.fence, phase(part));
        let mut workflows = BoundedVec::new();
        match phase {
            PartPhase::Running => {
                for (ix, state) in part.states() {
                    if workflows.push(self.view(cx.now(), part, ix, state)).is_err() {
                        break;
                    }
                }
                let mut all = workflows.iter_mut().map(|one: &mut WorkflowView| &mut *one.totals);
                stats::fit(&mut all.by_ref().collect::<Vec<_>>(), limits::TOTALS_CELLS_MAX);
                self.sync.timers.set(job, cx.now().after(LIVE_EVERY));
            }
            PartPhase::Cancelling => self.sync.timers.set(job, cx.now().after(LIVE_EVERY)),
            PartPhase::Ended(_) => {
                let tries = self.sync.tries.entry(job).or_insert(0);
                let wait =
                    self.config.resend_after.saturating_mul(1 << (*tries).min(DOUBLINGS_MAX));
                if *tries > 0 {
                    cx.count(Stat::Resent);
                }
                // Its gate may be gone for good: what has ended is settled by any.
                if *tries >= 2 && !tries.is_multiple_of(2) {
                    to = self.gate_loss.latest().unwrap_or(to);
                }
                *tries = tries.saturating_add(1);
                self.sync.timers.set(job, cx.now().after(wait));
            }
            PartPhase::Refused { .. } | PartPhase::Accepted => {}
        }
        if !may_speak {
            return;
        }
        let seq = self.next_report();
        let report = PartReport { part: id, fence, seq, phase, workflows };
        cx.out.send_resting_on(self.group.committed_lsn(), to, report);
    }

    /// Answers a gate about a part that is not, or no longer, of this ledger.
    pub(super) fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        to: NodeId,
        (part, fence): (PartId, Fence),
        phase: PartPhase,
    ) {
        if !self.may_speak(cx) {
            return;
        }
        let seq = self.next_report();
        let report = PartReport { part, fence, seq, phase, workflows: BoundedVec::new() };
        cx.out.send_resting_on(self.group.committed_lsn(), to, report);
    }

    fn next_report(&mut self) -> (u64, u64) {
        self.sync.counter = self.sync.counter.saturating_add(1);
        (self.group.term().get(), self.sync.counter)
    }

    fn view(
        &self,
        now: Instant,
        part: &Part,
        workflow: WorkflowIx,
        state: &WorkflowState,
    ) -> WorkflowView {
        let key = WorkflowKey { job: part.id.job, workflow };
        let result = state.result.as_deref();
        let (mut vus, mut shards_live) = (0u32, 0u16);
        for lease in self.leases.of_workflow(key) {
            if self.leases.is_live(lease.run, now) {
                vus = vus.saturating_add(lease.share.vus);
                shards_live = shards_live.saturating_add(1);
            }
        }
        let cut = self.sync.cuts.newest(key).filter(|_| result.is_none());
        let totals = match (result, cut) {
            (Some(result), _) => result.totals.clone(),
            (None, Some(cut)) => Box::new(cut.totals.clone()),
            (None, None) => state.totals.clone(),
        };
        let ended = result.map(|result| PlanTime::at(result.ran));
        let plan_time = self.leases.plan_time(key, now).or(ended).unwrap_or_default();
        let shards = result.map_or_else(|| state.shards.len(), |r| usize::from(r.shards));
        WorkflowView {
            workflow,
            status: state.status,
            plan_time,
            vus,
            shards_live,
            shards: u16::try_from(shards).unwrap_or(u16::MAX),
            second: result.map_or(cut.map_or(0, |cut| cut.second), |_| plan_time.second()),
            totals,
            shards_late: cut.map_or(0, |cut| u16::try_from(cut.late).unwrap_or(u16::MAX)),
        }
    }
}

/// Where a part stands.
fn phase(part: &Part) -> PartPhase {
    if part.is_ended() {
        PartPhase::Ended(Box::new(part.result()))
    } else if part.cancelled {
        PartPhase::Cancelling
    } else if part.begun {
        PartPhase::Running
    } else {
        PartPhase::Accepted
    }
}

/// The result of a part that was cancelled before it was accepted.
pub(super) fn cancelled_unseen() -> PartPhase {
    PartPhase::Ended(Box::new(PartResult {
        cancelled: true,
        workers_lost: 0,
        workers: 0,
        workflows: BoundedVec::new(),
    }))
}

/// Whether a status can still change.
pub(super) fn is_open(status: Option<WorkflowStatus>) -> bool {
    status.is_some_and(|status| !status.is_terminal())
}
