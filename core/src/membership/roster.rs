//! Members by node, in the order of nodes.
//!
//! Nearly every lookup of a large table finds what is known already, so the keys lie together and
//! apart from the members: a lookup touches them and one member. Inputs and outputs are those of a
//! map. Does not do: bounds (`table`).

use slab::Slab;

use super::table::Member;
use crate::ids::NodeId;

/// The members of a table.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// In order, and where the member of each lies.
    nodes: Vec<(NodeId, u32)>,
    members: Slab<Member>,
}

impl Roster {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.get(self.place(node)?)
    }

    pub(super) fn member_mut(&mut self, node: NodeId) -> Option<&mut Member> {
        let place = self.place(node)?;
        self.members.get_mut(place)
    }

    /// Puts a member in the place of the one that the node had.
    pub(super) fn insert(&mut self, node: NodeId, member: Member) {
        match self.find(node) {
            Ok(_) => {
                if let Some(old) = self.member_mut(node) {
                    *old = member;
                }
            }
            Err(at) => {
                let place = self.members.insert(member);
                self.nodes.insert(at, (node, u32::try_from(place).unwrap_or(u32::MAX)));
            }
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) -> Option<Member> {
        let at = self.find(node).ok()?;
        let (_, place) = self.nodes.remove(at);
        self.members.try_remove(place as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.from(0)
    }

    /// Every member once, beginning with the first one behind this node.
    pub(super) fn around(&self, node: NodeId) -> impl Iterator<Item = (NodeId, &Member)> {
        let first = match self.find(node) {
            Ok(at) => at.saturating_add(1),
            Err(at) => at,
        };
        self.from(first).chain(self.iter().take(first))
    }

    fn from(&self, first: usize) -> impl Iterator<Item = (NodeId, &Member)> {
        let nodes = self.nodes.iter().skip(first);
        nodes.filter_map(|(node, at)| Some((*node, self.members.get(*at as usize)?)))
    }

    /// Where a node lies, or would. A place cannot be further from the end than the highest id is
    /// from the node's; from there the search goes on in doubling steps. Where ids lie close
    /// together, as in most datacenters, that is the place itself.
    fn find(&self, node: NodeId) -> Result<usize, usize> {
        let Some((last, _)) = self.nodes.last() else { return Err(0) };
        let behind = last.get().saturating_sub(node.get()).saturating_add(1);
        let behind = usize::try_from(behind).unwrap_or(usize::MAX);
        let mut low = self.nodes.len().saturating_sub(behind);
        let (mut high, mut step) = (low, 1_usize);
        while self.nodes.get(high).is_some_and(|(other, _)| *other < node) {
            low = high.saturating_add(1);
            high = high.saturating_add(step);
            step = step.saturating_mul(2);
        }
        let end = high.saturating_add(1).min(self.nodes.len());
        let within = self.nodes.get(low..end).unwrap_or_default();
        let found = within.binary_search_by_key(&node, |(node, _)| *node);
        let place = |at: usize| low.saturating_add(at);
        found.map(place).map_err(place)
    }

    fn place(&self, node: NodeId) -> Option<usize> {
        let at = self.find(node).ok()?;
        self.nodes.get(at).map(|(_, place)| *place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_search_by_halves_finds(
            mut ids in prop::collection::btree_set(prop_oneof![0_u64..40, any::<u64>()], 0..30),
            asked in prop_oneof![0_u64..42, any::<u64>()],
            close in any::<bool>(),
        ) {
            if close {
                ids.extend(1_000..1_020);
            }
            let nodes = ids.iter().map(|id| (NodeId::new(*id), 0)).collect::<Vec<_>>();
            let roster = Roster { nodes, members: Slab::new() };
            for id in ids.iter().copied().chain([asked, 1_007, u64::MAX]) {
                let expected = roster.nodes.binary_search_by_key(&NodeId::new(id), |(n, _)| *n);
                prop_assert_eq!(roster.find(NodeId::new(id)), expected);
            }
        }
    }
}
