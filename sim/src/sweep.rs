//! A sweep of seeds: the table of what it saw, and whether it was vacuous.

mod groups;
pub mod probes;

use std::collections::BTreeMap;

use hyperscale_core::invariant::Inv;
use hyperscale_core::report::JobStatus;

use crate::case::Case;
use crate::faults::Class;
use crate::layout;
use crate::sweep::groups::Groups;
use crate::sweep::probes::Probes;
use crate::world::{Verdict, World};

/// Below so many seeds the thresholds are printed and not enforced.
pub const SEEDS_MIN: u64 = 100;
/// Seeds tried to show that switching a class off changes a trace.
const PROOFS: usize = 3;

/// Sums over the verdicts of a sweep. Order does not matter.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// Seeds run.
    pub seeds: u64,
    /// Seeds with a completed job and at least 100 requests.
    pub completed: u64,
    /// Seeds with a re-assignment.
    pub reassigned: u64,
    /// Seeds in which a run parked and resumed.
    pub parked: u64,
    /// Seeds in which a worker's runs did not get on.
    pub stuck: u64,
    /// Seeds in which a node recovered from its disk.
    pub recovered: u64,
    /// Seeds in which a process came back as another minor.
    pub minors: u64,
    /// Seeds in which something was not understood.
    pub unknown: u64,
    /// Seeds in which a worker was throttled, and in which one gave up a run.
    pub guarded: (u64, u64),
    /// What happened to groups.
    pub groups: Groups,
    /// Which counters moved, and which moves were made.
    pub probes: Probes,
    /// Requests in all.
    pub requests: u64,
    /// Events in all.
    pub events: u64,
    /// Simulated time in all, nanoseconds.
    pub time: u64,
    /// Per class: seeds that had it on, and of those the ones in which it did something.
    pub classes: BTreeMap<Class, (u64, u64)>,
    /// Per class: the first seeds in which it did something.
    pub examples: BTreeMap<Class, Vec<(u64, u64)>>,
    /// Per oracle: how often it judged.
    pub judged: BTreeMap<Inv, u64>,
    /// Per terminal status: jobs.
    pub jobs: BTreeMap<JobStatus, u64>,
}

/// A threshold, what was reached, and what it takes.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// What was reached, seeds or counts.
    pub found: u64,
    /// What it takes.
    pub least: u64,
    /// What would be too much.
    pub most: u64,
}

impl Row {
    /// A row that any more satisfies as well.
    pub fn new(what: impl Into<String>, found: u64, least: u64) -> Self {
        Self { what: what.into(), found, least, most: u64::MAX }
    }

    /// Whether enough was reached, and not too much.
    pub fn is_ok(&self) -> bool {
        (self.least..=self.most).contains(&self.found)
    }
}

impl Sweep {
    /// Adds a seed.
    pub fn add(&mut self, verdict: &Verdict) {
        self.seeds += 1;
        let completed = verdict.jobs.contains(&JobStatus::Completed) && verdict.requests >= 100;
        self.completed += u64::from(completed);
        self.reassigned += u64::from(verdict.reassigned > 0);
        self.parked += u64::from(verdict.parked.1 > 0);
        self.stuck += u64::from(verdict.stuck > 0);
        self.recovered += u64::from(verdict.recoveries > 0);
        self.minors += u64::from(verdict.tally.minors > 0);
        self.unknown += u64::from(verdict.tally.unknown > 0);
        self.guarded.0 += u64::from(verdict.guarded.0 > 0);
        self.guarded.1 += u64::from(verdict.guarded.1 > 0);
        self.groups.add(verdict);
        self.probes.add(&verdict.counted, &verdict.edges);
        self.requests += verdict.requests;
        self.events += verdict.events;
        self.time += verdict.time;
        for class in &verdict.tally.enabled {
            let (on, fired) = self.classes.entry(*class).or_default();
            *on += 1;
            if verdict.fired(*class) {
                *fired += 1;
                let examples = self.examples.entry(*class).or_default();
                examples.push((verdict.seed, verdict.hash));
                examples.sort_unstable();
                examples.truncate(PROOFS);
            }
        }
        for (inv, judged) in &verdict.judged {
            *self.judged.entry(*inv).or_default() += judged;
        }
        for status in &verdict.jobs {
            *self.jobs.entry(*status).or_default() += 1;
        }
    }

    /// Adds another sweep.
    pub fn merge(&mut self, other: Sweep) {
        self.seeds += other.seeds;
        self.completed += other.completed;
        self.reassigned += other.reassigned;
        self.parked += other.parked;
        self.stuck += other.stuck;
        self.recovered += other.recovered;
        self.minors += other.minors;
        self.unknown += other.unknown;
        self.guarded = (self.guarded.0 + other.guarded.0, self.guarded.1 + other.guarded.1);
        self.groups.merge(&other.groups);
        self.probes.merge(&other.probes);
        self.requests += other.requests;
        self.events += other.events;
        self.time += other.time;
        for (class, (on, fired)) in other.classes {
            let sum = self.classes.entry(class).or_default();
            *sum = (sum.0 + on, sum.1 + fired);
        }
        for (class, examples) in other.examples {
            let all = self.examples.entry(class).or_default();
            all.extend(examples);
            all.sort_unstable();
            all.truncate(PROOFS);
        }
        for (inv, judged) in other.judged {
            *self.judged.entry(inv).or_default() += judged;
        }
        for (status, jobs) in other.jobs {
            *self.jobs.entry(status).or_default() += jobs;
        }
    }

    /// Every threshold. Runs a few seeds again, each without one class, to show that the class
    /// changes traces.
    pub fn rows(&self, without: &[Class]) -> Vec<Row> {
        let share = |percent: u64| (self.seeds * percent).div_ceil(100);
        let row = |what: &str, found, least| Row::new(what, found, least);
        let mut rows = vec![
            row("seeds with a completed job and 100 requests", self.completed, share(90)),
            row("seeds with a re-assignment", self.reassigned, share(10)),
            row("seeds with park and resume", self.parked, share(10)),
            row("seeds with a stuck worker", self.stuck, share(1)),
            row("seeds with a recovery", self.recovered, share(10)),
        ];
        if !without.contains(&Class::Skew) {
            rows.push(row("seeds with an upgrade or a downgrade", self.minors, share(10)));
            rows.push(row("seeds with messages of a newer minor", self.unknown, share(10)));
        }
        if !without.contains(&Class::Strain) {
            rows.push(row("seeds with a throttled worker", self.guarded.0, share(5)));
            rows.push(row("seeds with a run given up for memory", self.guarded.1, share(2)));
        }
        let drawn = |class: &&Class| layout::REPLICATED || !class.needs_groups();
        if layout::REPLICATED {
            rows.extend(self.groups.rows());
        }
        for class in Class::ALL.iter().filter(drawn).filter(|class| !without.contains(class)) {
            let fired = self.classes.get(class).map_or(0, |(_, fired)| *fired);
            let what = format!("fault {} fired", class.id());
            rows.push(Row::new(what, fired, share(20)));
            let what = format!("fault {} changed a trace", class.id());
            rows.push(Row::new(what, u64::from(self.changes(*class, without)), 1));
        }
        let able = |inv: &Inv| layout::REPLICATED || !needs_groups(*inv);
        for (inv, judged) in self.judged.iter().filter(|(inv, _)| able(inv)) {
            let what = format!("oracle {} judged", inv.id());
            rows.push(Row::new(what, *judged, self.seeds / 100));
        }
        rows
    }

    /// Every probe.
    pub fn probes(&self) -> Vec<Row> {
        self.probes.rows()
    }

    /// Whether what these rows say makes the sweep vacuous: thresholds count from
    /// [`SEEDS_MIN`] seeds, probes that were not reached from [`probes::SEEDS_MIN`]; an exemption
    /// that was not needed always.
    pub fn is_vacuous(&self, thresholds: &[Row], probes: &[Row]) -> bool {
        let is_low = |row: &Row| !row.is_ok();
        let is_missed = |row: &Row| !row.is_ok() && self.seeds >= probes::SEEDS_MIN;
        self.seeds >= SEEDS_MIN && thresholds.iter().any(is_low)
            || probes.iter().any(|row| row.found > row.most || is_missed(row))
    }

    /// Whether a seed's trace changes when the class is switched off.
    fn changes(&self, class: Class, without: &[Class]) -> bool {
        let mut without = without.to_vec();
        without.push(class);
        self.examples.get(&class).into_iter().flatten().any(|(seed, hash)| {
            let mut world = World::new(Case::drawn(*seed, &without), false);
            world.run();
            world.verdict().hash != *hash
        })
    }
}

/// Whether only a group of several can break it.
fn needs_groups(inv: Inv) -> bool {
    matches!(
        inv,
        Inv::LeaderPerTerm
            | Inv::VoteDurable
            | Inv::IdentityOnce
            | Inv::WipedNeverVotes
            | Inv::QuorumConfigured
            | Inv::ForwardOnce
            | Inv::LeaseExclusive
            | Inv::OwnerSingle
            | Inv::MinorityRefuses
    )
}
