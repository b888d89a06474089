//! What clients may ask of a gate and what they hear. The HTTP API and the simulator's clients
//! speak this.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedString;
use crate::gate::models::{Decided, Standing};
use crate::ids::{DiskId, JobId, LogIndex, NodeId, Term, WorkflowIx};
use crate::limits::TENANT_BYTES_MAX;
use crate::membership;
use crate::plan::Plan;
use crate::report::{JobResult, JobStatus, WorkflowView};
use crate::stats::Errors;

/// The name under which a client submits, and whose rate and turn it uses up.
pub type Tenant = BoundedString<TENANT_BYTES_MAX>;

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
    /// What a job's workflows measured over plan time.
    Stats {
        /// The job.
        job: JobId,
        /// Windows are added up to so many plan seconds.
        width: u32,
    },
    /// Why a job's parts were placed where they were.
    Explain(JobId),
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
    /// What was measured over plan time.
    Stats(Box<JobStats>),
    /// The placings of a job.
    Explained(Box<Explanation>),
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
    /// The gate is overloaded, or has too many calls of this kind open; nothing was done.
    Busy {
        /// Come back after this.
        retry_after: Duration,
    },
    /// This client asks too often; nothing was done.
    Limited {
        /// Come back after this.
        retry_after: Duration,
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
    /// Its place among the jobs that wait, from 1.
    pub position: Option<u32>,
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
    /// Its place among the jobs that wait, from 1.
    pub position: Option<u32>,
    /// The newest closed window of every workflow that has one.
    pub windows: Vec<WindowView>,
}

/// What a workflow measured between two whole plan seconds, over all datacenters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct WindowView {
    /// The workflow's place in the plan.
    pub workflow: WorkflowIx,
    /// The plan second at which it begins.
    pub from: u32,
    /// The plan second before which it ends.
    pub until: u32,
    /// Shards whose measurements are in it.
    pub shards: u32,
    /// Shards that ran.
    pub of: u32,
    /// Shards that were late, whose earlier measurements are in it too.
    pub late: u32,
    /// Iterations that ended.
    pub iterations: u64,
    /// Arrivals that were planned and not issued.
    pub dropped: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Of those, failed.
    pub failed: u64,
    /// By class.
    pub errors: Errors,
    /// Median duration, microseconds; absent without samples.
    pub p50_us: Option<u64>,
    /// The 95th percentile.
    pub p95_us: Option<u64>,
    /// The 99th percentile.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

/// What a job's workflows measured over plan time, as far as the answering gate keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobStats {
    /// The job.
    pub job: JobId,
    /// The plan's name.
    pub name: String,
    /// Where it stands.
    pub status: JobStatus,
    /// Workflow names in the order of the plan.
    pub workflow_names: Vec<String>,
    /// Of every workflow that has been heard of.
    pub workflows: Vec<WorkflowStats>,
}

/// A workflow over plan time. Requests before, in all windows and open are those of its totals and
/// those written off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkflowStats {
    /// Its place in the plan.
    pub workflow: WorkflowIx,
    /// Requests before the oldest window.
    pub before: u64,
    /// Windows, oldest first; old ones are wider.
    pub windows: Vec<WindowView>,
    /// Requests in no closed window yet.
    pub open: u64,
    /// Requests that were reported and whose totals were lost with their run.
    pub written_off: u64,
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
    pub datacenters: Vec<Standing>,
    /// How this gate copes, and what it refused.
    pub flow: FlowView,
}

/// How a gate copes, and what it refused since it started.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FlowView {
    /// The name of its overload level.
    pub level: String,
    /// Jobs that wait for their turn.
    pub waiting: u32,
    /// Jobs that have it.
    pub running: u32,
    /// Jobs that may have it at a time.
    pub running_max: u32,
    /// Inputs that waited when it was measured last.
    pub queued: u32,
    /// How long the newest had waited.
    pub delay: Duration,
    /// Its share of its cores, per mille.
    pub cpu: u16,
    /// Its share of the memory it may use, per mille.
    pub memory: u16,
    /// Calls refused because their client asked too often.
    pub limited: u64,
    /// Clients whose rate it keeps.
    pub clients: u32,
    /// The most important first.
    pub classes: Vec<FlowClassView>,
}

/// What became of a class.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FlowClassView {
    /// Its name.
    pub name: String,
    /// Calls that are not answered yet.
    pub open: u32,
    /// Calls refused.
    pub shed: u64,
    /// Messages to peers dropped.
    pub dropped: u64,
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
    pub standing: membership::Standing,
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

/// Why a job's parts were placed where they were.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// Its id.
    pub job: JobId,
    /// The plan's name.
    pub name: String,
    /// Where it stands.
    pub status: JobStatus,
    /// Why it stands there, if there is more to say.
    pub reason: String,
    /// Every choice that is kept, the newest last. Empty while no datacenter was found.
    pub decisions: Vec<Decided>,
}
