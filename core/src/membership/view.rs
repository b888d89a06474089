//! The table as others may look at it: read-only.

use super::*;

impl Membership {
    /// Every member but this node.
    pub fn members(&self) -> impl Iterator<Item = MemberView> {
        self.table.iter().map(|(node, member)| MemberView {
            node,
            role: member.claim.role,
            boot: member.claim.boot,
            incarnation: member.claim.incarnation,
            standing: member.standing(),
        })
    }

    /// Where a node stands; `None` if it is unknown.
    pub fn standing(&self, node: NodeId) -> Option<Standing> {
        self.table.member(node).map(table::Member::standing)
    }

    /// How many members stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.table.count(standing)
    }

    /// Whether others should be preferred to a node for something new. Nobody is doubted while
    /// most members look dead: then the trouble is more likely here.
    pub fn doubts(&self, node: NodeId) -> bool {
        let is_bad = matches!(self.standing(node), Some(Standing::Suspect | Standing::Dead));
        is_bad && !self.is_blind()
    }

    /// Whether most members look gone.
    pub(super) fn is_blind(&self) -> bool {
        let bad = self.count(Standing::Suspect).saturating_add(self.count(Standing::Dead));
        bad > self.count(Standing::Alive)
    }

    /// How many members beside the suspect and this node may confirm a suspicion.
    pub(super) fn expected_confirmations(&self) -> u32 {
        let others = u32::try_from(self.count(Standing::Alive)).unwrap_or(u32::MAX);
        others.min(u32::from(self.config.confirmations))
    }

    /// The suspicions held.
    pub fn suspicions(&self) -> impl Iterator<Item = SuspicionView> {
        self.suspicions.views()
    }

    /// This node's own claim.
    pub fn me(&self) -> Update {
        self.me
    }

    /// This node's local health score: 0 is healthy, 8 the worst.
    pub fn score(&self) -> u32 {
        self.awareness.score()
    }
}
