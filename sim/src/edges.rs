//! Moves of what has a life: which of the legal ones a case made, by the views of nodes between
//! events. What is legal is the tables of the core.
//!
//! A node that acts on one entry shows one move; one that catches up shows where it came to, which
//! counts for nothing. Does not do: judge (`oracles::workflows`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hyperscale_core::gate::models::may_follow;
use hyperscale_core::ids::{JobId, RunId, WorkflowIx};
use hyperscale_core::manager::may_move;
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::wire::RunState;
use hyperscale_core::worker::may_go;

use crate::node::AnyNode;

/// A legal move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Edge {
    /// Of a job, in the gates' ledger.
    Job(JobStatus, JobStatus),
    /// Of a workflow, in the ledger of a datacenter.
    Workflow(WorkflowStatus, WorkflowStatus),
    /// Of a run, on its worker.
    Run(RunState, RunState),
}

impl fmt::Display for Edge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edge::Job(from, to) => write!(out, "edge job {from:?} -> {to:?}"),
            Edge::Workflow(from, to) => write!(out, "edge workflow {from:?} -> {to:?}"),
            Edge::Run(from, to) => write!(out, "edge run {from:?} -> {to:?}"),
        }
    }
}

const JOBS: [JobStatus; 10] = [
    JobStatus::Queued,
    JobStatus::Submitted,
    JobStatus::Dispatching,
    JobStatus::Running,
    JobStatus::Cancelling,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::Cancelled,
    JobStatus::TimedOut,
    JobStatus::Partial,
];

const WORKFLOWS: [WorkflowStatus; 8] = [
    WorkflowStatus::Pending,
    WorkflowStatus::Dispatched,
    WorkflowStatus::Running,
    WorkflowStatus::Cancelling,
    WorkflowStatus::Completed,
    WorkflowStatus::Failed,
    WorkflowStatus::Cancelled,
    WorkflowStatus::Skipped,
];

const RUNS: [RunState; 7] = [
    RunState::Preparing,
    RunState::Prepared,
    RunState::Running,
    RunState::Parked,
    RunState::Stopping,
    RunState::Ended,
    RunState::Refused,
];

impl Edge {
    /// Every legal move from one state to another.
    pub fn all() -> Vec<Edge> {
        let jobs = pairs(&JOBS).filter(|(from, to)| may_follow(*from, *to));
        let workflows = pairs(&WORKFLOWS).filter(|(from, to)| may_move(*from, *to));
        let runs = pairs(&RUNS).filter(|(from, to)| from != to && may_go(*from, *to));
        let jobs = jobs.map(|(from, to)| Edge::Job(from, to));
        let workflows = workflows.map(|(from, to)| Edge::Workflow(from, to));
        jobs.chain(workflows).chain(runs.map(|(from, to)| Edge::Run(from, to))).collect()
    }
}

fn pairs<T: Copy>(all: &[T]) -> impl Iterator<Item = (T, T)> {
    all.iter().flat_map(|from| all.iter().map(|to| (*from, *to)))
}

/// What nodes showed last, by their places, and the moves that were made.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    jobs: BTreeMap<(u16, JobId), JobStatus>,
    workflows: BTreeMap<(u16, JobId, WorkflowIx), WorkflowStatus>,
    /// By host.
    runs: Vec<BTreeMap<RunId, RunState>>,
    made: BTreeSet<Edge>,
}

impl Edges {
    /// The moves that were made.
    pub fn made(&self) -> &BTreeSet<Edge> {
        &self.made
    }

    /// A node acts on one more entry of its group's log, or on several.
    pub fn on_applied(&mut self, host: u16, node: &AnyNode, is_one: bool) {
        for (id, job) in node.gate().into_iter().flat_map(|gate| gate.jobs()) {
            let before = self.jobs.insert((host, id), job.status);
            if let Some(from) = before.filter(|from| is_one && may_follow(*from, job.status)) {
                self.made.insert(Edge::Job(from, job.status));
            }
        }
        for part in node.manager().into_iter().flat_map(|manager| manager.parts()) {
            for (ix, state) in part.states() {
                let (key, to) = ((host, part.id.job, ix), state.status);
                let before = self.workflows.insert(key, to);
                if let Some(from) = before.filter(|from| is_one && may_move(*from, to)) {
                    self.made.insert(Edge::Workflow(from, to));
                }
            }
        }
    }

    /// A node took a step.
    pub fn on_stepped(&mut self, host: u16, node: &AnyNode) {
        let Some(worker) = node.worker() else { return };
        let host = usize::from(host);
        if self.runs.len() <= host {
            self.runs.resize(host + 1, BTreeMap::new());
        }
        for run in worker.runs() {
            let before = self.runs[host].get(&run.run).copied();
            if before == Some(run.state) {
                continue;
            }
            self.runs[host].insert(run.run, run.state);
            if let Some(from) = before.filter(|from| may_go(*from, run.state)) {
                self.made.insert(Edge::Run(from, run.state));
            }
        }
    }
}
