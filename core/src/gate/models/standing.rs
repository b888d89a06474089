//! How a datacenter stands with a gate: what routing decides by, and what operators see.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::health::{Circuit, HealthClass};
use crate::ids::NodeId;

/// How much of a datacenter was heard of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Registration {
    /// No manager was ever heard.
    #[default]
    Awaiting,
    /// A minority of its managers was heard, and never more.
    Initialising,
    /// A quorum of its configured managers is heard.
    Ready,
    /// A minority is heard, after a quorum was.
    Partial,
    /// None is heard, or a minority for too long.
    Unavailable,
}

/// Whether a datacenter's leader answers probes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Reachability {
    /// A recent probe was answered.
    Reachable,
    /// The last few were not.
    Suspected,
    /// For long none was, or none ever.
    #[default]
    Unreachable,
}

/// A datacenter as a gate sees it at one instant.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// How well it is.
    pub class: HealthClass,
    /// What the class rests on, for people.
    pub why: String,
    /// How much of it was heard of.
    pub registration: Registration,
    /// Whether its leader answers.
    pub reachability: Reachability,
    /// The age of the newest probe that it answered; `None` if it never did.
    pub silent: Option<Duration>,
    /// Its silence counts as the network's.
    pub is_held: bool,
    /// It fails so often that it is held back.
    pub is_flapping: bool,
    /// The circuit of whoever would get an offer.
    pub circuit: Circuit,
    /// Circuits that are not closed, and all of them.
    pub circuits: (u16, u16),
    /// It takes no new parts.
    pub is_draining: bool,
    /// It did not take a part a short time ago.
    pub is_cooling: bool,
    /// The manager that leads it, as far as the gate knows.
    pub leader: Option<NodeId>,
    /// Measured round trips: half and 99 of 100 do not exceed these, microseconds.
    pub rtt: Option<(u64, u64)>,
    /// What a round trip hardly exceeds, if that was measured lately and often enough to rely on.
    pub rtt_bound: Option<u64>,
    /// What to expect of an answer, microseconds.
    pub expected: Option<u64>,
    /// Workers alive.
    pub workers: u32,
    /// Of those, the ones that leave.
    pub leaving: u32,
    /// Their cores.
    pub cores: u32,
    /// Of those, free.
    pub free: u32,
    /// Workflows and parts that wait there, and parts given to it since it said so.
    pub waiting: u32,
    /// When the next part would have a core, by the plans of what runs; `None` if that is unknown
    /// or old.
    pub wait: Option<Duration>,
}

impl Registration {
    /// The name people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Awaiting => "awaiting",
            Self::Initialising => "initialising",
            Self::Ready => "ready",
            Self::Partial => "partial",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether parts may go there.
    pub const fn is_registered(self) -> bool {
        match self {
            Self::Ready | Self::Partial => true,
            Self::Awaiting | Self::Initialising | Self::Unavailable => false,
        }
    }
}

impl Reachability {
    /// The name people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Suspected => "suspected",
            Self::Unreachable => "unreachable",
        }
    }
}
