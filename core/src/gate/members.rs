//! The gates as members: feeds the view of the cluster. Sessions and leadership do not read it.

use crate::gate::Gate;
use crate::ids::NodeId;
use crate::machine::{Cx, Machine as _};
use crate::membership::{Input, Membership, Standing};

impl Gate {
    /// The gates as members, read-only.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Where a gate stands; this one lives.
    pub(super) fn standing_of(&self, gate: NodeId) -> Standing {
        let own = (gate == self.config.node).then_some(Standing::Alive);
        own.or_else(|| self.membership.standing(gate)).unwrap_or_default()
    }

    pub(super) fn on_members(&mut self, cx: &mut Cx<'_>, input: Input) {
        for event in self.membership.handle(cx, input) {
            tracing::info!(?event, "membership");
        }
    }

    /// Something came from another node.
    pub(super) fn on_heard(&mut self, cx: &mut Cx<'_>, node: NodeId) {
        if self.membership.standing(node).is_some() {
            self.on_members(cx, Input::Heard { node, life: None });
        }
    }
}
