//! Ending runs of workflows that a committed cancel or failure stops: `Stop` until the worker says
//! it ended, or until its last possible confirmation has expired. A run that was never confirmed
//! ends at once.
//!
//! Invariants: cancel-bounded (no confirmation after the cancel's append, see `leadership`),
//! no-resurrection.

use std::collections::BTreeMap;

use super::Manager;
use super::models::WorkflowKey;
use crate::bounded::BoundedVec;
use crate::ids::{BootId, JobId, NodeId, RunId};
use crate::machine::Cx;
use crate::report::WorkflowStatus;
use crate::stat::Stat;
use crate::wire::{Confirm, Verdict, VerdictKind};

/// A verdict and whom it is for.
pub(super) type Addressed = (NodeId, BootId, RunId, VerdictKind);

impl Manager {
    /// A cancel or a failure is committed.
    pub(super) fn stop_part(&mut self, cx: &mut Cx<'_>, job: JobId) {
        let stopped = self.ledger.of_job(job).map(|part| {
            let stopped = |status: WorkflowStatus| match status {
                WorkflowStatus::Pending | WorkflowStatus::Dispatched | WorkflowStatus::Running => {
                    false
                }
                WorkflowStatus::Cancelling
                | WorkflowStatus::Completed
                | WorkflowStatus::Failed
                | WorkflowStatus::Cancelled
                | WorkflowStatus::Skipped => true,
            };
            part.states().filter(|(_, s)| stopped(s.status)).map(|(ix, _)| ix).collect::<Vec<_>>()
        });
        for workflow in stopped.unwrap_or_default() {
            self.dispatch.close_workflow(WorkflowKey { job, workflow });
        }
        self.stop_runs(cx, job);
        self.walk(cx, job);
    }

    /// Tells the workers of a job's stopped workflows to end their runs.
    pub(super) fn stop_runs(&mut self, cx: &mut Cx<'_>, job: JobId) {
        let mut stops: Vec<Addressed> = Vec::new();
        let mut unconfirmed = Vec::new();
        for lease in self.leases.of_job(job) {
            let state = self.ledger.workflow(WorkflowKey::of(lease.run.shard));
            if state.is_none_or(|state| state.status != WorkflowStatus::Cancelling) {
                continue;
            }
            if lease.was_confirmed() {
                stops.push((lease.worker, lease.boot, lease.run, VerdictKind::Stop));
            } else {
                unconfirmed.push(lease.run.shard);
            }
        }
        cx.count_many(Stat::RunRevoked, u64::try_from(stops.len()).unwrap_or(u64::MAX));
        self.push(cx, stops);
        for shard in unconfirmed {
            self.fail_open_run(cx, shard, "stopped before it started");
        }
    }

    /// Sends verdicts without waiting for the next heartbeat, as answers to the newest one.
    pub(super) fn push(&mut self, cx: &mut Cx<'_>, verdicts: Vec<Addressed>) {
        let mut by_worker: BTreeMap<(NodeId, BootId), Vec<Verdict>> = BTreeMap::new();
        for (worker, boot, run, kind) in verdicts {
            by_worker.entry((worker, boot)).or_default().push(Verdict { run, kind });
        }
        for ((worker, boot), verdicts) in by_worker {
            let Some(seq) = self.registry.newest_seq(worker, boot) else { continue };
            self.confirm(cx, worker, (boot, seq), verdicts);
        }
    }

    /// Sends one confirmation, while the leader's lease lasts. It rests on the ledger's last entry:
    /// what it confirms is committed.
    pub(super) fn confirm(
        &mut self,
        cx: &mut Cx<'_>,
        worker: NodeId,
        (boot, seq): (BootId, u64),
        mut verdicts: Vec<Verdict>,
    ) {
        if !self.may_speak(cx) {
            return;
        }
        verdicts.truncate(crate::limits::RUNS_PER_WORKER_MAX);
        let Ok(verdicts) = BoundedVec::try_from(verdicts) else { return };
        let confirm = Confirm { boot, seq, verdicts };
        cx.out.send_resting_on(self.group.committed_lsn(), worker, confirm);
    }
}
