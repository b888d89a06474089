//! Putting commands into the group's log and taking up what an earlier life left.
//!
//! A command is in flight at most once: its intent stays pending from its append to its commit.
//! That also closes hole 5: from the append of an entry that ends, cancels or moves a run, the run
//! is not confirmed any more.
//! Before an entry of this life's term is committed nothing is confirmed, answered or decided.

use std::collections::BTreeSet;

use super::Manager;
use super::models::{ManagerCommand, WorkflowKey};
use crate::consensus::Input as GroupInput;
use crate::ids::{JobId, PartId, RunId, ShardId, WorkflowIx};
use crate::journal::{LedgerSnapshot, Snapshot};
use crate::machine::{Cx, Machine as _};
use crate::plan::shares;
use crate::report::WorkflowStatus;
use crate::stat::Stat;

/// What a command is about; two commands of one intent are never in flight together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Intent {
    Accept(JobId),
    Begin(JobId),
    Cancel(PartId, Option<WorkflowIx>),
    Split(WorkflowKey),
    Assign(ShardId),
    Started(WorkflowKey),
    Advanced(WorkflowKey),
    EndRun(ShardId),
    EndWorkflow(WorkflowKey),
    Close(JobId),
    Fail(JobId, Option<WorkflowIx>),
}

impl Intent {
    /// The intent of a command.
    pub(super) fn of(command: &ManagerCommand) -> Self {
        let key = |part: &PartId, workflow: &WorkflowIx| WorkflowKey {
            job: part.job,
            workflow: *workflow,
        };
        match command {
            ManagerCommand::Accept { part, .. } => Self::Accept(part.job),
            ManagerCommand::Begin { part, .. } => Self::Begin(part.job),
            ManagerCommand::Cancel { part, workflow, .. } => Self::Cancel(*part, *workflow),
            ManagerCommand::Split { part, workflow, .. } => Self::Split(key(part, workflow)),
            ManagerCommand::Assign { shard, .. } => Self::Assign(*shard),
            ManagerCommand::Started { part, workflow } => Self::Started(key(part, workflow)),
            ManagerCommand::Advanced { part, workflow, .. } => Self::Advanced(key(part, workflow)),
            ManagerCommand::EndRun { run, .. } => Self::EndRun(run.shard),
            ManagerCommand::EndWorkflow { part, workflow, .. } => {
                Self::EndWorkflow(key(part, workflow))
            }
            ManagerCommand::Close { part } => Self::Close(part.job),
            ManagerCommand::Fail { part, workflow, .. } => Self::Fail(part.job, *workflow),
        }
    }
}

/// Intents of commands that are appended and not committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(BTreeSet<Intent>);

impl Pending {
    /// Whether such a command is in flight.
    pub(super) fn holds(&self, intent: &Intent) -> bool {
        self.0.contains(intent)
    }

    /// Whether a command in flight ends, cancels or moves the run.
    pub(super) fn ends(&self, part: PartId, run: RunId) -> bool {
        let workflow = Some(run.shard.workflow);
        !self.0.is_empty()
            && (self.holds(&Intent::EndRun(run.shard))
                || self.holds(&Intent::Cancel(part, None))
                || self.holds(&Intent::Cancel(part, workflow))
                || self.holds(&Intent::Fail(part.job, None))
                || self.holds(&Intent::Fail(part.job, workflow)))
    }

    /// How many commands are in flight.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Manager {
    /// Puts a command into the log unless one of its intent is in flight. Whether it went in.
    pub(super) fn propose(&mut self, cx: &mut Cx<'_>, command: ManagerCommand) -> bool {
        if !self.pending.0.insert(Intent::of(&command)) {
            return false;
        }
        let events = self.group.handle(cx, GroupInput::Propose(command));
        self.events.extend(events);
        true
    }

    /// A command left the flight.
    pub(super) fn settle_intent(&mut self, command: &ManagerCommand) {
        self.pending.0.remove(&Intent::of(command));
    }

    /// This life leads: every open run counts as confirmed now, plan time goes on, gates are told.
    pub(super) fn on_led(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let mut unstarted = Vec::new();
        for part in self.ledger.parts() {
            self.gate_loss.watch(now, part);
            for (workflow, state) in part.states() {
                let key = WorkflowKey { job: part.id.job, workflow };
                match state.plan_time {
                    Some(_) if state.status.is_terminal() => {}
                    Some(plan) => self.leases.recover_clock(now, key, plan),
                    None if state.status == WorkflowStatus::Running => unstarted.push(key),
                    None => {}
                }
                let planned = part.planned(workflow).map(|planned| planned.executor);
                let Some((executor, share)) = planned.zip(part.share(workflow)) else { continue };
                let count = u16::try_from(state.shards.len()).unwrap_or(u16::MAX);
                let shares = if count == 0 { Vec::new() } else { shares(&executor, &share, count) };
                for ((id, shard), share) in super::ledger::shards_of(key, state).zip(shares) {
                    let Some(run) = shard.open() else { continue };
                    let run_id = RunId { shard: id, fence: self.group.fence(run.index) };
                    self.leases.recover(cx, run_id, run, (executor, share));
                    if !run.may_have_issued() {
                        self.dispatch.await_ready(now, id, &self.config);
                    }
                }
            }
        }
        for key in unstarted {
            self.fix_plan_time(cx, key);
        }
        let jobs = self.ledger.parts().map(|part| part.id.job).collect::<Vec<_>>();
        for job in jobs {
            self.stop_runs(cx, job);
            self.report_part(cx, job);
            self.walk(cx, job);
        }
    }

    /// Writes a snapshot once enough entries were applied since the last.
    pub(super) fn checkpoint_if_due(&mut self, cx: &mut Cx<'_>) {
        if self.applied_since_snapshot < self.config.checkpoint_entries {
            return;
        }
        self.applied_since_snapshot = 0;
        cx.count(Stat::Checkpointed);
        let snapshot = Snapshot {
            group: self.group.id(),
            term: self.group.term(),
            index: self.group.committed(),
            ledger: LedgerSnapshot::Manager(Box::new(self.ledger.clone())),
        };
        cx.out.checkpoint(self.group.committed_lsn(), snapshot);
    }
}
