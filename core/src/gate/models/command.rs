//! Commands of the gates' ledger. Nothing here is decided when it is applied.

use serde::{Deserialize, Serialize};

use crate::ids::{Fence, JobId, PartId, WorkflowIx};
use crate::plan::Plan;
use crate::report::{JobStatus, PartResult};

/// A command of the gate ledger.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum GateCommand {
    /// A job is created; its id is the entry's index. A known key makes this a no-op that answers with its job.
    Create {
        /// The client's idempotency key.
        key: String,
        /// Digest of the checked plan.
        plan_digest: u64,
        /// What to run.
        plan: Box<Plan>,
    },
    /// A part is offered to a datacenter; the entry's index is the offer's fence.
    Place {
        /// The part.
        part: PartId,
        /// The datacenter's name.
        datacenter: String,
    },
    /// A part is begun there; the entry's index is the fence. It never moves again.
    Begin {
        /// The part.
        part: PartId,
        /// The accepted offer.
        offer: Fence,
    },
    /// A client cancelled the job.
    Cancel {
        /// The job.
        job: JobId,
        /// Only this workflow and what depends on it.
        workflow: Option<WorkflowIx>,
    },
    /// A part's result.
    EndPart {
        /// The part.
        part: PartId,
        /// Its result; `None` when it is missing for good.
        result: Option<Box<PartResult>>,
    },
    /// A job ended. The first wins.
    EndJob {
        /// The job.
        job: JobId,
        /// A terminal status.
        status: JobStatus,
        /// Why.
        reason: String,
    },
    /// Keys and tombstones older than this entry are forgotten.
    Forget {
        /// The oldest entry kept.
        before: JobId,
    },
}
