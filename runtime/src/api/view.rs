//! What the API shows of jobs and of the cluster, as JSON. Kept apart from the core's types, which
//! may change.

mod flow;
use std::time::Duration;

use hyperscale_core::api;
use hyperscale_core::gate::models::{self, Decided, Reachability, Standing};
use hyperscale_core::ids::NodeId;
use hyperscale_core::report::{self, JobStatus, WorkflowStatus};
use serde::{Deserialize, Serialize};

use super::stats::Window;
use crate::summary::{Metric, workflow_metrics};
pub use flow::{Flow, FlowClass};

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
    /// Its place among the jobs that wait for their turn, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
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
    /// Its place among the jobs that wait for their turn, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
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
    /// `metrics` have what ended before this plan second, and nothing later.
    pub second: u32,
    /// Shards whose measurements up to `second` have not come.
    pub shards_late: u16,
    /// The newest closed window; absent before the first.
    pub window: Option<Window>,
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
    /// How the gate copes, and what it refused since it started.
    pub flow: Flow,
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

/// A datacenter as the gate sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Datacenter {
    /// Its name.
    pub name: String,
    /// Its leader answered a recent probe.
    pub reachable: bool,
    /// `healthy`, `busy`, `degraded` or `unhealthy`.
    pub class: String,
    /// What the class rests on.
    pub why: String,
    /// `awaiting`, `initialising`, `ready`, `partial` or `unavailable`.
    pub registration: String,
    /// `reachable`, `suspected` or `unreachable`.
    pub reachability: String,
    /// `closed`, `half-open` or `open`.
    pub circuit: String,
    /// Takes no new parts.
    pub draining: bool,
    /// Half of the round trips are not longer, milliseconds; absent before the first.
    pub rtt_p50_ms: Option<u64>,
    /// 99 of 100 round trips are not longer, milliseconds.
    pub rtt_p99_ms: Option<u64>,
    /// Workers alive.
    pub workers: u32,
    /// Their cores.
    pub cores: u32,
    /// Of those, free.
    pub free: u32,
    /// What waits there for a core.
    pub waiting: u32,
    /// When the next part would have a core, milliseconds; absent while that is not known.
    pub wait_ms: Option<u64>,
    /// The manager that leads it; absent while the gate knows of none.
    pub leader: Option<u64>,
}

/// Why a job's parts were placed where they were.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The job, `j17`.
    pub id: String,
    /// The plan's name.
    pub name: String,
    /// See [`job_status`].
    pub status: String,
    /// Why it stands there, if there is more to say.
    pub reason: String,
    /// Every placing that is kept, the newest last; empty while no datacenter was found.
    pub placings: Vec<Placing>,
}

/// Why a part was placed where it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Placing {
    /// The part.
    pub part: u16,
    /// The placing's number in the gates' log.
    pub entry: u64,
    /// The gate that chose.
    pub gate: u64,
    /// Why the one that was chosen.
    pub why: String,
    /// The chosen one first, then those that would be next, then those that could not be.
    pub candidates: Vec<Candidate>,
    /// Further ones that are not listed.
    pub left_out: u16,
}

/// A datacenter in a placing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub datacenter: String,
    /// `healthy`, `busy`, `degraded` or `unhealthy`.
    pub class: String,
    /// What was expected of an answer, microseconds.
    pub expected_us: Option<u64>,
    /// How loaded it was, thousandths of an idle one.
    pub load_milli: u64,
    /// Its place among the preferred ones, from 0.
    pub preference: Option<u16>,
    /// It had not taken a part shortly before, which doubles the score.
    pub cooling: bool,
    /// When a part would have had a core, milliseconds.
    pub wait_ms: Option<u64>,
    /// The lower the better, among those that are as well.
    pub score: u64,
    /// `chosen`, what its place in the chain is, or why it could not be.
    pub verdict: String,
}

impl From<&api::JobSummary> for JobLine {
    fn from(line: &api::JobSummary) -> Self {
        let status = job_status(line.status).to_owned();
        let (id, name) = (line.job.to_string(), line.name.clone());
        Self { id, name, status, position: line.position }
    }
}

impl From<&api::JobView> for Job {
    fn from(view: &api::JobView) -> Self {
        let workflows = view.workflows.iter().map(|one| {
            let window = view.windows.iter().find(|window| window.workflow == one.workflow);
            let window = window.map(Window::from);
            Workflow { window, ..workflow(&view.workflow_names, one) }
        });
        Self {
            id: view.job.to_string(),
            name: view.name.clone(),
            status: job_status(view.status).to_owned(),
            terminal: view.status.is_terminal(),
            reason: view.reason.clone(),
            workflows: workflows.collect(),
            position: view.position,
        }
    }
}

impl From<&api::ClusterView> for Cluster {
    fn from(view: &api::ClusterView) -> Self {
        let datacenters = view.datacenters.iter().map(Datacenter::from);
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
            flow: Flow::from(&view.flow),
        }
    }
}

impl From<&Standing> for Datacenter {
    fn from(one: &Standing) -> Self {
        Self {
            name: one.name.clone(),
            reachable: one.reachability == Reachability::Reachable,
            class: one.class.name().to_owned(),
            why: one.why.clone(),
            registration: one.registration.name().to_owned(),
            reachability: one.reachability.name().to_owned(),
            circuit: one.circuit.name().to_owned(),
            draining: one.is_draining,
            rtt_p50_ms: one.rtt.map(|(half, _)| half.div_ceil(1_000)),
            rtt_p99_ms: one.rtt.map(|(_, most)| most.div_ceil(1_000)),
            workers: one.workers,
            cores: one.cores,
            free: one.free,
            waiting: one.waiting,
            wait_ms: one.wait.map(millis),
            leader: one.leader.map(NodeId::get),
        }
    }
}

impl From<&api::Explanation> for Explanation {
    fn from(view: &api::Explanation) -> Self {
        let placing = |decided: &Decided| Placing {
            part: decided.part.get(),
            entry: decided.at.get(),
            gate: decided.decision.gate.get(),
            why: decided.decision.why.text().to_owned(),
            candidates: decided.decision.candidates.iter().map(Candidate::from).collect(),
            left_out: decided.decision.left_out,
        };
        Self {
            id: view.job.to_string(),
            name: view.name.clone(),
            status: job_status(view.status).to_owned(),
            reason: view.reason.clone(),
            placings: view.decisions.iter().map(placing).collect(),
        }
    }
}

impl From<&models::Candidate> for Candidate {
    fn from(one: &models::Candidate) -> Self {
        Self {
            datacenter: one.name.clone(),
            class: one.class.name().to_owned(),
            expected_us: one.expected,
            load_milli: one.load,
            preference: one.rank,
            cooling: one.is_cooling,
            wait_ms: one.wait.map(millis),
            score: one.score,
            verdict: one.verdict.to_string(),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
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
        shards_late: view.shards_late,
        window: None,
        metrics: workflow_metrics(&view.totals, f64::from(view.second)),
    }
}

/// A job's status as it is shown.
pub const fn job_status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Queued => "queued",
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
