//! What clients may ask of a gate and what they hear. The HTTP API and the simulator's clients
//! speak this.

use serde::{Deserialize, Serialize};

use crate::ids::{DiskId, JobId, LogIndex, NodeId, Term};
use crate::membership::Standing;
use crate::plan::Plan;
use crate::report::{JobResult, JobStatus, WorkflowView};

/// What a client asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Create a job, once per key.
    Submit {
        /// Chosen by the client; at most `limits::KEY_BYTES_MAX` bytes.
        key: String,
        /// A checked plan.
        plan: Box<Plan>,
    },
    /// All jobs known, newest first.
    List,
    /// One job.
    Status(JobId),
    /// End a job. Idempotent.
    Cancel(JobId),
    /// End a workflow of a job, and all that depend on it. Idempotent.
    CancelWorkflow {
        /// The job.
        job: JobId,
        /// The workflow's name.
        workflow: String,
    },
    /// A job's result once it has ended.
    Result(JobId),
    /// Updates of a job after a sequence number (0: all that are kept), then live ones as
    /// `Effect::Publish`.
    Watch {
        /// The job.
        job: JobId,
        /// The last sequence number seen.
        after: u64,
    },
    /// What the gate knows of its cluster.
    Cluster,
}

/// What a client hears.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The job exists, committed.
    Submitted {
        /// Its id.
        job: JobId,
        /// The key had made it before.
        existing: bool,
    },
    /// Jobs.
    Jobs(Vec<JobSummary>),
    /// One job.
    Status(Box<JobView>),
    /// The cancel is committed.
    Cancelling(JobId),
    /// The result.
    Result(Box<JobResult>),
    /// Kept updates; `truncated` if some after the asked number are gone.
    Watching {
        /// In order of sequence.
        updates: Vec<Update>,
        /// Some were no longer kept.
        truncated: bool,
    },
    /// The cluster.
    Cluster(Box<ClusterView>),
    /// Not done.
    Refused(Refusal),
}

/// Why a command was not done. The state is unchanged unless the variant says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// The key made another plan's job.
    KeyReused(JobId),
    /// The key is empty or too long.
    KeyInvalid,
    /// No such job, or it is out of history.
    NoSuchJob(JobId),
    /// The job's plan has no workflow of this name.
    NoSuchWorkflow(String),
    /// The job has not ended.
    NotEnded(JobStatus),
    /// The job ended before the cancel; nothing changed.
    AlreadyEnded(JobStatus),
    /// Too many live jobs or keys; try again when some have ended.
    Full,
    /// The plan failed the gate's own check.
    PlanInvalid(String),
    /// The gate is not (yet) able to commit; retry with the same key.
    NotReady,
    /// The gate takes no new jobs.
    Draining,
    /// Leadership was lost with the call in flight: it may or may not have been done; retry with
    /// the same key.
    OutcomeUnknown,
    /// Another gate owns the job and answers this; nothing was done.
    Elsewhere {
        /// That gate.
        gate: NodeId,
    },
}

/// One line about a job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobSummary {
    /// Its id.
    pub job: JobId,
    /// The plan's name.
    pub name: String,
    /// Where it stands.
    pub status: JobStatus,
}

/// A job as a client sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub job: JobId,
    /// The plan's name.
    pub name: String,
    /// Where it stands.
    pub status: JobStatus,
    /// Why it stands there, if there is more to say.
    pub reason: String,
    /// Workflow names in the order of the plan.
    pub workflow_names: Vec<String>,
    /// The newest live view.
    pub workflows: Vec<WorkflowView>,
}

/// News about a job, ordered by `seq` within the job; a later owner of the job continues above.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Update {
    /// Its place.
    pub seq: u64,
    /// The job as of this update.
    pub view: Box<JobView>,
    /// This gate ceased to own the job: no news, and nothing more comes from here. Ask again.
    pub moved: bool,
}

/// What the gate knows of its cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClusterView {
    /// Whether this gate can commit.
    pub ready: bool,
    /// The gate that answers.
    pub gate: NodeId,
    /// The gate that leads the gates' group, as far as this one knows.
    pub leader: Option<NodeId>,
    /// The term of the gates' group.
    pub term: Term,
    /// The members of the gates' group.
    pub members: Vec<MemberView>,
    /// The gates' sessions, as far as this gate has applied the log.
    pub sessions: Vec<SessionView>,
    /// Datacenters in the order of the configuration.
    pub datacenters: Vec<DatacenterView>,
}

/// A member of the gates' group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MemberView {
    /// Its node.
    pub node: NodeId,
    /// Its disk.
    pub disk: DiskId,
    /// Whether it votes; a learner only receives the log.
    pub votes: bool,
    /// Where it stands among the gates, as far as this one knows.
    pub standing: Standing,
}

/// A gate's session: what its ownership of jobs hangs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SessionView {
    /// The gate.
    pub gate: NodeId,
    /// Where its session stands in the gates' log.
    pub session: LogIndex,
    /// Live jobs that it owns.
    pub jobs: u32,
}

/// One datacenter by its last report.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DatacenterView {
    /// Its name.
    pub name: String,
    /// A manager of it was heard within three report intervals.
    pub reachable: bool,
    /// Workers alive.
    pub workers: u32,
    /// Their cores.
    pub cores: u32,
    /// Of those, free.
    pub free: u32,
    /// The manager that leads it, as far as the gate knows.
    pub leader: Option<NodeId>,
}
