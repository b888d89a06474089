//! The gates as members: feeds the view of the cluster. Sessions and leadership do not read it.

use crate::config::GateConfig;
use crate::gate::Gate;
use crate::ids::{BootId, NodeId};
use crate::machine::{Cx, Machine as _, Role as _};
pub(super) use crate::membership::Input;
use crate::membership::{MemberRole, Membership, Standing};

/// What a gate knows of the others when it starts.
pub(super) fn of(config: &GateConfig, boot: BootId) -> Membership {
    let me = (config.node, MemberRole::Gate, boot);
    Membership::new(config.membership, me, (config.consensus.peers.clone(), MemberRole::Gate))
}

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

    /// A gate that may end says goodbye.
    pub(super) fn leave_if_drained(&mut self, cx: &mut Cx<'_>) {
        if self.is_drained() {
            self.on_members(cx, Input::Leave);
        }
    }

    /// Something came from another node.
    pub(super) fn on_heard(&mut self, cx: &mut Cx<'_>, node: NodeId) {
        if self.membership.standing(node).is_some() {
            self.on_members(cx, Input::Heard { node, life: None });
        }
    }
}
