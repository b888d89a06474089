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
        let first = self.nodes.partition_point(|(other, _)| *other <= node);
        self.from(first).chain(self.iter().take(first))
    }

    fn from(&self, first: usize) -> impl Iterator<Item = (NodeId, &Member)> {
        let nodes = self.nodes.iter().skip(first);
        nodes.filter_map(|(node, at)| Some((*node, self.members.get(*at as usize)?)))
    }

    fn find(&self, node: NodeId) -> Result<usize, usize> {
        self.nodes.binary_search_by_key(&node, |(node, _)| *node)
    }

    fn place(&self, node: NodeId) -> Option<usize> {
        let at = self.find(node).ok()?;
        self.nodes.get(at).map(|(_, place)| *place as usize)
    }
}
