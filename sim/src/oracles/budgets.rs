//! retry-budget: shards given away again after a failure or a loss, counted from the committed log.

use std::collections::BTreeMap;

use hyperscale_core::ids::{JobId, LogIndex, NodeId, RunId, ShardId, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::{ManagerCommand, RunOutcome};
use hyperscale_core::plan::Plan;

use super::{Oracle, Seen, View, Wants, broken};

/// Whose budget: datacenter, job, workflow or all of it, and whether workers were lost.
type Account = (u16, JobId, Option<WorkflowIx>, bool);

/// Retries stay within the budgets of the plan.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    plans: BTreeMap<(u16, JobId), Plan>,
    /// Runs that ended without having done their work: whether they were lost.
    ended: BTreeMap<(u16, RunId), bool>,
    /// The newest run of every shard.
    runs: BTreeMap<(u16, ShardId), (RunId, NodeId)>,
    used: BTreeMap<Account, u32>,
    /// The last retry after a failure of a worker.
    last: BTreeMap<(Account, NodeId), LogIndex>,
    judged: u64,
}

impl Oracle for RetryBudget {
    fn inv(&self) -> Inv {
        Inv::RetryBudget
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::APPLIED)
    }
    fn is_wide(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => {
                let Some(datacenter) = group.datacenter() else { return Ok(()) };
                let Record::Manager(entry) = &chosen.record else { return Ok(()) };
                match entry.command() {
                    Some(ManagerCommand::Accept { part, plan, .. }) => {
                        let plan = || (**plan).clone();
                        self.plans.entry((datacenter, part.job)).or_insert_with(plan);
                    }
                    Some(ManagerCommand::EndRun { run, outcome, .. }) => {
                        let lost = match outcome {
                            RunOutcome::Completed | RunOutcome::Stopped => return Ok(()),
                            RunOutcome::Failed { .. } => false,
                            RunOutcome::Lost | RunOutcome::Vacated { .. } => true,
                        };
                        self.ended.entry((datacenter, *run)).or_insert(lost);
                    }
                    _ => {}
                }
                Ok(())
            }
            Seen::Applied { host, .. } => {
                let Some((datacenter, manager)) = view.manager(*host) else { return Ok(()) };
                let mut fresh: Vec<_> = manager
                    .runs()
                    .filter(|(id, _)| {
                        let known = self.runs.get(&(datacenter, id.shard));
                        known.is_none_or(|(known, _)| known.fence.index < id.fence.index)
                    })
                    .map(|(id, run)| (id, run.worker))
                    .collect();
                fresh.sort_by_key(|(id, _)| id.fence.index);
                fresh.into_iter().try_for_each(|(id, worker)| self.on_run(datacenter, id, worker))
            }
            _ => Ok(()),
        }
    }
}

impl RetryBudget {
    fn on_run(&mut self, datacenter: u16, id: RunId, worker: NodeId) -> Result<(), Violation> {
        let before = self.runs.insert((datacenter, id.shard), (id, worker));
        let Some((before, failed)) = before else { return Ok(()) };
        let Some(lost) = self.ended.remove(&(datacenter, before)) else { return Ok(()) };
        let shard = id.shard;
        let Some(plan) = self.plans.get(&(datacenter, shard.job)) else { return Ok(()) };
        let of_job = u32::from(plan.retries);
        let workflow = plan.workflows.get(usize::from(shard.workflow.get()));
        let of_workflow = workflow.map_or(0, |workflow| u32::from(workflow.retries));
        let budgets = match lost {
            true => vec![(None, (of_job * 5).max(10))],
            false => vec![(None, of_job), (Some(shard.workflow), of_workflow)],
        };
        for (workflow, most) in budgets {
            let account = (datacenter, shard.job, workflow, lost);
            let incident = (account, failed);
            if self.last.get(&incident).is_some_and(|last| *last > before.fence.index) {
                continue;
            }
            self.last.insert(incident, id.fence.index);
            let used = self.used.get(&account).map_or(1, |used| used + 1);
            self.used.insert(account, used);
            self.judged += 1;
            if used > most {
                return broken(
                    self.inv(),
                    format!("{id:?} is retry {used} of {account:?}, {most} are allowed"),
                );
            }
        }
        Ok(())
    }
}
