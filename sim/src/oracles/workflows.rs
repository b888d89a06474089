//! Workflows: started once, only after what they depend on, by legal moves, and never again after
//! their end.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::ids::{JobId, LogIndex, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::plan::{Plan, When};
use hyperscale_core::report::{JobStatus, WorkflowStatus};

use super::{Oracle, Seen, View, Wants, broken};

/// Datacenter, job, workflow.
type Key = (u16, JobId, WorkflowIx);

/// After a workflow's end is committed none of its runs issues anything, and nothing is assigned
/// for it.
#[derive(Debug, Default)]
pub(super) struct NoResurrection {
    /// When it was first seen to have ended, and the last entry that the manager had acted on
    /// which showed it.
    ended: BTreeMap<Key, (u64, LogIndex)>,
    judged: u64,
}

impl Oracle for NoResurrection {
    fn inv(&self) -> Inv {
        Inv::NoResurrection
    }
    fn wants(&self) -> Wants {
        Wants::APPLIED.and(Wants::OVER)
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Applied { host, index } => {
                for (key, status) in statuses(view, *host) {
                    if status.is_terminal() {
                        self.ended.entry(key).or_insert((view.now, *index));
                    } else if self.ended.get(&key).is_some_and(|(_, at)| at <= index) {
                        return broken(self.inv(), format!("{key:?} ended and is {status:?}"));
                    }
                }
            }
            Seen::Over => {
                for run in &view.truth.runs {
                    let key = (run.datacenter, run.run.shard.job, run.run.shard.workflow);
                    let Some((ended, _)) = self.ended.get(&key) else { continue };
                    self.judged += 1;
                    if run.last_request > *ended {
                        return broken(
                            self.inv(),
                            format!(
                                "{:?} sent a request at {} ns, its workflow ended at {ended} ns",
                                run.run, run.last_request
                            ),
                        );
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A workflow starts only after all it depends on ended as its `when` requires.
#[derive(Debug, Default)]
pub(super) struct DagOrder {
    plans: BTreeMap<(u16, JobId), Plan>,
    ended: BTreeMap<Key, WorkflowStatus>,
    started: BTreeSet<Key>,
    judged: u64,
}

impl Oracle for DagOrder {
    fn inv(&self) -> Inv {
        Inv::DagOrder
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::APPLIED)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => {
                if let Record::Manager(entry) = &chosen.record
                    && let Some(ManagerCommand::Accept { part, plan, .. }) = entry.command()
                    && let Some(datacenter) = group.datacenter()
                {
                    let plan = || (**plan).clone();
                    self.plans.entry((datacenter, part.job)).or_insert_with(plan);
                }
            }
            Seen::Applied { host, .. } => {
                for (key, status) in statuses(view, *host) {
                    if status.is_terminal() {
                        self.ended.insert(key, status);
                    } else if status != WorkflowStatus::Pending && self.started.insert(key) {
                        self.on_started(key)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl DagOrder {
    fn on_started(&mut self, key: Key) -> Result<(), Violation> {
        let plan = self.plans.get(&(key.0, key.1));
        let Some(workflow) = plan.and_then(|p| p.workflows.get(usize::from(key.2.get()))) else {
            return broken(self.inv(), format!("{key:?} is not of an accepted plan"));
        };
        let mut failed = workflow.after.is_empty();
        for dependency in &workflow.after {
            self.judged += 1;
            let status = self.ended.get(&(key.0, key.1, *dependency));
            let held = match workflow.when {
                When::Ok => status == Some(&WorkflowStatus::Completed),
                When::Always | When::Failed => status.is_some(),
            };
            if !held {
                return broken(
                    self.inv(),
                    format!("{key:?} began while {dependency:?} was {status:?}"),
                );
            }
            failed |= status == Some(&WorkflowStatus::Failed);
        }
        if workflow.when == When::Failed && !failed {
            return broken(self.inv(), format!("{key:?} began and nothing had failed"));
        }
        Ok(())
    }
}

/// Every change of a workflow's or job's status is a legal move, or several.
#[derive(Debug, Default)]
pub(super) struct LifecycleLegal {
    /// As each manager last showed them.
    workflows: BTreeMap<(u16, Key), WorkflowStatus>,
    /// As each gate last showed them.
    jobs: BTreeMap<(u16, JobId), JobStatus>,
    judged: u64,
}

impl Oracle for LifecycleLegal {
    fn inv(&self) -> Inv {
        Inv::LifecycleLegal
    }
    fn wants(&self) -> Wants {
        Wants::APPLIED.and(Wants::LIVES)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            // It starts over from its last snapshot.
            Seen::Booted { host, .. } => {
                self.workflows.retain(|(of, _), _| of != host);
                self.jobs.retain(|(of, _), _| of != host);
            }
            Seen::Applied { host, .. } => {
                for (key, status) in statuses(view, *host) {
                    let before = self.workflows.insert((*host, key), status);
                    let before = before.unwrap_or(WorkflowStatus::Pending);
                    if before != status {
                        self.judged += 1;
                        if before.is_terminal() || rank(status) < rank(before) {
                            return broken(
                                self.inv(),
                                format!("{key:?}: {before:?} to {status:?}"),
                            );
                        }
                        let left_cancelling = before == WorkflowStatus::Cancelling;
                        if left_cancelling && status == WorkflowStatus::Completed {
                            return broken(
                                self.inv(),
                                format!("{key:?}: {before:?} to {status:?}"),
                            );
                        }
                    }
                }
                for (id, job) in view.gate(*host).into_iter().flat_map(|gate| gate.jobs()) {
                    let before = self.jobs.insert((*host, id), job.status);
                    let before = before.unwrap_or(JobStatus::Submitted);
                    if before != job.status {
                        self.judged += 1;
                        let back = job_rank(job.status) < job_rank(before)
                            && before != JobStatus::Dispatching;
                        if before.is_terminal() || back {
                            return broken(
                                self.inv(),
                                format!("{id:?}: {before:?} to {:?}", job.status),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn rank(status: WorkflowStatus) -> u8 {
    match status {
        WorkflowStatus::Pending => 0,
        WorkflowStatus::Dispatched => 1,
        WorkflowStatus::Running => 2,
        WorkflowStatus::Cancelling => 3,
        WorkflowStatus::Completed
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled
        | WorkflowStatus::Skipped => 4,
    }
}

fn job_rank(status: JobStatus) -> u8 {
    match status {
        JobStatus::Queued | JobStatus::Submitted => 0,
        JobStatus::Dispatching => 1,
        JobStatus::Running => 2,
        JobStatus::Cancelling => 3,
        JobStatus::Completed
        | JobStatus::Failed
        | JobStatus::Cancelled
        | JobStatus::TimedOut
        | JobStatus::Partial => 4,
    }
}

/// Every workflow of the parts in the ledger of the manager at a place, with its status.
fn statuses<'a>(view: &'a View<'_>, host: u16) -> impl Iterator<Item = (Key, WorkflowStatus)> + 'a {
    view.manager(host).into_iter().flat_map(|(datacenter, manager)| {
        manager.parts().flat_map(move |part| {
            let job = part.id.job;
            part.states().map(move |(ix, state)| ((datacenter, job, ix), state.status))
        })
    })
}
