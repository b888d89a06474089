//! A job in the ledger, its transition table, and what it needs next. All of it follows from
//! committed entries.

use serde::{Deserialize, Serialize};

use super::command::{CancelCause, PartEnd};
use crate::bounded::BoundedVec;
use crate::ids::{LogIndex, NodeId};
use crate::limits;
use crate::plan::Plan;
use crate::report::{JobResult, JobStatus, PartResult};

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
    /// Its part, once placed. With one datacenter per job the part's number is 0.
    pub part: Option<Part>,
    /// Datacenters that did not take it.
    pub tried: BoundedVec<String, { limits::DATACENTERS_MAX }>,
    /// The entry that ended it.
    pub ended: Option<LogIndex>,
    /// Its result, once it has ended.
    pub result: Option<Box<JobResult>>,
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

/// A job's share in a datacenter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The datacenter's name.
    pub datacenter: String,
    /// The placing entry: the offer's fence.
    pub offer: LogIndex,
    /// The beginning entry: from here on the part never moves.
    pub begun: Option<LogIndex>,
    /// How it is over.
    pub end: Option<PartEnd>,
    /// Its result; moves into the job's when that ends.
    pub result: Option<Box<PartResult>>,
}

/// What a job needs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// A datacenter.
    Place,
    /// An answer to the offer with this fence.
    Offer(LogIndex),
    /// An answer to the begin with this fence, then a result.
    Begin(LogIndex),
    /// The end of the part, by the cancel with this fence.
    Cancel(LogIndex),
    /// To be ended: everything is in.
    End,
    /// Nothing, ever.
    Nothing,
}

impl Job {
    /// A job as it is created.
    pub fn new(key: String, plan: Box<Plan>, owner: Owner) -> Self {
        Self {
            key,
            name: plan.name.clone(),
            plan: Some(plan),
            status: JobStatus::Submitted,
            reason: String::new(),
            owner,
            cancel: None,
            part: None,
            tried: BoundedVec::new(),
            ended: None,
            result: None,
        }
    }

    /// What it needs next.
    pub fn duty(&self) -> Duty {
        if self.status.is_terminal() {
            return Duty::Nothing;
        }
        match (&self.part, &self.cancel) {
            (None, None) => Duty::Place,
            (None, Some(_)) => Duty::End,
            (Some(part), _) if part.end.is_some() => Duty::End,
            (Some(_), Some(cancel)) => Duty::Cancel(cancel.at),
            (Some(part), None) => part.begun.map_or(Duty::Offer(part.offer), Duty::Begin),
        }
    }

    /// Whether its part was begun.
    pub fn has_begun(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.begun.is_some())
    }

    /// How it ends, given all that is committed; `None` while something is outstanding.
    pub fn verdict(&self) -> Option<(JobStatus, String)> {
        if self.duty() != Duty::End {
            return None;
        }
        if let Some(cancel) = &self.cancel {
            return Some(match &cancel.cause {
                CancelCause::Client => (JobStatus::Cancelled, self.silence()),
                CancelCause::Aborted { reason } => (JobStatus::Failed, reason.clone()),
            });
        }
        let part = self.part.as_ref()?;
        Some(match part.end.as_ref()? {
            PartEnd::TimedOut => (JobStatus::TimedOut, self.silence()),
            PartEnd::Refused { reason } => (JobStatus::Failed, reason.clone()),
            PartEnd::Reported => part.result.as_deref().map_or_else(
                || (JobStatus::Partial, "the part reported no result".into()),
                |result| self.reported(result),
            ),
        })
    }

    fn reported(&self, result: &PartResult) -> (JobStatus, String) {
        use crate::report::WorkflowStatus as W;
        if let Some(failed) = result.workflows.iter().find(|w| w.status == W::Failed) {
            let ix = usize::from(failed.workflow.get());
            let planned = self.plan.as_deref().and_then(|plan| plan.workflows.get(ix));
            let name = planned.map_or("?", |workflow| workflow.name.as_str());
            return (JobStatus::Failed, format!("workflow {name} failed: {}", failed.reason));
        }
        if result.cancelled || result.workflows.iter().any(|w| w.status == W::Cancelled) {
            return (JobStatus::Partial, "the datacenter ended the load by itself".into());
        }
        (JobStatus::Completed, String::new())
    }

    fn silence(&self) -> String {
        match &self.part {
            Some(Part { datacenter, end: Some(PartEnd::TimedOut), .. }) => {
                format!("no result from datacenter {datacenter} in time")
            }
            Some(_) | None => String::new(),
        }
    }
}

/// The transition table. A status that is not named as a target here is not reached from there.
pub(in crate::gate) const fn may_follow(from: JobStatus, to: JobStatus) -> bool {
    use JobStatus as S;
    match from {
        S::Submitted => matches!(to, S::Dispatching | S::Cancelling),
        S::Dispatching => matches!(to, S::Running | S::Cancelling | S::Failed),
        S::Running => {
            matches!(to, S::Cancelling | S::Completed | S::Failed | S::TimedOut | S::Partial)
        }
        S::Cancelling => matches!(to, S::Cancelled | S::Failed),
        S::Completed | S::Failed | S::Cancelled | S::TimedOut | S::Partial => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobStatus as S;

    const ALL: [S; 9] = [
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
        ];
        for from in ALL {
            for to in ALL {
                let listed = legal.contains(&(from, to));
                assert_eq!(may_follow(from, to), listed, "{from:?} -> {to:?}");
            }
        }
    }
}
