//! Which workflow gets cores first, and how many of a datacenter's it may have.

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::ids::WorkflowIx;
use crate::limits;

/// The priority of a workflow, lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Priority {
    /// At most a quarter of the cores.
    Low,
    /// As many cores as there are.
    #[default]
    Auto,
    /// At most three quarters of the cores.
    Normal,
    /// Before the others, as many cores as there are.
    High,
    /// Before all others, on workers that run nothing else meanwhile.
    Exclusive,
}

impl Priority {
    /// Where it stands in the queue for cores; higher goes first.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Low => 0,
            Self::Auto | Self::Normal => 1,
            Self::High => 2,
            Self::Exclusive => 3,
        }
    }

    /// Its part of the free cores where several wait.
    pub const fn weight(self) -> u32 {
        match self {
            Self::Low => 1,
            Self::Auto | Self::Normal => 3,
            Self::High | Self::Exclusive => 9,
        }
    }

    /// At most so many of a datacenter's `cores`; at least one.
    pub fn cores_max(self, cores: u32) -> u32 {
        let quarters = match self {
            Self::Low => 1,
            Self::Normal => 3,
            Self::Auto | Self::High | Self::Exclusive => 4,
        };
        let most = u64::from(cores).saturating_mul(quarters) / 4;
        u32::try_from(most).unwrap_or(u32::MAX).max(1)
    }
}

impl Plan {
    /// How many workers the job may lose in a datacenter before its load shrinks.
    pub fn losses_max(&self) -> u32 {
        u32::from(self.retries).saturating_mul(limits::LOSSES_PER_RETRY).max(limits::LOSSES_LEAST)
    }

    /// Where a workflow stands in the queue for cores: no lower than what waits for it.
    pub fn rank(&self, workflow: WorkflowIx) -> u8 {
        let mut held_up = vec![workflow];
        let mut rank = 0;
        let mut next = 0;
        while let Some(ix) = held_up.get(next).copied() {
            next = next.saturating_add(1);
            let planned = self.workflows.get(usize::from(ix.get()));
            rank = rank.max(planned.map_or(0, |planned| planned.priority.rank()));
            for (other, planned) in (0u16..).map(WorkflowIx::new).zip(self.workflows.iter()) {
                if planned.after.contains(&ix) && !held_up.contains(&other) {
                    held_up.push(other);
                }
            }
        }
        rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_quarters_and_never_nothing() {
        let of = |cores| {
            [Priority::Low, Priority::Auto, Priority::Normal, Priority::High, Priority::Exclusive]
                .map(|priority| priority.cores_max(cores))
        };
        assert_eq!(of(16), [4, 16, 12, 16, 16]);
        assert_eq!(of(1), [1, 1, 1, 1, 1]);
    }
}
