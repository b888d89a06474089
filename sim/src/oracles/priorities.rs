//! exclusive-alone and priority-order, from the ledgers of managers.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::ids::{JobId, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::manager::models::Part;
use hyperscale_core::plan::{Plan, Priority, When};
use hyperscale_core::report::WorkflowStatus;

use super::{Oracle, Seen, View, Wants, broken};

type Key = (u16, JobId, WorkflowIx);

/// No open run shares its worker with one of an exclusive workflow.
#[derive(Debug, Default)]
pub(super) struct ExclusiveAlone {
    judged: u64,
}

impl Oracle for ExclusiveAlone {
    fn inv(&self) -> Inv {
        Inv::ExclusiveAlone
    }
    fn wants(&self) -> Wants {
        Wants::APPLIED
    }
    fn is_wide(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Applied { host, .. } = seen else { return Ok(()) };
        let Some((_, manager)) = view.manager(*host) else { return Ok(()) };
        let is_exclusive = |job: JobId, workflow: WorkflowIx| {
            let part = manager.parts().find(|part| part.id.job == job);
            part.and_then(|part| part.plan.workflows.get(usize::from(workflow.get())))
                .is_some_and(|workflow| workflow.priority == Priority::Exclusive)
        };
        let mut held: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (id, run) in manager.runs().filter(|(_, run)| run.ended.is_none()) {
            let workflow = (id.shard.job, id.shard.workflow);
            held.entry((run.worker, run.boot)).or_default().insert(workflow);
        }
        for ((worker, _), workflows) in held {
            if !workflows.iter().any(|(job, workflow)| is_exclusive(*job, *workflow)) {
                continue;
            }
            self.judged += 1;
            if workflows.len() > 1 {
                return broken(self.inv(), format!("{worker} runs {workflows:?}"));
            }
        }
        Ok(())
    }
}

/// A workflow that waits for cores, as a leader's ledger shows it.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: u64,
    rank: u8,
}

/// Cores go to no workflow while one that ranks higher waits.
#[derive(Debug, Default)]
pub(super) struct PriorityOrder {
    leaders: BTreeMap<u16, u16>,
    waiting: BTreeMap<Key, Waiting>,
    /// When the split of a workflow was proposed.
    split: BTreeMap<Key, u64>,
    judged: u64,
}

impl Oracle for PriorityOrder {
    fn inv(&self) -> Inv {
        Inv::PriorityOrder
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
                    && let Some(ManagerCommand::Split { part, workflow, .. }) = entry.command()
                    && let Some(datacenter) = group.datacenter()
                {
                    self.split.insert((datacenter, part.job, *workflow), chosen.appended);
                }
                Ok(())
            }
            Seen::Applied { host, .. } => {
                let Some((datacenter, manager)) = view.manager(*host) else { return Ok(()) };
                if !manager.leads() {
                    return Ok(());
                }
                // Another leader waits anew.
                if self.leaders.insert(datacenter, *host) != Some(*host) {
                    self.waiting.retain(|(of, ..), _| *of != datacenter);
                }
                let parts: Vec<&Part> = manager.parts().collect();
                self.on_leader(view, datacenter, &parts)
            }
            _ => Ok(()),
        }
    }
}

impl PriorityOrder {
    fn on_leader(
        &mut self,
        view: &View<'_>,
        datacenter: u16,
        parts: &[&Part],
    ) -> Result<(), Violation> {
        let mut waiting = BTreeMap::new();
        let mut given = Vec::new();
        for part in parts {
            for (ix, state) in part.states() {
                let key = (datacenter, part.id.job, ix);
                let known = self.waiting.get(&key).copied();
                if is_ready(part, ix) {
                    let fresh = Waiting { since: view.now, rank: rank(&part.plan, ix) };
                    waiting.insert(key, known.unwrap_or(fresh));
                } else if let (Some(known), WorkflowStatus::Dispatched) = (known, state.status) {
                    given.push((key, known));
                }
            }
        }
        self.waiting.retain(|(of, ..), _| *of != datacenter);
        self.waiting.extend(waiting);
        let step = view.case.manager.cores_wait.as_nanos() as u64 / 6;
        for (key, got) in given {
            let Some(at) = self.split.get(&key).copied() else { continue };
            // Clocks of managers may be fast.
            let rises = at.saturating_sub(got.since) * 2 / step.max(1) + 1;
            let rank = u64::from(got.rank) + rises;
            for (other, waits) in self.waiting.range((datacenter, JobId::new(0), ix(0))..) {
                if other.0 != datacenter || waits.since + SLACK_NS > at {
                    continue;
                }
                self.judged += 1;
                if u64::from(waits.rank) >= rank {
                    return broken(
                        self.inv(),
                        format!("{key:?} of rank {} got cores, {other:?} {waits:?}", got.rank),
                    );
                }
            }
        }
        Ok(())
    }
}

/// A leader looks at what waits at least so often.
const SLACK_NS: u64 = 100_000_000;

const fn ix(ix: u16) -> WorkflowIx {
    WorkflowIx::new(ix)
}

/// The priority of a workflow or of what waits for it, whichever is higher.
fn rank(plan: &Plan, workflow: WorkflowIx) -> u8 {
    let own = plan.workflows.get(usize::from(workflow.get())).map_or(0, |w| match w.priority {
        Priority::Low => 0,
        Priority::Auto | Priority::Normal => 1,
        Priority::High => 2,
        Priority::Exclusive => 3,
    });
    let mut later = (0u16..).map(ix).zip(plan.workflows.iter());
    let held_up = later.by_ref().filter(|(_, other)| other.after.contains(&workflow));
    held_up.map(|(other, _)| rank(plan, other)).fold(own, u8::max)
}

/// Whether all that a workflow needs is cores.
fn is_ready(part: &Part, workflow: WorkflowIx) -> bool {
    let status = |ix: WorkflowIx| part.status(ix).unwrap_or(WorkflowStatus::Skipped);
    let Some(planned) = part.planned(workflow) else { return false };
    let ended = planned.after.iter().all(|ix| status(*ix).is_terminal());
    let is = |wanted| planned.after.iter().filter(move |ix| status(**ix) == wanted).count();
    let held = match planned.when {
        When::Ok => is(WorkflowStatus::Completed) == planned.after.len(),
        When::Always => true,
        When::Failed => is(WorkflowStatus::Failed) > 0 || planned.after.is_empty(),
    };
    let waits = status(workflow) == WorkflowStatus::Pending;
    part.begun && !part.cancelled && waits && ended && held
}
