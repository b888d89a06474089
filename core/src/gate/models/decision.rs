//! Why a part was placed where it was: committed with the placing, so that any gate can tell.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::health::HealthClass;
use crate::ids::{LogIndex, NodeId, PartIx};
use crate::limits::CANDIDATES_MAX;

/// A choice of a datacenter.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Decision {
    /// The gate that chose.
    pub gate: NodeId,
    /// Why the one that was chosen.
    pub why: Why,
    /// The chosen one first, then those that would be next, then those that could not be.
    pub candidates: BoundedVec<Candidate, CANDIDATES_MAX>,
    /// Further ones that are not listed.
    pub left_out: u16,
}

/// A decision and what it is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decided {
    /// The part.
    pub part: PartIx,
    /// The placing entry.
    pub at: LogIndex,
    /// What was decided.
    pub decision: Decision,
}

/// Why a datacenter was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Why {
    /// The plan names it.
    #[default]
    Named,
    /// No other could be.
    Only,
    /// It scores best of those that are as well.
    Best,
    /// It was chosen last, and no other scores enough better.
    Kept,
    /// The plan prefers it to others that are as well.
    Preferred,
    /// One that comes before it is full.
    Spilled,
}

/// A datacenter in a decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// How well it was.
    pub class: HealthClass,
    /// What was expected of an answer, microseconds.
    pub expected: Option<u64>,
    /// How loaded it was, thousandths of an idle one.
    pub load: u64,
    /// Its place among the preferred ones.
    pub rank: Option<u16>,
    /// It had not taken a part shortly before.
    pub is_cooling: bool,
    /// When a part would have had a core.
    pub wait: Option<Duration>,
    /// The lower the better, among those that are as well.
    pub score: u64,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// It was chosen.
    Chosen,
    /// As well as the chosen one: next in the chain.
    Next,
    /// Less well than the chosen one: last in the chain.
    Fallback,
    /// It could not be.
    Excluded(Exclusion),
}

/// Why a datacenter could not be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Exclusion {
    /// It did not take the part, or has another part of the job.
    Tried,
    /// No quorum of its managers was heard.
    Unregistered,
    /// Its leader does not answer.
    Unreachable,
    /// Nothing is to be expected of it.
    Unhealthy,
    /// It takes no new parts.
    Draining,
    /// Whoever would get the offer did not answer the last ones.
    CircuitOpen,
    /// It is farther than the plan allows.
    TooFar,
}

impl Exclusion {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Tried => "tried before",
            Self::Unregistered => "not registered",
            Self::Unreachable => "unreachable",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::CircuitOpen => "circuit open",
            Self::TooFar => "farther than max_rtt",
        }
    }
}

impl Why {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Named => "the plan names it",
            Self::Only => "the only one that could be",
            Self::Best => "the best score",
            Self::Kept => "chosen last, and no other scores 20 % better",
            Self::Preferred => "the plan prefers it",
            Self::Spilled => "one that comes before it is full",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chosen => "chosen",
            Self::Next => "next in the chain",
            Self::Fallback => "fallback, less well",
            Self::Excluded(why) => why.text(),
        })
    }
}
