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
pub const EXEMPT: &[Exempt] = &[
    Exempt {
        stat: Stat::InputForeign,
        because: "the world, like the runtime, gives no node what is another role's",
        test: ("core/tests/it/gate/calls.rs", "what_is_not_for_a_gate_is_counted"),
    },
    Exempt {
        stat: Stat::ProposalDropped,
        because: "roles ask whether they lead before they propose",
        test: (
            "core/tests/it/raft/holes.rs",
            "hole_4_nothing_is_known_before_an_entry_of_the_own_term_is_committed",
        ),
    },
    Exempt {
        stat: Stat::OriginRepeated,
        because: "a leader lets no number into the log twice; this is the second line of defence",
        test: (
            "core/tests/it/raft/directed.rs",
            "a_submission_that_is_in_the_log_twice_counts_once",
        ),
    },
    Exempt {
        stat: Stat::WindowEvicted,
        because: "it takes four million buckets; the target has sixteen service times",
        test: (
            "core/tests/it/gate/windows.rs",
            "windows_of_too_many_buckets_in_all_are_added_up_early_and_nothing_is_lost",
        ),
    },
];

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sweep::Sweep;

    fn counted(stats: impl IntoIterator<Item = Stat>) -> Counters {
        let mut counted = Counters::default();
        stats.into_iter().for_each(|stat| counted.add(stat, 3));
        counted
    }

    fn reachable() -> impl Iterator<Item = Stat> {
        let is_exempt = |stat: &Stat| EXEMPT.iter().any(|exempt| exempt.stat == *stat);
        Stat::ALL.iter().copied().filter(move |stat| !is_exempt(stat))
    }

    /// A sweep of so many seeds, of which one counted this.
    fn sweep(seeds: u64, stats: impl IntoIterator<Item = Stat>) -> Sweep {
        let mut sweep = Sweep { seeds, ..Sweep::default() };
        sweep.probes.add(&counted(stats));
        sweep
    }

    fn is_vacuous(sweep: &Sweep) -> bool {
        sweep.is_vacuous(&[], &sweep.probes())
    }

    #[test]
    fn one_counter_that_nobody_moved_fails_a_sweep_of_many_seeds() {
        assert!(!is_vacuous(&sweep(SEEDS_MIN, reachable())));
        for missed in reachable() {
            let rest = || reachable().filter(|stat| *stat != missed);
            assert!(is_vacuous(&sweep(SEEDS_MIN, rest())), "{missed:?}");
            assert!(!is_vacuous(&sweep(SEEDS_MIN - 1, rest())), "{missed:?}");
            let mut merged = sweep(1, rest());
            merged.merge(sweep(SEEDS_MIN, [missed]));
            assert!(!is_vacuous(&merged), "{missed:?}");
        }
    }

    #[test]
    fn an_exemption_that_is_reached_fails_any_sweep() {
        for exempt in EXEMPT {
            assert!(is_vacuous(&sweep(1, [exempt.stat])), "{:?}", exempt.stat);
        }
    }

    #[test]
    fn every_exemption_has_a_reason_and_a_test_that_names_its_counter() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for Exempt { stat, because, test: (file, name) } in EXEMPT {
            assert!(!because.is_empty());
            let text = std::fs::read_to_string(root.join(file)).expect("the test's file");
            let (_, test) = text.split_once(&format!("#[test]\nfn {name}()")).expect("the test");
            let body = test.split("\n}\n").next().unwrap_or_default();
            assert!(body.contains(&format!("Stat::{stat:?}")), "{name} does not read {stat:?}");
        }
    }
}
