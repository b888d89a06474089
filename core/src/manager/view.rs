//! The manager as operators, tests and oracles may look at it: read-only.

use super::*;

impl Manager {
    /// Every part of the ledger.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.ledger.parts()
    }

    /// The ledger.
    pub fn ledger(&self) -> &ManagerLedger {
        &self.ledger
    }

    /// A workflow's status.
    pub fn workflow_status(&self, part: PartId, workflow: WorkflowIx) -> Option<WorkflowStatus> {
        self.ledger.part(part)?.status(workflow)
    }

    /// The latest run of every shard, with what the ledger says of it.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, &Run)> {
        self.ledger
            .runs()
            .map(|(shard, run)| (RunId { shard, fence: self.group.fence(run.index) }, run))
    }

    /// Plan time of a running workflow.
    pub fn plan_time(&self, part: PartId, workflow: WorkflowIx, now: Instant) -> Option<PlanTime> {
        self.leases.plan_time(WorkflowKey { job: part.job, workflow }, now)
    }

    /// Every open run that this life may have confirmed, or takes to be: with the highest ceiling
    /// it was given.
    pub fn ceilings(&self) -> impl Iterator<Item = (RunId, u64)> {
        let confirmed = self.leases.iter().filter(|lease| lease.was_confirmed());
        confirmed.map(|lease| (lease.run, lease.given))
    }

    /// Whether this node leads, and an entry of its term is committed and applied.
    pub fn leads(&self) -> bool {
        self.led && self.group.leads()
    }

    /// The group, read-only.
    pub fn group(&self) -> &Group<ManagerCommand> {
        &self.group
    }

    /// Whether nothing of any job is held but tombstones.
    pub fn is_idle(&self) -> bool {
        self.ledger.parts().next().is_none() && self.holds_nothing()
    }

    /// Whether nothing of any job is held beside the ledger.
    pub(super) fn holds_nothing(&self) -> bool {
        self.leases.is_empty()
            && self.dispatch.is_empty()
            && self.sync.is_empty()
            && self.expiry.is_empty()
            && self.timeouts.is_empty()
            && self.health.is_empty()
            && self.pending.len() == 0
            && self.not_before.is_empty()
            && self.registry.promised() == 0
    }
}
