//! What a sweep saw of replicated groups.

use super::Row;
use crate::layout::Group;
use crate::world::Verdict;

/// Counts of seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Groups {
    /// With several gates; with several managers in some datacenter.
    several: (u64, u64),
    /// Of those, with another leader of the gates; of some managers.
    failovers: (u64, u64),
    /// With a job given to another gate.
    moves: u64,
    /// With several datacenters; of those, with load of one job in several.
    spread: (u64, u64),
    /// In which a member got a snapshot from its leader.
    installs: u64,
    /// In which a member took the place of another.
    replaced: u64,
    /// In which a node left in time.
    drained: u64,
    /// In which a question reached a gate twice.
    echoes: u64,
}

impl Groups {
    /// Adds a seed.
    pub(super) fn add(&mut self, verdict: &Verdict) {
        let (layout, tally) = (&verdict.layout, &verdict.tally);
        let several = |group: Group| layout.members(group).len() > 1;
        let gates = several(Group::GATES);
        let managers = layout.groups().any(|group| group != Group::GATES && several(group));
        self.several.0 += u64::from(gates);
        self.several.1 += u64::from(managers);
        self.failovers.0 += u64::from(gates && tally.failovers.0 > 0);
        self.failovers.1 += u64::from(managers && tally.failovers.1 > 0);
        self.moves += u64::from(gates && tally.moves > 0);
        let datacenters = layout.datacenters().count() > 1;
        self.spread.0 += u64::from(datacenters);
        self.spread.1 += u64::from(datacenters && tally.spread > 0);
        self.installs += u64::from(tally.installs > 0);
        self.replaced += u64::from(!tally.replaced.is_empty());
        self.drained += u64::from(tally.drains.1 > 0);
        self.echoes += u64::from(tally.echoed_calls > 0);
    }

    /// Adds another sweep's.
    pub(super) fn merge(&mut self, other: &Groups) {
        self.several.0 += other.several.0;
        self.several.1 += other.several.1;
        self.failovers.0 += other.failovers.0;
        self.failovers.1 += other.failovers.1;
        self.moves += other.moves;
        self.spread.0 += other.spread.0;
        self.spread.1 += other.spread.1;
        self.installs += other.installs;
        self.replaced += other.replaced;
        self.drained += other.drained;
        self.echoes += other.echoes;
    }

    /// Thresholds.
    pub(super) fn rows(&self) -> Vec<Row> {
        let some = self.several.0.max(self.several.1);
        let rows = [
            ("seeds with another leader of the gates", self.failovers.0, self.several.0 / 10),
            ("seeds with another leader of managers", self.failovers.1, self.several.1 / 10),
            ("seeds with a job given to another gate", self.moves, self.several.0 / 10),
            ("seeds with a job in several datacenters", self.spread.1, self.spread.0 / 10),
            ("seeds with a snapshot for a member", self.installs, some / 20),
            ("seeds with a replaced member", self.replaced, some / 10),
            ("seeds with a node that left in time", self.drained, some / 20),
            ("seeds with a question asked twice", self.echoes, some / 20),
        ];
        rows.map(|(what, found, least)| Row::new(what, found, least)).into()
    }
}
