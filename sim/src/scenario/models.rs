//! What scenarios speak of.

use std::fmt;
use std::time::Duration;

use hyperscale_core::report::JobStatus;

use super::Load;

/// A job's number as the cluster gave it.
pub type JobNumber = u64;

/// Names one question.
pub type Ticket = u64;

/// The shape of a cluster: every datacenter is alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topology {
    /// Gates.
    pub gates: u16,
    /// Datacenters.
    pub datacenters: u16,
    /// Managers of each.
    pub managers: u16,
    /// Workers of each.
    pub workers: u16,
    /// Cores of each worker.
    pub cores: u16,
}

/// One process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Node {
    /// The n-th gate.
    Gate(u16),
    /// Of a datacenter, the n-th manager.
    Manager(u16, u16),
    /// Of a datacenter, the n-th worker.
    Worker(u16, u16),
}

/// Nodes that agree among themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// All gates.
    Gates,
    /// The managers of a datacenter.
    Managers(u16),
}

/// A directed link.
pub type Link = (Node, Node);

/// What is asked of a gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// Create a job once per key.
    Submit {
        /// The key; the load is served under it.
        key: String,
        /// What to run.
        load: Load,
    },
    /// Where a job stands.
    Status(JobNumber),
    /// End a job.
    Cancel(JobNumber),
    /// A job's result.
    Result(JobNumber),
    /// How many jobs there are.
    List,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The job exists.
    Submitted {
        /// Its number.
        job: JobNumber,
        /// The key had made it before.
        existing: bool,
    },
    /// Where the job stands.
    Status(JobStatus),
    /// The cancel is committed.
    Cancelling,
    /// The job's result.
    Ended(Box<Outcome>),
    /// Every job's number.
    Jobs(Vec<JobNumber>),
    /// Not done.
    Refused {
        /// The stable name of why.
        why: String,
        /// In words.
        reason: String,
        /// After how long to ask again, if the gate said so.
        again_in: Option<Duration>,
    },
    /// Nothing was heard.
    Silent,
}

/// A job's result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How the job ended.
    pub status: JobStatus,
    /// Why it failed; empty otherwise.
    pub reason: String,
    /// Requests in the totals.
    pub reported: u64,
    /// Requests that were open when their run ended.
    pub interrupted: u64,
    /// Arrivals that were not issued.
    pub dropped: u64,
    /// Arrivals that may have been issued and are not in the totals.
    pub unreported: u64,
    /// Arrivals not issued because a run had no confirmation.
    pub parked: u64,
    /// Arrivals not issued because nobody ran the shard.
    pub unserved: u64,
    /// Whether the result says that nodes failed it.
    pub is_degraded: bool,
    /// A row per datacenter that ran a part of it, where the result has them.
    pub parts: Vec<PartOutcome>,
}

/// One datacenter's part of a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartOutcome {
    /// The datacenter.
    pub datacenter: u16,
    /// Whether its result is in the totals.
    pub is_counted: bool,
}

/// One request as the target server saw it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Arrival {
    /// When, on the cluster's time.
    pub at: Duration,
    /// Its index in the plan.
    pub index: u64,
}

impl Topology {
    /// Gates, then each datacenter's managers, then each datacenter's workers.
    pub fn nodes(&self) -> Vec<Node> {
        let gates = (0..self.gates).map(Node::Gate);
        let managers = (0..self.datacenters).flat_map(|dc| self.managers_of(dc));
        let workers = (0..self.datacenters).flat_map(|dc| self.workers_of(dc));
        gates.chain(managers).chain(workers).collect()
    }

    /// The managers of a datacenter.
    pub fn managers_of(&self, dc: u16) -> impl Iterator<Item = Node> + use<> {
        (0..self.managers).map(move |n| Node::Manager(dc, n))
    }

    /// The workers of a datacenter.
    pub fn workers_of(&self, dc: u16) -> impl Iterator<Item = Node> + use<> {
        (0..self.workers).map(move |n| Node::Worker(dc, n))
    }

    /// The members of a group.
    pub fn members(&self, group: Group) -> Vec<Node> {
        match group {
            Group::Gates => (0..self.gates).map(Node::Gate).collect(),
            Group::Managers(dc) => self.managers_of(dc).collect(),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Gate(n) => write!(f, "g{n}"),
            Node::Manager(dc, n) => write!(f, "m{dc}-{n}"),
            Node::Worker(dc, n) => write!(f, "w{dc}-{n}"),
        }
    }
}

impl Answer {
    /// Whether the same question may do better later.
    pub fn is_passing(&self) -> bool {
        match self {
            Answer::Silent => true,
            Answer::Refused { why, .. } => {
                let passing =
                    ["not-ready", "outcome-unknown", "draining", "busy", "full", "rate-limited"];
                passing.contains(&why.as_str())
            }
            _ => false,
        }
    }
}
