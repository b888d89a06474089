//! Where a job's load comes from: one part for each datacenter.

use serde::{Deserialize, Serialize};

use super::model::{Executor, Plan};
use super::share::PartShare;
use crate::bounded::BoundedVec;
use crate::ids::PartIx;
use crate::limits;

/// The datacenters that run a plan, and how they share it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Datacenters {
    /// So many different ones in equal shares, chosen by the gate; at least 1.
    Any(u16),
    /// These, each with a share in proportion to its weight; at least one.
    Named(BoundedVec<Site, { limits::DATACENTERS_MAX }>),
}

/// A datacenter of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Site {
    /// Its name; unique within the plan.
    pub name: String,
    /// 1 to `limits::WEIGHT_MAX`.
    pub weight: u32,
}

impl Default for Datacenters {
    fn default() -> Self {
        Self::Any(1)
    }
}

impl Datacenters {
    /// How many parts a job has.
    pub fn count(&self) -> usize {
        match self {
            Self::Any(count) => usize::from(*count),
            Self::Named(sites) => sites.len(),
        }
    }

    /// The datacenter that must run a part; `None` if any may.
    pub fn name(&self, part: PartIx) -> Option<&str> {
        match self {
            Self::Any(_) => None,
            Self::Named(sites) => Some(&sites.get(usize::from(part.get()))?.name),
        }
    }

    /// The weight of every part.
    pub fn weights(&self) -> Vec<u32> {
        match self {
            Self::Any(count) => vec![1; usize::from(*count)],
            Self::Named(sites) => sites.iter().map(|site| site.weight).collect(),
        }
    }
}

impl Plan {
    /// The share of a part in a workflow with this executor; `None` if the plan has no such part.
    pub fn part_share(&self, part: PartIx, executor: &Executor) -> Option<PartShare> {
        PartShare::of(executor, &self.datacenters.weights(), usize::from(part.get()))
    }
}
