//! Probes: what every sweep of many seeds has to reach at least once, and the few that it cannot.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::report::JobStatus;
use hyperscale_core::stat::{Counters, Stat};
use hyperscale_core::wire::RunState;

use super::Row;
use crate::edges::Edge;

/// Below so many seeds a probe that was not reached is printed and fails nothing.
pub const SEEDS_MIN: u64 = 2_000;

/// What a sweep looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// A counter that some node moved.
    Counter(Stat),
    /// A legal move.
    Move(Edge),
}

/// A probe that a sweep need not reach.
#[derive(Clone, Copy, Debug)]
pub struct Exempt {
    /// Which.
    pub probe: Probe,
    /// Why.
    pub because: &'static str,
    /// It may happen, too seldom to ask for it. Otherwise a sweep that reaches it fails.
    pub is_rare: bool,
    /// Which test reaches it: its file below the workspace, and its name.
    pub test: (&'static str, &'static str),
}

const fn never(probe: Probe, because: &'static str, test: (&'static str, &'static str)) -> Exempt {
    Exempt { probe, because, is_rare: false, test }
}

const fn rarely(probe: Probe, because: &'static str, test: (&'static str, &'static str)) -> Exempt {
    Exempt { probe, because, is_rare: true, test }
}

const fn of_run(from: RunState, to: RunState) -> Probe {
    Probe::Move(Edge::Run(from, to))
}

/// The table of moves of a run, each with its test.
const TABLE: (&str, &str) =
    ("core/src/worker/models/transition.rs", "the_table_is_the_one_in_the_prose");

/// Every exemption.
pub const EXEMPT: &[Exempt] = &[
    never(
        Probe::Counter(Stat::InputForeign),
        "the world, like the runtime, gives no node what is another role's",
        ("core/tests/it/gate/calls.rs", "what_is_not_for_a_gate_is_counted"),
    ),
    never(
        Probe::Counter(Stat::ProposalDropped),
        "roles ask whether they lead before they propose",
        (
            "core/tests/it/raft/holes.rs",
            "hole_4_nothing_is_known_before_an_entry_of_the_own_term_is_committed",
        ),
    ),
    never(
        Probe::Counter(Stat::OriginRepeated),
        "a leader lets no number into the log twice; this is the second line of defence",
        ("core/tests/it/raft/directed.rs", "a_submission_that_is_in_the_log_twice_counts_once"),
    ),
    never(
        Probe::Counter(Stat::WindowEvicted),
        "it takes four million buckets; the target has sixteen service times",
        (
            "core/tests/it/gate/windows.rs",
            "windows_of_too_many_buckets_in_all_are_added_up_early_and_nothing_is_lost",
        ),
    ),
    never(
        of_run(RunState::Preparing, RunState::Ended),
        "the simulated engine ends nothing that it was not told to begin",
        TABLE,
    ),
    never(
        of_run(RunState::Prepared, RunState::Ended),
        "the simulated engine ends nothing that it was not told to begin",
        TABLE,
    ),
    never(
        of_run(RunState::Prepared, RunState::Refused),
        "the simulated engine keeps its word once it said that it is ready",
        TABLE,
    ),
    rarely(
        of_run(RunState::Refused, RunState::Ended),
        "its stop has to cross the refusal on the way",
        TABLE,
    ),
    rarely(
        Probe::Move(Edge::Job(JobStatus::Dispatching, JobStatus::Failed)),
        "every datacenter that may take a part has to refuse it",
        (
            "core/tests/it/gate/parts.rs",
            "a_refused_offer_goes_to_the_next_datacenter_and_then_the_job_fails",
        ),
    ),
];

/// Per counter the seeds in which some node moved it, and per move those in which it was made.
#[derive(Clone, Debug)]
pub struct Probes {
    counters: [u64; Stat::ALL.len()],
    edges: BTreeMap<Edge, u64>,
}

impl Default for Probes {
    fn default() -> Self {
        Self { counters: [0; Stat::ALL.len()], edges: BTreeMap::new() }
    }
}

impl Probes {
    /// Adds a seed.
    pub(super) fn add(&mut self, counted: &Counters, made: &BTreeSet<Edge>) {
        for (seeds, stat) in self.counters.iter_mut().zip(Stat::ALL) {
            *seeds += u64::from(counted.count(*stat) > 0);
        }
        for edge in made {
            *self.edges.entry(*edge).or_default() += 1;
        }
    }

    /// Adds another sweep's.
    pub(super) fn merge(&mut self, other: &Probes) {
        for (seeds, more) in self.counters.iter_mut().zip(other.counters) {
            *seeds += more;
        }
        for (edge, more) in &other.edges {
            *self.edges.entry(*edge).or_default() += more;
        }
    }

    /// One per counter and one per legal move.
    pub(super) fn rows(&self) -> Vec<Row> {
        let counter = |(stat, found): (&Stat, &u64)| {
            row(Probe::Counter(*stat), format!("probe {} reached", stat.name()), *found)
        };
        let edge = |edge: Edge| {
            let found = self.edges.get(&edge).copied().unwrap_or(0);
            row(Probe::Move(edge), format!("{edge} reached"), found)
        };
        let counters = Stat::ALL.iter().zip(&self.counters).map(counter);
        counters.chain(Edge::all().into_iter().map(edge)).collect()
    }
}

fn row(probe: Probe, what: String, found: u64) -> Row {
    match EXEMPT.iter().find(|exempt| exempt.probe == probe) {
        None => Row::new(what, found, 1),
        Some(Exempt { is_rare: true, .. }) => Row::new(what, found, 0),
        Some(Exempt { is_rare: false, .. }) => Row { most: 0, ..Row::new(what, found, 0) },
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
        Stat::ALL.iter().copied().filter(|stat| !is_exempt(Probe::Counter(*stat)))
    }

    fn is_exempt(probe: Probe) -> bool {
        EXEMPT.iter().any(|exempt| exempt.probe == probe)
    }

    fn moves() -> BTreeSet<Edge> {
        Edge::all().into_iter().filter(|edge| !is_exempt(Probe::Move(*edge))).collect()
    }

    /// A sweep of so many seeds, of which one counted this.
    fn sweep(seeds: u64, stats: impl IntoIterator<Item = Stat>) -> Sweep {
        let mut sweep = Sweep { seeds, ..Sweep::default() };
        sweep.probes.add(&counted(stats), &moves());
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
    fn one_legal_move_that_nobody_made_fails_a_sweep_of_many_seeds() {
        for missed in moves() {
            let mut sweep = sweep(SEEDS_MIN, reachable());
            sweep.probes.edges.remove(&missed);
            assert!(is_vacuous(&sweep), "{missed}");
        }
    }

    #[test]
    fn what_is_said_never_to_happen_fails_any_sweep_that_reaches_it() {
        for exempt in EXEMPT {
            let mut sweep = Sweep { seeds: 1, ..Sweep::default() };
            match exempt.probe {
                Probe::Counter(stat) => sweep.probes.add(&counted([stat]), &BTreeSet::new()),
                Probe::Move(edge) => sweep.probes.add(&counted([]), &BTreeSet::from([edge])),
            }
            assert_eq!(is_vacuous(&sweep), !exempt.is_rare, "{exempt:?}");
        }
    }

    #[test]
    fn every_exemption_has_a_reason_and_a_test_that_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for Exempt { probe, because, test: (file, name), .. } in EXEMPT {
            assert!(!because.is_empty());
            let text = std::fs::read_to_string(root.join(file)).expect("the test's file");
            let (before, test) = text.split_once(&format!("fn {name}()")).expect("the test");
            assert!(before.trim_end().ends_with("#[test]"), "{name} is no test");
            if let Probe::Counter(stat) = probe {
                let body = test.split("\n}\n").next().unwrap_or_default();
                assert!(body.contains(&format!("Stat::{stat:?}")), "{name} reads no {stat:?}");
            }
        }
    }
}
