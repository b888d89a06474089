//! Everything that can happen to a node, whatever its role. A role counts and drops what is not for
//! it. Inputs are plain data so that a node's life can be recorded and replayed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::{Command, Tenant};
use crate::ids::{CallId, Lsn, NodeId, RunId};
use crate::stats::Totals;
use crate::wire::Message;

/// One thing that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Input {
    /// A deadline passed, or the driver felt like it: a spurious wake changes nothing.
    Wake,
    /// The journal is durable up to and including this record.
    Durable(Lsn),
    /// A message arrived. The transport has checked cluster, role and version of the sender.
    Received {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        msg: Box<Message>,
    },
    /// A client asks (gate only). Every call gets exactly one reply, or none if the node dies.
    Called {
        /// Where the reply goes.
        call: CallId,
        /// Who asks; empty: this process itself.
        client: Tenant,
        /// What is asked.
        command: Box<Command>,
    },
    /// The load engine reports (worker only).
    Engine(Box<EngineEvent>),
    /// An operator or SIGTERM asks this node to leave: finish or hand back, take nothing new.
    Drain,
    /// The driver measured how the node copes, a few times a second.
    Sampled(Sample),
    /// A message arrived of a kind or with a content that a newer minor brought.
    Unknown {
        /// Who sent it.
        from: NodeId,
    },
}

/// How a node copes, as its driver measures it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Inputs that waited when this was taken.
    pub queued: u32,
    /// How long this input itself waited.
    pub delay: Duration,
    /// The process's share of its cores, per mille.
    pub cpu: u16,
    /// The process's share of the memory it may use, per mille.
    pub memory: u16,
    /// Messages to peers dropped since the process started, by class.
    pub dropped: [u64; 4],
}

/// What the load engine tells its node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum EngineEvent {
    /// A started run is ready for its first permit.
    Prepared {
        /// The run.
        run: RunId,
    },
    /// A started run cannot work (name does not resolve, flow does not compile). The engine has
    /// forgotten it.
    PrepareFailed {
        /// The run.
        run: RunId,
        /// Why, for the user.
        reason: String,
    },
    /// How far a run is. Sent every 100 ms or so while it runs, and at once when it becomes starved
    /// or idle.
    Progressed {
        /// The run.
        run: RunId,
        /// Its counters.
        progress: Progress,
    },
    /// Cumulative totals, cut at a whole plan second.
    Reported {
        /// The run.
        run: RunId,
        /// Everything that ended before this plan second is in the totals, and nothing else.
        second: u32,
        /// The counters at the cut.
        progress: Progress,
        /// Totals since the run began.
        totals: Box<Totals>,
    },
    /// A run ended: it issues nothing more, ever, and the engine has forgotten it.
    Ended {
        /// The run.
        run: RunId,
        /// Whether it did all its plan asked (`false`: it was stopped).
        completed: bool,
        /// The counters at the end.
        progress: Progress,
        /// Its final totals.
        totals: Box<Totals>,
    },
}

/// Counters of a run that travel with every heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The next local item that the pacer would issue: everything below was issued or dropped.
    pub next: u64,
    /// Items issued since the run began.
    pub started: u64,
    /// Issued items that ended.
    pub ended: u64,
    /// Arrivals dropped since the run began (late, no free VU, or parked).
    pub dropped: u64,
    /// Stopped by its ceiling rather than by its plan: a higher ceiling is wanted at once.
    pub starved: bool,
}
