//! Who stands where: gates first, then the managers of every datacenter, then the workers of every
//! datacenter.
//!
//! A place is an index over all nodes; node ids follow from it (`case::node_id`). A replicated
//! group is the gates, or the managers of one datacenter.

use std::ops::Range;

use crate::streams::{Stream, Streams};

/// Datacenters of a case at most. A drawn one has four at most.
pub const DATACENTERS_MAX: usize = 20;

/// What the roles of this tree support: until they replicate, a case has one gate, one datacenter
/// and one manager.
pub const REPLICATED: bool = true;

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// A gate.
    Gate,
    /// A manager of this datacenter.
    Manager(u16),
    /// A worker of this datacenter.
    Worker(u16),
}

/// A replicated group: the gates are group 0, the managers of datacenter `d` are group `d + 1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Group(pub u16);

impl Group {
    /// The gates' group.
    pub const GATES: Group = Group(0);

    /// The group of a datacenter's managers.
    pub const fn of_datacenter(datacenter: u16) -> Self {
        Self(datacenter + 1)
    }

    /// The datacenter whose managers it is.
    pub const fn datacenter(self) -> Option<u16> {
        self.0.checked_sub(1)
    }
}

/// How many of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    gates: u16,
    count: u16,
    /// Where the managers of each datacenter begin, and where all end.
    managers: [u16; DATACENTERS_MAX + 1],
    /// The same of workers.
    workers: [u16; DATACENTERS_MAX + 1],
}

impl Layout {
    /// So many gates, and per datacenter so many managers and workers; what is beyond
    /// [`DATACENTERS_MAX`] is left out.
    pub fn new(gates: u16, datacenters: &[(u16, u16)]) -> Self {
        let known = &datacenters[..datacenters.len().min(DATACENTERS_MAX)];
        let managers = begins(gates, known.iter().map(|(managers, _)| *managers));
        let end = managers[DATACENTERS_MAX];
        let workers = begins(end, known.iter().map(|(_, workers)| *workers));
        Self { gates, count: known.len() as u16, managers, workers }
    }

    /// What a seed draws: small clusters are rare and kept, because they are cheap. `workers` are
    /// spread over the datacenters; each gets one at least.
    pub fn drawn(streams: Streams, workers: u16) -> Self {
        let mut cursor = streams.cursor(Stream::Topology, 1);
        let gates = cursor.pick(&[1, 3, 3, 3, 5]);
        let count = cursor.pick(&[1_u16, 1, 1, 2, 2, 2, 2, 3, 3, 4]);
        let workers = workers.max(count);
        let mut datacenters = vec![(0, workers / count); usize::from(count)];
        for place in 0..workers % count {
            datacenters[usize::from(place)].1 += 1;
        }
        for datacenter in &mut datacenters {
            datacenter.0 = match cursor.draw().below(100) {
                0..=24 => 1,
                25..=79 => 3,
                _ => 5,
            };
        }
        Self::new(gates, &datacenters)
    }

    /// Nodes in all.
    pub fn hosts(&self) -> u16 {
        self.all_workers().end
    }

    /// Datacenters.
    pub fn datacenters(&self) -> Range<u16> {
        0..self.count
    }

    /// Groups: the gates', then one per datacenter.
    pub fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        (0..=self.count).map(Group)
    }

    /// The gates.
    pub fn gates(&self) -> Range<u16> {
        0..self.gates
    }

    /// The managers of every datacenter.
    pub fn all_managers(&self) -> Range<u16> {
        self.gates..self.managers[DATACENTERS_MAX]
    }

    /// The workers of every datacenter.
    pub fn all_workers(&self) -> Range<u16> {
        self.workers[0]..self.workers[DATACENTERS_MAX]
    }

    /// The managers of a datacenter.
    pub fn managers(&self, datacenter: u16) -> Range<u16> {
        span(&self.managers, datacenter)
    }

    /// The workers of a datacenter.
    pub fn workers(&self, datacenter: u16) -> Range<u16> {
        span(&self.workers, datacenter)
    }

    /// The members of a group.
    pub fn members(&self, group: Group) -> Range<u16> {
        match group.0.checked_sub(1) {
            None => self.gates(),
            Some(datacenter) => self.managers(datacenter),
        }
    }

    /// What stands at a place; a place beyond the nodes counts as a worker of no datacenter.
    pub fn role(&self, host: u16) -> Role {
        // The last datacenter that begins at or before the place; empty ones begin there, too.
        let of = |begins: &[u16; DATACENTERS_MAX + 1]| {
            (begins.partition_point(|begin| *begin <= host) as u16).saturating_sub(1)
        };
        if host < self.gates {
            Role::Gate
        } else if host < self.all_managers().end {
            Role::Manager(of(&self.managers))
        } else {
            Role::Worker(of(&self.workers).min(self.count))
        }
    }

    /// The group that a node is a member of.
    pub fn group_of(&self, host: u16) -> Option<Group> {
        match self.role(host) {
            Role::Gate => Some(Group(0)),
            Role::Manager(datacenter) => Some(Group(datacenter + 1)),
            Role::Worker(_) => None,
        }
    }

    /// The datacenter of a manager or worker.
    pub fn datacenter_of(&self, host: u16) -> Option<u16> {
        match self.role(host) {
            Role::Gate => None,
            Role::Manager(datacenter) | Role::Worker(datacenter) => Some(datacenter),
        }
    }

    /// Whether it is a gate.
    pub fn is_gate(&self, host: u16) -> bool {
        self.gates().contains(&host)
    }

    /// Whether it is a manager.
    pub fn is_manager(&self, host: u16) -> bool {
        self.all_managers().contains(&host)
    }

    /// Whether it is a worker.
    pub fn is_worker(&self, host: u16) -> bool {
        self.all_workers().contains(&host)
    }

    /// Members of a group that may be lost for good with the group still able to commit.
    pub fn minority(&self, group: Group) -> u16 {
        self.members(group).len().saturating_sub(1) as u16 / 2
    }

    /// The largest group.
    pub fn widest(&self) -> u16 {
        self.groups().map(|group| self.members(group).len() as u16).max().unwrap_or(0)
    }

    /// The datacenter that is called so.
    pub fn named(&self, name: &str) -> Option<u16> {
        self.datacenters().find(|datacenter| Self::name(*datacenter) == name)
    }

    /// The same with its first datacenter alone.
    pub fn first_datacenter(&self) -> Self {
        let of = |places: Range<u16>| places.len() as u16;
        Self::new(of(self.gates()), &[(of(self.managers(0)), of(self.workers(0)))])
    }

    /// What a datacenter is called.
    pub fn name(datacenter: u16) -> String {
        format!("dc{}", datacenter + 1)
    }
}

fn begins(first: u16, counts: impl Iterator<Item = u16>) -> [u16; DATACENTERS_MAX + 1] {
    let mut begins = [first; DATACENTERS_MAX + 1];
    for (place, count) in counts.enumerate() {
        let end = begins[place] + count;
        begins[place + 1..].fill(end);
    }
    begins
}

fn span(begins: &[u16; DATACENTERS_MAX + 1], datacenter: u16) -> Range<u16> {
    let place = usize::from(datacenter);
    let last = begins[DATACENTERS_MAX];
    let of = |place| begins.get(place).copied().unwrap_or(last);
    of(place)..of(place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_role() {
        let layout = Layout::new(3, &[(1, 2), (3, 1), (5, 4)]);
        assert_eq!(layout.hosts(), 3 + 9 + 7);
        assert_eq!((layout.gates(), layout.managers(1), layout.workers(2)), (0..3, 4..7, 15..19));
        for host in 0..layout.hosts() {
            let is = [layout.is_gate(host), layout.is_manager(host), layout.is_worker(host)];
            assert_eq!(is.iter().filter(|is| **is).count(), 1, "{host}");
            match layout.role(host) {
                Role::Gate => assert!(is[0]),
                Role::Manager(dc) => assert!(is[1] && layout.managers(dc).contains(&host)),
                Role::Worker(dc) => assert!(is[2] && layout.workers(dc).contains(&host)),
            }
        }
        let members: u16 = layout.groups().map(|g| layout.members(g).len() as u16).sum();
        assert_eq!(members, layout.all_managers().end);
        assert_eq!(layout.groups().map(|g| layout.minority(g)).collect::<Vec<_>>(), [1, 0, 1, 2]);
    }

    #[test]
    fn drawn_layouts_are_biased_away_from_the_trivial_and_use_every_worker() {
        let (mut single, mut many) = (0, 0);
        for seed in 0..2_000 {
            let workers = 1 + (seed % 20) as u16;
            let layout = Layout::drawn(Streams::new(seed), workers);
            assert_eq!(layout.all_workers().len() as u16, workers.max(layout.count));
            assert!(layout.datacenters().all(|dc| !layout.workers(dc).is_empty()));
            single += u32::from(layout.all_managers().end == 2);
            many += u32::from(layout.gates > 1 && layout.widest() > 1);
        }
        assert!((1..100).contains(&single) && many > 1_400, "{single} {many}");
    }
}
