//! A job in the ledger, its transition table, and what it needs next. All of it follows from
//! committed entries.
//!
//! A job has one part for each datacenter of its plan. No part is begun before every part has been
//! accepted, and one entry begins them all, so a job never runs half by design. It ends when every
//! part is over; how, is the first row that fits:
//!
//! | cancelled | parts | job ends |
//! |---|---|---|
//! | by a client | however they ended | CANCELLED, naming the silent ones |
//! | by a threshold, or as a part was not taken | however they ended | FAILED, with that reason |
//! | by its timeout | however they ended | TIMED_OUT, with what they reported |
//! | no | the only one was refused | FAILED |
//! | no | a workflow of one failed | FAILED, naming datacenter and workflow |
//! | no | none reported, all silent | TIMED_OUT, naming them |
//! | no | none reported, one refused its begin | FAILED |
//! | no | some reported, others silent or refused their begin | PARTIAL, naming the missing |
//! | no | one was ended by its datacenter itself | PARTIAL |
//! | no | a client cancelled a workflow before it had ended | PARTIAL, naming it |
//! | no | all reported, nothing of the above | COMPLETED |
//!
//! A part counts as silent (`TimedOut`) at its planned end plus `result_grace`. What it says later
//! is acknowledged as too late and changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::{CancelCause, PartEnd};
use super::decision::Decided;
use super::part::{Duty, Part};
use crate::api::Tenant;
use crate::bounded::BoundedVec;
use crate::ids::{LogIndex, NodeId, PartIx, WorkflowIx};
use crate::limits;
use crate::plan::Plan;
use crate::report::{JobResult, JobStatus, PartResult, WorkflowStatus};
use crate::wire::codec;

/// A job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The idempotency key that made it.
    pub key: String,
    /// The plan's name.
    pub name: String,
    /// What to run; dropped when the job has ended.
    pub plan: Option<Box<Plan>>,
    /// Where it stands.
    pub status: JobStatus,
    /// Why it stands there, if there is more to say.
    pub reason: String,
    /// The gate that acts for it.
    pub owner: Owner,
    /// The cancel, once committed.
    pub cancel: Option<Cancel>,
    /// Workflows that are to be ended with all that depend on them, in the order of their entries.
    pub stopped: BoundedVec<Stopped, { limits::WORKFLOWS_MAX }>,
    /// One for each datacenter of the plan, in its order.
    pub parts: BoundedVec<Part, { limits::DATACENTERS_MAX }>,
    /// Datacenters that did not take a part that any may take.
    pub tried: BoundedVec<String, { limits::DATACENTERS_MAX }>,
    /// Why its parts went where they went, the newest last.
    pub decisions: BoundedVec<Decided, { limits::DECISIONS_MAX }>,
    /// The entry that ended it.
    pub ended: Option<LogIndex>,
    /// Its result, once it has ended.
    pub result: Option<Box<JobResult>>,
    /// Who submitted it.
    pub tenant: Tenant,
    /// The entry with which its turn came; `None` while it waits.
    pub admitted: Option<LogIndex>,
    /// Encoded bytes of its plan; 0 when it has ended.
    pub plan_bytes: u32,
    /// How long it ran since its begin, as far as that is committed; only with a timeout.
    pub elapsed: Duration,
}

/// Who acts for a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Owner {
    /// The gate, if its session was current when it got the job.
    pub gate: NodeId,
    /// Its session. When that is not current any more, nobody acts until the job has a new owner.
    pub session: LogIndex,
    /// The entry that gave it the job: what it decides is void once there is a higher one.
    pub fence: LogIndex,
}

/// A committed cancel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cancel {
    /// Its entry: the fence of `CancelPart`.
    pub at: LogIndex,
    /// Who wanted it.
    pub cause: CancelCause,
}

/// A committed cancel of one workflow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stopped {
    /// The workflow.
    pub workflow: WorkflowIx,
    /// Its entry: the fence of `CancelPart`.
    pub at: LogIndex,
}

/// What a job as a whole needs next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Its parts go on by themselves.
    Wait,
    /// Every part has an offer out: to be begun once all are accepted.
    Begin,
    /// To be cancelled: a part was not taken.
    Abort(String),
    /// To be ended: everything is in.
    End,
    /// Nothing, ever.
    Nothing,
}

impl Job {
    /// A job as it is created.
    pub fn new(key: String, plan: Box<Plan>, owner: Owner, tenant: Tenant) -> Self {
        let part = |ix| Part {
            datacenter: plan.datacenters.name(PartIx::new(ix)).unwrap_or_default().to_owned(),
            ..Part::default()
        };
        let parts = (0..plan.datacenters.count()).filter_map(|ix| u16::try_from(ix).ok());
        Self {
            key,
            name: plan.name.clone(),
            status: JobStatus::Queued,
            reason: String::new(),
            owner,
            cancel: None,
            stopped: BoundedVec::new(),
            // A checked plan has no more datacenters than a job may have parts.
            parts: parts.map(part).collect::<Vec<_>>().try_into().unwrap_or_default(),
            tried: BoundedVec::new(),
            decisions: BoundedVec::new(),
            ended: None,
            result: None,
            tenant,
            admitted: None,
            plan_bytes: u32::try_from(codec::length(&*plan)).unwrap_or(u32::MAX),
            elapsed: Duration::ZERO,
            plan: Some(plan),
        }
    }

    /// A part.
    pub fn part(&self, ix: PartIx) -> Option<&Part> {
        self.parts.get(usize::from(ix.get()))
    }

    /// Every part with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (PartIx, &Part)> {
        (0u16..).map(PartIx::new).zip(self.parts.iter())
    }

    /// What a part needs next.
    pub fn duty(&self, ix: PartIx) -> Duty {
        let live = self.part(ix).filter(|_| !self.status.is_terminal());
        live.map_or(Duty::Nothing, |part| part.duty(self.cancel.as_ref()))
    }

    /// What the job as a whole needs next.
    pub fn next(&self) -> Next {
        if self.status.is_terminal() {
            return Next::Nothing;
        }
        let duties = || self.parts.iter().map(|part| part.duty(self.cancel.as_ref()));
        if duties().all(|duty| duty == Duty::Nothing) {
            return Next::End;
        }
        if self.cancel.is_some() || self.has_begun() {
            return Next::Wait;
        }
        let refused = self.parts.iter().find_map(|part| match &part.end {
            Some(PartEnd::Refused { reason }) => Some(self.of(part, reason)),
            Some(PartEnd::Reported | PartEnd::TimedOut) | None => None,
        });
        match refused {
            Some(reason) => Next::Abort(reason),
            None if duties().all(|duty| matches!(duty, Duty::Offer(_))) => Next::Begin,
            None => Next::Wait,
        }
    }

    /// Keeps why a part went where it went.
    pub(in crate::gate) fn note(&mut self, decided: Decided) {
        if let Err(decided) = self.decisions.push(decided) {
            let mut kept = std::mem::take(&mut self.decisions).into_vec();
            kept.remove(0);
            kept.push(decided);
            self.decisions = kept.try_into().unwrap_or_default();
        }
    }

    /// Whether its parts were begun.
    pub fn has_begun(&self) -> bool {
        self.parts.iter().any(|part| part.begun.is_some())
    }

    /// How it ends, given all that is committed; `None` while something is outstanding.
    pub fn verdict(&self) -> Option<(JobStatus, String)> {
        if self.next() != Next::End {
            return None;
        }
        if let Some(cancel) = &self.cancel {
            return Some(match &cancel.cause {
                CancelCause::Client => (JobStatus::Cancelled, self.silence()),
                CancelCause::Aborted { reason } => (JobStatus::Failed, reason.clone()),
                CancelCause::TimedOut { reason } => (JobStatus::TimedOut, reason.clone()),
            });
        }
        if let Some(reason) = self.failed_workflow() {
            return Some((JobStatus::Failed, reason));
        }
        let mut refused = self.parts.iter().filter_map(|part| match &part.end {
            Some(PartEnd::Refused { reason }) => Some(self.of(part, reason)),
            Some(PartEnd::Reported | PartEnd::TimedOut) | None => None,
        });
        let any = self.parts.iter().any(|part| part.reported().is_some());
        let silent = self.silence();
        Some(match refused.next() {
            Some(reason) if any => (JobStatus::Partial, reason),
            Some(reason) => (JobStatus::Failed, reason),
            None if !silent.is_empty() && any => (JobStatus::Partial, silent),
            None if !silent.is_empty() => (JobStatus::TimedOut, silent),
            None if !any => (JobStatus::Partial, "the part reported no result".into()),
            None => self.reported(),
        })
    }

    fn results(&self) -> impl Iterator<Item = (&Part, &PartResult)> {
        self.parts.iter().filter_map(|part| Some((part, part.reported()?)))
    }

    fn failed_workflow(&self) -> Option<String> {
        self.results().find_map(|(part, result)| {
            let failed = result.workflows.iter().find(|w| w.status == WorkflowStatus::Failed)?;
            let name = self.workflow_name(failed.workflow);
            Some(self.of(part, &format!("workflow {name} failed: {}", failed.reason)))
        })
    }

    /// All parts reported and nothing failed.
    fn reported(&self) -> (JobStatus, String) {
        let is_cancelled = |ix: WorkflowIx| {
            self.results().any(|(_, result)| {
                let of = result.workflows.iter().find(|w| w.workflow == ix);
                of.is_some_and(|w| w.status == WorkflowStatus::Cancelled)
            })
        };
        let wanted: Vec<_> = self
            .stopped
            .iter()
            .filter(|stopped| is_cancelled(stopped.workflow))
            .map(|stopped| self.workflow_name(stopped.workflow))
            .collect();
        let by_itself = self.results().find(|(_, result)| {
            let cancelled = result.workflows.iter().any(|w| w.status == WorkflowStatus::Cancelled);
            result.cancelled || (cancelled && wanted.is_empty())
        });
        if let Some((part, _)) = by_itself {
            let reason = self.of(part, "the datacenter ended the load by itself");
            return (JobStatus::Partial, reason);
        }
        if !wanted.is_empty() {
            return (JobStatus::Partial, format!("cancelled by a client: {}", wanted.join(", ")));
        }
        (JobStatus::Completed, String::new())
    }

    fn workflow_name(&self, ix: WorkflowIx) -> &str {
        let planned =
            self.plan.as_deref().and_then(|plan| plan.workflows.get(usize::from(ix.get())));
        planned.map_or("?", |workflow| workflow.name.as_str())
    }

    /// A reason with its datacenter, where there are several.
    pub(in crate::gate) fn of(&self, part: &Part, reason: &str) -> String {
        if self.parts.len() < 2 {
            return reason.to_owned();
        }
        format!("datacenter {}: {reason}", part.datacenter)
    }

    fn silence(&self) -> String {
        let silent = self.parts.iter().filter(|part| part.end == Some(PartEnd::TimedOut));
        let silent: Vec<_> = silent.map(|part| part.datacenter.as_str()).collect();
        match silent.as_slice() {
            [] => String::new(),
            [one] => format!("no result from datacenter {one} in time"),
            all => format!("no result from datacenters {} in time", all.join(", ")),
        }
    }
}

/// The transition table. A status that is not named as a target here is not reached from there.
pub const fn may_follow(from: JobStatus, to: JobStatus) -> bool {
    use JobStatus as S;
    match from {
        S::Queued => matches!(to, S::Submitted | S::Cancelling),
        S::Submitted => matches!(to, S::Dispatching | S::Cancelling),
        S::Dispatching => matches!(to, S::Running | S::Cancelling | S::Failed),
        S::Running => {
            matches!(to, S::Cancelling | S::Completed | S::Failed | S::TimedOut | S::Partial)
        }
        S::Cancelling => matches!(to, S::Cancelled | S::Failed | S::TimedOut),
        S::Completed | S::Failed | S::Cancelled | S::TimedOut | S::Partial => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobStatus as S;

    const ALL: [S; 10] = [
        S::Queued,
        S::Submitted,
        S::Dispatching,
        S::Running,
        S::Cancelling,
        S::Completed,
        S::Failed,
        S::Cancelled,
        S::TimedOut,
        S::Partial,
    ];

    #[test]
    fn the_table_is_exactly_this() {
        let legal = [
            (S::Queued, S::Submitted),
            (S::Queued, S::Cancelling),
            (S::Submitted, S::Dispatching),
            (S::Submitted, S::Cancelling),
            (S::Dispatching, S::Running),
            (S::Dispatching, S::Cancelling),
            (S::Dispatching, S::Failed),
            (S::Running, S::Cancelling),
            (S::Running, S::Completed),
            (S::Running, S::Failed),
            (S::Running, S::TimedOut),
            (S::Running, S::Partial),
            (S::Cancelling, S::Failed),
            (S::Cancelling, S::Cancelled),
            (S::Cancelling, S::TimedOut),
        ];
        for from in ALL {
            for to in ALL {
                let listed = legal.contains(&(from, to));
                assert_eq!(may_follow(from, to), listed, "{from:?} -> {to:?}");
            }
        }
    }
}
