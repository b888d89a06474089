//! Probes: what every sweep of many seeds has to reach at least once, and the few that it cannot.

use hyperscale_core::stat::{Counters, Stat};

use super::Row;

/// Below so many seeds a probe that was not reached is printed and fails nothing.
pub const SEEDS_MIN: u64 = 2_000;

/// A counter that no simulated world moves.
#[derive(Clone, Copy, Debug)]
pub struct Exempt {
    /// The counter.
    pub stat: Stat,
    /// Why.
    pub because: &'static str,
    /// Which test moves it: its file below the workspace, and its name.
    pub test: (&'static str, &'static str),
}

/// Every exemption. One that is reached after all fails the sweep.
pub const EXEMPT: &[Exempt] = &[];

/// Per counter the seeds in which some node moved it.
#[derive(Clone, Debug)]
pub struct Probes([u64; Stat::ALL.len()]);

impl Default for Probes {
    fn default() -> Self {
        Self([0; Stat::ALL.len()])
    }
}

impl Probes {
    /// Adds a seed.
    pub(super) fn add(&mut self, counted: &Counters) {
        for (seeds, stat) in self.0.iter_mut().zip(Stat::ALL) {
            *seeds += u64::from(counted.count(*stat) > 0);
        }
    }

    /// Adds another sweep's.
    pub(super) fn merge(&mut self, other: &Probes) {
        for (seeds, more) in self.0.iter_mut().zip(other.0) {
            *seeds += more;
        }
    }

    /// One per counter.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |(stat, found): (&Stat, &u64)| {
            let what = format!("probe {} reached", stat.name());
            match EXEMPT.iter().any(|exempt| exempt.stat == *stat) {
                true => Row { most: 0, ..Row::new(what, *found, 0) },
                false => Row::new(what, *found, 1),
            }
        };
        Stat::ALL.iter().zip(&self.0).map(row).collect()
    }
}
