//! The gates' ledger: jobs, idempotency keys and sessions. Changes only in [`GateLedger::apply`],
//! which reads no clock.
//!
//! An entry that an earlier one has overtaken (a begin after a cancel, a second end) changes
//! nothing and says so, so that every replica folds the same log to the same state whatever was in
//! flight when it was proposed. Ids are log positions and live jobs are never dropped: a job that
//! is not here and whose id is not above the newest entry has ended, so no tombstones are kept.
//! What a job's owner decides names the fence it acts under; under any other than the job's it
//! changes nothing.
//! Does not do: decide anything by time, evaluate thresholds (both come with the entry).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::models::{
    Cancel, CancelCause, Decided, Decision, GateCommand, Job, Next, Owner, Part, PartEnd, Session,
    Stopped, may_follow,
};
use super::stats;
use crate::api::Tenant;
use crate::bounded::{BoundedMap, BoundedVec};
use crate::ids::{DiskId, JobId, LogIndex, NodeId, PartId, PartIx, WorkflowIx};
use crate::invariant::{Inv, Violation};
use crate::limits::{
    JOB_HISTORY_MAX, JOBS_LIVE_MAX, KEYS_MAX, PLANS_LIVE_BYTES_MAX, SESSIONS_MAX, THRESHOLDS_MAX,
};
use crate::plan::Plan;
use crate::report::{JobStatus, PartResult, ThresholdOutcome};

const JOBS_MAX: usize = JOBS_LIVE_MAX + JOB_HISTORY_MAX;

/// The ledger.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct GateLedger {
    jobs: BoundedMap<JobId, Job, JOBS_MAX>,
    history: BoundedMap<LogIndex, JobId, JOB_HISTORY_MAX>,
    keys: BoundedMap<String, Key, KEYS_MAX>,
    sessions: BoundedMap<NodeId, Session, SESSIONS_MAX>,
}

/// What an idempotency key stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Key {
    /// The job it made.
    pub job: JobId,
    /// Digest of the plan it came with.
    pub plan_digest: u64,
}

/// What an entry did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// Nothing: an earlier entry had overtaken it.
    Overtaken,
    /// Nothing: the gate that decided it does not own the job any more.
    Fenced(JobId),
    /// Nothing: no room for a job, a key or a session.
    Full,
    /// A job exists.
    Created(JobId),
    /// Nothing: the key had made a job.
    Known(Key),
    /// A part has a datacenter.
    Placed(JobId),
    /// The parts of a job are begun.
    Begun(JobId),
    /// A job, or a workflow of it, is to be ended, by this entry or an earlier one.
    Cancelling(JobId),
    /// Nothing: the job had ended.
    AlreadyEnded(JobStatus),
    /// A part is over.
    PartEnded(JobId),
    /// A job is over.
    JobEnded(JobId),
    /// Old keys are gone.
    Forgot,
    /// A gate has a session.
    Enrolled(NodeId),
    /// A session is over.
    Expired(NodeId),
    /// A job has another owner.
    Owned(JobId),
    /// The turn of a job has come.
    Admitted(JobId),
}

impl GateLedger {
    /// A job.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// All jobs, oldest first.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = (JobId, &Job)> {
        self.jobs.iter().map(|(id, job)| (*id, job))
    }

    /// Jobs that have not ended, oldest first.
    pub fn live(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.jobs().filter(|(_, job)| !job.status.is_terminal())
    }

    /// How many have not ended.
    pub fn live_count(&self) -> usize {
        self.jobs.len().saturating_sub(self.history.len())
    }

    /// Jobs that wait for their turn, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.live().filter(|(_, job)| job.status == JobStatus::Queued)
    }

    /// How many jobs have had their turn and have not ended.
    pub fn admitted_count(&self) -> usize {
        self.live().filter(|(_, job)| job.admitted.is_some()).count()
    }

    /// Encoded bytes of the plans of live jobs.
    pub fn plan_bytes(&self) -> usize {
        let bytes = self.live().map(|(_, job)| usize::try_from(job.plan_bytes).unwrap_or(0));
        bytes.fold(0, usize::saturating_add)
    }

    /// What a key stands for.
    pub fn key(&self, key: &str) -> Option<Key> {
        self.keys.get(key).copied()
    }

    /// How many keys are remembered.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The session of a gate.
    pub fn session(&self, gate: NodeId) -> Option<Session> {
        self.sessions.get(&gate).copied()
    }

    /// Every gate with its session.
    pub fn sessions(&self) -> impl Iterator<Item = (NodeId, Session)> {
        self.sessions.iter().map(|(gate, session)| (*gate, *session))
    }

    /// The gate that has this session, if it is current.
    pub fn holder(&self, session: LogIndex) -> Option<NodeId> {
        self.sessions().find(|(_, held)| held.index == session).map(|(gate, _)| gate)
    }

    /// Changes the state by one committed entry.
    pub fn apply(&mut self, index: LogIndex, command: &GateCommand) -> Applied {
        if let Some((id, owner)) = command.acts_under()
            && self.jobs.get(&id).is_some_and(|job| job.owner.fence != owner)
        {
            return Applied::Fenced(id);
        }
        match command {
            GateCommand::Create { key, plan_digest, plan, session, tenant, slots } => {
                let owner = self.owner(index, *session);
                let created = self.create((key, *plan_digest), plan, owner, tenant);
                if let Applied::Created(job) = created
                    && self.waiting().count() == 1
                    && self.admitted_count() < usize::try_from(*slots).unwrap_or(usize::MAX)
                {
                    self.admit(index, job);
                }
                created
            }
            GateCommand::Place { part, datacenter, decision, .. } => {
                self.place(index, *part, (datacenter, decision))
            }
            GateCommand::Begin { job, offers, .. } => self.begin(index, *job, offers),
            GateCommand::Cancel { job, cause, workflow: None, .. } => {
                self.cancel(index, *job, cause)
            }
            GateCommand::Cancel { job, workflow: Some(workflow), .. } => {
                self.stop(index, *job, *workflow)
            }
            GateCommand::EndPart { part, offer, end, result, .. } => {
                self.end_part(*part, *offer, end, result.as_deref())
            }
            GateCommand::EndJob { job, status, reason, thresholds, .. } => {
                self.end_job(index, *job, (*status, reason), thresholds)
            }
            GateCommand::Forget { before } => self.forget(*before),
            GateCommand::Enrol { gate, disk, boot } => self.enrol(index, *gate, *disk, *boot),
            GateCommand::Expire { session } => self.expire(*session),
            GateCommand::Own { job, session } => self.own(index, *job, *session),
            GateCommand::Admit { job } => self.admit(index, *job),
            GateCommand::Ran { job, elapsed, .. } => {
                if let Some(job) = self.live_mut(*job) {
                    job.elapsed = job.elapsed.max(*elapsed);
                }
                Applied::Overtaken
            }
        }
    }

    fn owner(&self, fence: LogIndex, session: LogIndex) -> Owner {
        Owner { gate: self.holder(session).unwrap_or_default(), session, fence }
    }

    fn create(&mut self, key: (&str, u64), plan: &Plan, owner: Owner, tenant: &Tenant) -> Applied {
        let (key, plan_digest) = key;
        if let Some(known) = self.key(key) {
            return Applied::Known(known);
        }
        if self.live_count() >= JOBS_LIVE_MAX || self.keys.is_full() {
            return Applied::Full;
        }
        let job = JobId::new(owner.fence.get());
        let plan = Box::new(plan.clone());
        let created = Job::new(key.to_owned(), plan, owner, tenant.clone());
        let bytes = usize::try_from(created.plan_bytes).unwrap_or(usize::MAX);
        if self.plan_bytes().saturating_add(bytes) > PLANS_LIVE_BYTES_MAX {
            return Applied::Full;
        }
        let room = self.keys.insert(key.to_owned(), Key { job, plan_digest }).is_ok()
            && self.jobs.insert(job, created).is_ok();
        if room { Applied::Created(job) } else { Applied::Full }
    }

    fn admit(&mut self, index: LogIndex, id: JobId) -> Applied {
        let Some(job) = self.live_mut(id) else { return Applied::Overtaken };
        if job.admitted.is_some() || !step(job, JobStatus::Submitted) {
            return Applied::Overtaken;
        }
        job.admitted = Some(index);
        Applied::Admitted(id)
    }

    fn place(
        &mut self,
        index: LogIndex,
        id: PartId,
        (datacenter, decision): (&str, &Decision),
    ) -> Applied {
        let Some(job) = self.live_mut(id.job) else { return Applied::Overtaken };
        let Some(part) = job.part(id.part) else { return Applied::Overtaken };
        let named = job.plan.as_deref().and_then(|plan| plan.datacenters.name(id.part));
        let taken = job.numbered().any(|(ix, other)| {
            ix != id.part && other.offer.is_some() && other.datacenter == datacenter
        });
        let wrong = named.is_some_and(|name| name != datacenter || part.offer.is_some());
        let late = job.cancel.is_some() || part.begun.is_some() || part.end.is_some();
        if job.admitted.is_none() || late || taken || wrong {
            return Applied::Overtaken;
        }
        let before = part.offer.is_some().then(|| part.datacenter.clone());
        if before.is_some_and(|before| job.tried.push(before).is_err()) {
            return Applied::Overtaken;
        }
        if job.status == JobStatus::Submitted {
            step(job, JobStatus::Dispatching);
        }
        if let Some(part) = job.parts.get_mut(usize::from(id.part.get())) {
            datacenter.clone_into(&mut part.datacenter);
            part.offer = Some(index);
        }
        job.note(Decided { part: id.part, at: index, decision: decision.clone() });
        Applied::Placed(id.job)
    }

    fn begin(&mut self, index: LogIndex, id: JobId, offers: &[LogIndex]) -> Applied {
        let Some(job) = self.live_mut(id) else { return Applied::Overtaken };
        let accepted = job.parts.iter().map(|part| part.offer).eq(offers.iter().copied().map(Some));
        if job.next() != Next::Begin || !accepted || !step(job, JobStatus::Running) {
            return Applied::Overtaken;
        }
        for part in &mut job.parts {
            part.begun = Some(index);
        }
        Applied::Begun(id)
    }

    fn cancel(&mut self, index: LogIndex, id: JobId, cause: &CancelCause) -> Applied {
        let Some(job) = self.jobs.value_mut(&id) else { return Applied::Overtaken };
        if job.cancel.is_none() && step(job, JobStatus::Cancelling) {
            job.cancel = Some(Cancel { at: index, cause: cause.clone() });
        }
        if job.status.is_terminal() {
            Applied::AlreadyEnded(job.status)
        } else {
            Applied::Cancelling(id)
        }
    }

    fn stop(&mut self, index: LogIndex, id: JobId, workflow: WorkflowIx) -> Applied {
        let Some(job) = self.jobs.value_mut(&id) else { return Applied::Overtaken };
        let Some(plan) = &job.plan else { return Applied::AlreadyEnded(job.status) };
        if usize::from(workflow.get()) >= plan.workflows.len() {
            return Applied::Overtaken;
        }
        if job.cancel.is_none() && job.stopped.iter().all(|known| known.workflow != workflow) {
            // Each workflow is there once, and there is room for all of a plan.
            let _ = job.stopped.push(Stopped { workflow, at: index });
        }
        Applied::Cancelling(id)
    }

    fn end_part(
        &mut self,
        id: PartId,
        offer: LogIndex,
        end: &PartEnd,
        result: Option<&PartResult>,
    ) -> Applied {
        let Some(job) = self.live_mut(id.job) else { return Applied::Overtaken };
        let part = job.parts.get_mut(usize::from(id.part.get()));
        let Some(part) = part.filter(|p| p.end.is_none() && p.offer == Some(offer)) else {
            return Applied::Overtaken;
        };
        part.end = Some(end.clone());
        part.result = result.cloned().map(Box::new);
        Applied::PartEnded(id.job)
    }

    fn end_job(
        &mut self,
        index: LogIndex,
        id: JobId,
        end: (JobStatus, &str),
        thresholds: &BoundedVec<ThresholdOutcome, THRESHOLDS_MAX>,
    ) -> Applied {
        let Some(job) = self.jobs.value_mut(&id) else { return Applied::Overtaken };
        let (status, reason) = end;
        let due = job.verdict().is_some_and(|(verdict, _)| verdict == status);
        if !due || !step(job, status) {
            return Applied::Overtaken;
        }
        reason.clone_into(&mut job.reason);
        let result = stats::job_result(id, job, thresholds.clone());
        job.result = Some(Box::new(result));
        job.plan = None;
        job.plan_bytes = 0;
        job.ended = Some(index);
        if self.history.is_full()
            && let Some((_, oldest)) = self.history.pop_first()
        {
            self.jobs.remove(&oldest);
        }
        // There is room: one was taken out if it was full.
        let _ = self.history.insert(index, id);
        Applied::JobEnded(id)
    }

    fn forget(&mut self, before: JobId) -> Applied {
        let Self { jobs, keys, .. } = self;
        keys.retain(|_, key| {
            key.job >= before || jobs.get(&key.job).is_some_and(|job| !job.status.is_terminal())
        });
        Applied::Forgot
    }

    fn enrol(&mut self, index: LogIndex, gate: NodeId, disk: DiskId, boot: u64) -> Applied {
        let held = self.sessions.get(&gate);
        if held.is_some_and(|held| held.disk != disk || held.boot >= boot) {
            return Applied::Overtaken;
        }
        match self.sessions.insert(gate, Session { index, disk, boot }) {
            Ok(_) => Applied::Enrolled(gate),
            Err(_) => Applied::Full,
        }
    }

    fn expire(&mut self, session: LogIndex) -> Applied {
        let Some(gate) = self.holder(session) else { return Applied::Overtaken };
        self.sessions.remove(&gate);
        Applied::Expired(gate)
    }

    fn own(&mut self, index: LogIndex, id: JobId, session: LogIndex) -> Applied {
        let owner = self.owner(index, session);
        let current = self.holder(session).is_some();
        let job = self.jobs.value_mut(&id).filter(|job| !job.status.is_terminal());
        match job.filter(|job| current && job.owner.session != session) {
            Some(job) => {
                job.owner = owner;
                Applied::Owned(id)
            }
            None => Applied::Overtaken,
        }
    }

    fn live_mut(&mut self, job: JobId) -> Option<&mut Job> {
        self.jobs.value_mut(&job).filter(|job| !job.status.is_terminal())
    }

    /// Checks one job; an unknown one is fine.
    ///
    /// # Errors
    /// What is inconsistent.
    pub fn check_job(&self, id: JobId) -> Result<(), Violation> {
        let Some(job) = self.jobs.get(&id) else { return Ok(()) };
        let broken = |inv, what: &str| Err(Violation::new(inv, format!("{id}: {what}: {job:?}")));
        if job.status.is_terminal() != job.ended.is_some()
            || job.ended.is_some() != job.result.is_some()
            || job.ended.is_some() == job.plan.is_some()
            || job.result.as_ref().is_some_and(|result| result.status != job.status)
        {
            return broken(Inv::JobTerminal, "terminal status, end and result disagree");
        }
        if job.ended.is_some_and(|at| self.history.get(&at) != Some(&id)) {
            return broken(Inv::JobTerminal, "ended but not in the history");
        }
        let placed = job.parts.iter().any(|part| part.offer.is_some());
        let legal = match job.status {
            JobStatus::Queued => job.admitted.is_none() && !placed && job.cancel.is_none(),
            JobStatus::Submitted => job.admitted.is_some() && !placed && job.cancel.is_none(),
            JobStatus::Dispatching => placed && !job.has_begun() && job.cancel.is_none(),
            JobStatus::Running => job.has_begun() && job.cancel.is_none(),
            JobStatus::Cancelling | JobStatus::Cancelled => job.cancel.is_some(),
            JobStatus::Failed => true,
            JobStatus::TimedOut => job.has_begun(),
            JobStatus::Completed | JobStatus::Partial => job.has_begun() && job.cancel.is_none(),
        };
        if !legal || (placed && job.admitted.is_none()) {
            return broken(Inv::LifecycleLegal, "the status does not fit the parts and the cancel");
        }
        if job.owner.fence.get() < id.get() || job.owner.session >= job.owner.fence {
            return broken(Inv::OwnerSingle, "the owner's fence is not above its session");
        }
        if job.parts.iter().any(|part| part.begun.is_some_and(|begun| Some(begun) <= part.offer)) {
            return broken(Inv::FenceMonotonic, "begun at or below the offer");
        }
        let begun = job.parts.iter().map(|part| part.begun);
        let asked: Vec<_> = job.parts.iter().filter(|part| part.offer.is_some()).collect();
        let names: BTreeSet<_> = asked.iter().map(|part| part.datacenter.as_str()).collect();
        if names.len() != asked.len() || begun.collect::<BTreeSet<_>>().len() > 1 {
            return broken(Inv::PartPlacedOnce, "two parts in one datacenter, or half begun");
        }
        let planned = job.plan.as_deref().map(|plan| &plan.datacenters);
        let named = |(ix, part): (PartIx, &Part)| {
            planned.and_then(|planned| planned.name(ix)).is_none_or(|name| name == part.datacenter)
        };
        let complete = planned.is_none_or(|planned| planned.count() == job.parts.len());
        if !complete || !job.numbered().all(named) {
            return broken(Inv::SharesExact, "the parts are not those of the plan");
        }
        Ok(())
    }

    /// Walks everything.
    ///
    /// # Errors
    /// The first inconsistency.
    pub fn check_all(&self) -> Result<(), Violation> {
        for (id, job) in self.jobs() {
            self.check_job(id)?;
            let known = self.keys.get(&job.key);
            let live = !job.status.is_terminal();
            if known.map_or(live, |key| key.job < id || (live && key.job != id)) {
                return Err(Violation::new(
                    Inv::JobOnce,
                    format!("{id}: its key stands for {known:?}"),
                ));
            }
        }
        for (gate, session) in self.sessions() {
            let twin = |other: &Session| other.index == session.index || other.disk == session.disk;
            if self.sessions.values().filter(|other| twin(other)).count() != 1 {
                let detail = format!("{gate} shares {session:?} with another gate");
                return Err(Violation::new(Inv::OwnerSingle, detail));
            }
        }
        for (at, id) in &self.history {
            if self.jobs.get(id).and_then(|job| job.ended) != Some(*at) {
                let detail = format!("{id} is in the history at {at:?} but did not end there");
                return Err(Violation::new(Inv::JobTerminal, detail));
            }
        }
        if self.live_count() > JOBS_LIVE_MAX || self.live().count() != self.live_count() {
            let detail = format!("{} jobs, {} ended", self.jobs.len(), self.history.len());
            return Err(Violation::new(Inv::Bounded, detail));
        }
        Ok(())
    }
}

fn step(job: &mut Job, to: JobStatus) -> bool {
    let legal = may_follow(job.status, to);
    if legal {
        job.status = to;
    }
    legal
}
