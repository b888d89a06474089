//! What the API shows of jobs and of the cluster, as JSON. Kept apart from the core's types, which
//! may change.

use hyperscale_core::api;
use hyperscale_core::ids::NodeId;
use hyperscale_core::report::{self, JobStatus, WorkflowStatus};
use serde::{Deserialize, Serialize};

use crate::summary::{Metric, workflow_metrics};

/// The answer to a submission.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// The job, `j17`.
    pub id: String,
    /// The key had made it before.
    pub existing: bool,
}

/// The answer to a cancel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cancelling {
    /// The job, `j17`.
    pub id: String,
}

/// Jobs, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Jobs {
    /// One line each.
    pub jobs: Vec<JobLine>,
}

/// One line about a job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobLine {
    /// The job, `j17`.
    pub id: String,
    /// The plan's name.
    pub name: String,
    /// See [`job_status`].
    pub status: String,
}

/// A job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The job, `j17`.
    pub id: String,
    /// The plan's name.
    pub name: String,
    /// See [`job_status`].
    pub status: String,
    /// Whether it never changes again.
    pub terminal: bool,
    /// Why it stands there, if there is more to say.
    pub reason: String,
    /// In the order of the plan; empty before the first report.
    pub workflows: Vec<Workflow>,
}

/// A workflow while it runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// See [`workflow_status`].
    pub status: String,
    /// Plan time, seconds.
    pub plan_time: f64,
    /// VUs of confirmed shards.
    pub vus: u32,
    /// Shards that hold a confirmation.
    pub shards_live: u16,
    /// Shards in all.
    pub shards: u16,
    /// Every shard's totals reach at least this plan second; `metrics` are cumulative.
    pub second: u32,
    /// Since the start, with k6's names.
    pub metrics: Vec<Metric>,
}

/// The cluster as a gate sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Whether the gate can commit.
    pub ready: bool,
    /// The gate that answers, by its number as in the configuration.
    pub gate: u64,
    /// The gate that leads the gates' group; absent while nobody is known to.
    pub leader: Option<u64>,
    /// The term of the gates' group.
    pub term: u64,
    /// The members of the gates' group.
    pub members: Vec<Member>,
    /// The gates that may own jobs.
    pub sessions: Vec<Session>,
    /// In the order of the gate's configuration.
    pub datacenters: Vec<Datacenter>,
}

/// A member of the gates' group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its node.
    pub node: u64,
    /// Its disk, `d17`.
    pub disk: String,
    /// Whether it votes; others only receive the log.
    pub votes: bool,
    /// `alive`, `suspect`, `dead`, `left`, or `unconfirmed` before it was reached.
    pub standing: String,
}

/// A gate's session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The gate.
    pub gate: u64,
    /// The session's number; higher ones are newer.
    pub session: u64,
    /// Live jobs that the gate owns.
    pub jobs: u32,
}

/// The answer to a request to leave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Draining {
    /// Always true.
    pub draining: bool,
}

/// A datacenter by its last report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Datacenter {
    /// Its name.
    pub name: String,
    /// A manager was heard lately.
    pub reachable: bool,
    /// Workers alive.
    pub workers: u32,
    /// Their cores.
    pub cores: u32,
    /// Of those, free.
    pub free: u32,
    /// The manager that leads it; absent while the gate knows of none.
    pub leader: Option<u64>,
}

impl From<&api::JobSummary> for JobLine {
    fn from(line: &api::JobSummary) -> Self {
        let status = job_status(line.status).to_owned();
        Self { id: line.job.to_string(), name: line.name.clone(), status }
    }
}

impl From<&api::JobView> for Job {
    fn from(view: &api::JobView) -> Self {
        let workflows = view.workflows.iter().map(|one| workflow(&view.workflow_names, one));
        Self {
            id: view.job.to_string(),
            name: view.name.clone(),
            status: job_status(view.status).to_owned(),
            terminal: view.status.is_terminal(),
            reason: view.reason.clone(),
            workflows: workflows.collect(),
        }
    }
}

impl From<&api::ClusterView> for Cluster {
    fn from(view: &api::ClusterView) -> Self {
        let datacenters = view.datacenters.iter().map(|one| Datacenter {
            name: one.name.clone(),
            reachable: one.reachable,
            workers: one.workers,
            cores: one.cores,
            free: one.free,
            leader: one.leader.map(NodeId::get),
        });
        let members = view.members.iter().map(|member| Member {
            node: member.node.get(),
            disk: member.disk.to_string(),
            votes: member.votes,
            standing: member.standing.name().to_owned(),
        });
        let sessions = view.sessions.iter().map(|one| Session {
            gate: one.gate.get(),
            session: one.session.get(),
            jobs: one.jobs,
        });
        Self {
            ready: view.ready,
            gate: view.gate.get(),
            leader: view.leader.map(NodeId::get),
            term: view.term.get(),
            members: members.collect(),
            sessions: sessions.collect(),
            datacenters: datacenters.collect(),
        }
    }
}

fn workflow(names: &[String], view: &report::WorkflowView) -> Workflow {
    let name = names.get(usize::from(view.workflow.get())).cloned();
    Workflow {
        name: name.unwrap_or_else(|| view.workflow.to_string()),
        status: workflow_status(view.status).to_owned(),
        plan_time: view.plan_time.elapsed().as_secs_f64(),
        vus: view.vus,
        shards_live: view.shards_live,
        shards: view.shards,
        second: view.second,
        metrics: workflow_metrics(&view.totals, f64::from(view.second)),
    }
}

/// A job's status as it is shown.
pub const fn job_status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Submitted => "submitted",
        JobStatus::Dispatching => "dispatching",
        JobStatus::Running => "running",
        JobStatus::Cancelling => "cancelling",
        JobStatus::Completed => "completed",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "cancelled",
        JobStatus::TimedOut => "timed_out",
        JobStatus::Partial => "partial",
    }
}

/// A workflow's status as it is shown.
pub const fn workflow_status(status: WorkflowStatus) -> &'static str {
    match status {
        WorkflowStatus::Pending => "pending",
        WorkflowStatus::Dispatched => "dispatched",
        WorkflowStatus::Running => "running",
        WorkflowStatus::Cancelling => "cancelling",
        WorkflowStatus::Completed => "completed",
        WorkflowStatus::Failed => "failed",
        WorkflowStatus::Cancelled => "cancelled",
        WorkflowStatus::Skipped => "skipped",
    }
}
