//! When a case is over, and what came out of it.

use std::collections::BTreeSet;

use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::report::JobStatus;
use hyperscale_core::stat::{Counters, Stat};

use super::{LOOK_NS, Line, World};
use crate::edges::Edge;
use crate::faults::Class;
use crate::layout::Layout;
use crate::network::Fired;
use crate::oracles::{Seen, View, astray, disagreement, leftover};
use crate::queue::Event;
use crate::tally::Tally;

/// A broken promise, and where.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was broken.
    pub violation: Violation,
    /// True time, nanoseconds.
    pub at: u64,
    /// The node that was stepping.
    pub host: Option<u16>,
}

/// What came out of a case.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// Who stood where.
    pub layout: Layout,
    /// The trace hash.
    pub hash: u64,
    /// Events taken from the queue.
    pub events: u64,
    /// Steps of nodes.
    pub steps: u64,
    /// True time at the end, nanoseconds.
    pub time: u64,
    /// The first broken promise.
    pub failure: Option<Failure>,
    /// What faults did.
    pub tally: Tally,
    /// What the network did.
    pub fired: Fired,
    /// How often each oracle judged.
    pub judged: Vec<(Inv, u64)>,
    /// Requests that left engines.
    pub requests: u64,
    /// Terminal statuses of jobs.
    pub jobs: Vec<JobStatus>,
    /// Shards assigned again.
    pub reassigned: u64,
    /// Workers whose runs did not get on.
    pub stuck: u64,
    /// Runs that parked, and of those that resumed.
    pub parked: (u64, u64),
    /// Boots beyond the first.
    pub recoveries: u64,
    /// Workers that took no run because their machine was at its limits, and runs that ended for
    /// want of memory.
    pub guarded: (u64, u64),
    /// Whether clocks were off.
    pub clocks: (bool, bool),
    /// What all nodes counted in all their lives.
    pub counted: Counters,
    /// The moves that were made.
    pub edges: BTreeSet<Edge>,
}

impl World {
    /// Looks whether faults should stop, and whether everything is over.
    pub(super) fn on_look(&mut self) {
        if self.replies.is_some() {
            self.observe(Seen::Looked);
            self.queue.push(self.now + LOOK_NS, Event::Look);
            return;
        }
        let done = self.patrons.iter().all(|patron| patron.is_done());
        if !self.is_calm && (done || self.now >= self.case.calm_from) {
            self.case.calm_from = self.now;
            self.calm_down();
        }
        self.observe(Seen::Looked);
        if done && self.is_calm {
            let view = View {
                now: self.now,
                case: &self.case,
                hosts: &self.hosts,
                truth: &self.truth,
                annals: &self.annals,
                reach: &self.reach,
                patrons: &self.patrons,
                is_calm: self.is_calm,
            };
            let is_up = self.hosts.iter().all(|host| host.is_gone || host.node.is_some());
            self.is_over = is_up
                && leftover(&view).is_none()
                && disagreement(&view).is_none()
                && astray(&view).is_none();
        }
        self.queue.push(self.now + LOOK_NS, Event::Look);
    }

    /// What came out.
    pub fn verdict(&self) -> Verdict {
        let counted = self.counted();
        let count = |stat| counted.count(stat);
        let mut judged = self.panel.judged();
        judged.push((Inv::RecoverEqual, self.tally.recovery_checks));
        judged.push((Inv::LogMatching, self.annals.compared));
        judged.push((Inv::QuorumConfigured, self.annals.counted));
        judged.push((Inv::CompatibleOnly, self.tally.unknown));
        let jobs = self.patrons.iter().filter_map(|patron| patron.terminal.last().copied());
        let parked = (count(Stat::RunParked), count(Stat::RunResumed));
        let lives: u32 = self.hosts.iter().map(|host| host.life.saturating_sub(1)).sum();
        Verdict {
            seed: self.case.seed,
            layout: self.case.layout,
            hash: self.hash.value(),
            events: self.events,
            steps: self.hash.steps(),
            time: self.now,
            failure: self.failure.clone(),
            tally: self.tally.clone(),
            fired: self.network.fired,
            judged,
            requests: self.truth.requests(),
            jobs: jobs.collect(),
            reassigned: count(Stat::ShardReassigned),
            parked,
            stuck: count(Stat::WorkerStuck),
            recoveries: u64::from(lives),
            guarded: (
                count(Stat::GuardThrottled) + count(Stat::GuardStopping),
                count(Stat::RunSacrificed),
            ),
            clocks: self.clocks(),
            counted,
            edges: self.edges.made().clone(),
        }
    }

    fn counted(&self) -> Counters {
        let mut counted = Counters::default();
        for host in &self.hosts {
            for stat in Stat::ALL {
                counted.add(*stat, host.count(*stat));
            }
        }
        counted
    }

    /// The lines of the trace, if it was kept.
    pub fn lines(&self) -> &[Line] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// The node that was stepping when the simulation stopped: the one that panicked, if something
    /// did.
    pub fn stepping(&self) -> Option<u16> {
        self.stepping
    }

    /// A panic inside a machine: a crash, and a failure of that node.
    pub fn on_panic(&mut self, what: &str) {
        let host = self.stepping;
        self.failure = None;
        self.fail(Violation::new(Inv::HostileHarmless, format!("panic: {what}")), host);
    }

    fn clocks(&self) -> (bool, bool) {
        let drifting = self.case.clocks.iter().any(|clock| clock.drift_ppm != 0);
        let bound = self.case.lease.drift_ppm;
        let beyond = self.case.clocks.iter().any(|clock| clock.drift_ppm.unsigned_abs() > bound);
        (drifting, beyond)
    }
}

impl Verdict {
    /// Whether a class did something in this case.
    pub fn fired(&self, class: Class) -> bool {
        let crashed = |class| self.tally.crashes.contains(&class);
        match class {
            Class::Loss => self.fired.losses > 0,
            Class::Dup => self.fired.dups > 0 || self.fired.echoes > 0,
            Class::Reorder => self.fired.reorders > 0,
            Class::Spike => self.fired.spikes > 0,
            Class::Damage => self.fired.damages > 0,
            Class::Partition
            | Class::Bridge
            | Class::Ring
            | Class::Flap
            | Class::Apart
            | Class::Depose => self.fired.cuts > 0 && self.tally.cuts.contains(&class),
            Class::Wipe | Class::Change => self.tally.replaced.contains(&class),
            Class::Drain => self.tally.drains.0 > 0,
            Class::CrashGate
            | Class::CrashManager
            | Class::CrashWorker
            | Class::Gone
            | Class::Blackout => crashed(class),
            Class::Amnesia => {
                crashed(class) || self.fired.cuts > 0 && self.tally.cuts.contains(&class)
            }
            Class::Pause => self.tally.pauses > 0,
            Class::Offset => self.tally.enabled.contains(&Class::Offset),
            Class::Drift => self.clocks.0 && self.tally.enabled.contains(&Class::Drift),
            Class::DriftBeyond => self.clocks.1,
            Class::Torn => self.tally.torn > 0,
            Class::LostWrites => self.tally.lost_writes > 0,
            Class::SlowSync => self.tally.slow_syncs > 0,
            Class::FailSync => self.tally.failed_syncs > 0,
            Class::Overload => self.tally.slowness > 0,
            Class::Skew => self.tally.older_frames + self.tally.unknown > 0 || crashed(Class::Skew),
            Class::Strain => self.tally.strains > 0,
        }
    }

    /// Whether it passed.
    pub fn is_ok(&self) -> bool {
        self.failure.is_none()
    }
}
