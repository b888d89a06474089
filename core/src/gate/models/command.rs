//! Commands of the gates' ledger. Nothing here is decided when it is applied.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::Decision;
use crate::api::Tenant;
use crate::bounded::BoundedVec;
use crate::ids::{DiskId, JobId, LogIndex, NodeId, PartId, WorkflowIx};
use crate::limits;
use crate::plan::Plan;
use crate::report::{JobStatus, PartResult, ThresholdOutcome};

/// A command of the gate ledger. One that was overtaken by an earlier entry changes nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum GateCommand {
    /// A job is created; its id is the entry's index. A known key makes this a no-op that answers
    /// with its job.
    Create {
        /// The client's idempotency key.
        key: String,
        /// Digest of the checked plan.
        plan_digest: u64,
        /// What to run.
        plan: Box<Plan>,
        /// The session of the gate that submits it, which owns it from the start.
        session: LogIndex,
        /// Who submits it.
        tenant: Tenant,
        /// It is admitted at once if nobody waits and fewer than so many have been.
        slots: u32,
    },
    /// A part is offered to a datacenter; the entry's index is the offer's fence.
    Place {
        /// The part.
        part: PartId,
        /// The datacenter's name.
        datacenter: String,
        /// The entry that gave the job to the gate that decides this.
        owner: LogIndex,
        /// Why there.
        decision: Decision,
    },
    /// Every part of a job is begun where it was accepted; the entry's index is their fence. None
    /// of them moves again.
    Begin {
        /// The job.
        job: JobId,
        /// The accepted offer of every part, in order.
        offers: BoundedVec<LogIndex, { limits::DATACENTERS_MAX }>,
        /// The entry that gave the job to the gate that decides this.
        owner: LogIndex,
    },
    /// The job is to be ended, or one of its workflows with all that depend on it. The first cause
    /// stays.
    Cancel {
        /// The job.
        job: JobId,
        /// Who wants it ended.
        cause: CancelCause,
        /// Only this workflow.
        workflow: Option<WorkflowIx>,
        /// The entry that gave the job to the gate that decides this; `None` for a client's.
        owner: Option<LogIndex>,
    },
    /// A part is over. The first wins.
    EndPart {
        /// The part.
        part: PartId,
        /// The placing it ends: a later one is another offer and goes on.
        offer: LogIndex,
        /// How it ended.
        end: PartEnd,
        /// Its result, if it reported one.
        result: Option<Box<PartResult>>,
        /// The entry that gave the job to the gate that decides this.
        owner: LogIndex,
    },
    /// A job ended. The first wins; one whose status a later cancel has overtaken changes nothing.
    EndJob {
        /// The job.
        job: JobId,
        /// A terminal status.
        status: JobStatus,
        /// Why.
        reason: String,
        /// Every threshold of the plan with its outcome.
        thresholds: BoundedVec<ThresholdOutcome, { limits::THRESHOLDS_MAX }>,
        /// The entry that gave the job to the gate that decides this.
        owner: LogIndex,
    },
    /// Keys of ended jobs created before this entry are forgotten.
    Forget {
        /// The oldest entry kept.
        before: JobId,
    },
    /// A gate lives: the entry's index is its session. It replaces the one of an earlier boot of
    /// the same disk; while another disk of the gate has a session, this changes nothing.
    Enrol {
        /// The gate.
        gate: NodeId,
        /// Its disk.
        disk: DiskId,
        /// The boot of that disk.
        boot: u64,
    },
    /// A session is over; its lease has surely ended.
    Expire {
        /// The session.
        session: LogIndex,
    },
    /// A job is given to the gate of a current session; the entry's index is the fence.
    Own {
        /// The job.
        job: JobId,
        /// The new owner's session.
        session: LogIndex,
    },
    /// It is the turn of a job that waits.
    Admit {
        /// The job.
        job: JobId,
    },
    /// How long a job with a timeout has run.
    Ran {
        /// The job.
        job: JobId,
        /// Since its begin, as its owners counted.
        elapsed: Duration,
        /// The entry that gave the job to the gate that decides this.
        owner: LogIndex,
    },
}

impl GateCommand {
    /// The job that its owner decides about, and the fence under which it does; `None` for what
    /// needs no ownership.
    pub fn acts_under(&self) -> Option<(JobId, LogIndex)> {
        match self {
            Self::Place { part, owner, .. } | Self::EndPart { part, owner, .. } => {
                Some((part.job, *owner))
            }
            Self::Begin { job, owner, .. }
            | Self::EndJob { job, owner, .. }
            | Self::Ran { job, owner, .. } => Some((*job, *owner)),
            Self::Cancel { job, owner, .. } => owner.map(|owner| (*job, owner)),
            Self::Create { .. }
            | Self::Forget { .. }
            | Self::Enrol { .. }
            | Self::Expire { .. }
            | Self::Own { .. }
            | Self::Admit { .. } => None,
        }
    }
}

/// Why a job is to be ended before its plan is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CancelCause {
    /// A client asked.
    Client,
    /// A threshold with `abort_on_fail` failed: the job ends as failed.
    Aborted {
        /// Which, for the user.
        reason: String,
    },
    /// It ran for its timeout: the job ends as timed out.
    TimedOut {
        /// How long, for the user.
        reason: String,
    },
}

/// How a part is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PartEnd {
    /// Its datacenter reported a result.
    Reported,
    /// No result in time: it is missing for good.
    TimedOut,
    /// No datacenter ran it.
    Refused {
        /// Why, for the user.
        reason: String,
    },
}
