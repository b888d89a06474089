//! The managers and workers of the datacenter as members: which worker to prefer for something
//! new. No run ends because of it.

use crate::ids::NodeId;
use crate::lease::FOLLOWERS_HEAR_EVERY;
use crate::machine::{Cx, Machine as _};
use crate::manager::Manager;
use crate::membership::{Input, MemberRole, Membership};
use crate::wire::Message;

impl Manager {
    /// The datacenter's managers and workers as members, read-only.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    pub(super) fn on_members(&mut self, cx: &mut Cx<'_>, input: Input) {
        for event in self.membership.handle(cx, input) {
            tracing::info!(?event, "membership");
        }
    }

    /// How often a worker's heartbeat reaches this node from here on.
    pub(super) fn expect_beats(&mut self, cx: &mut Cx<'_>) {
        let every = self.config.lease.heartbeat_interval();
        let every = if self.led { every } else { every * FOLLOWERS_HEAR_EVERY };
        self.on_members(cx, Input::Beats(every));
    }

    /// A message came directly from a node; a worker's heartbeat names its life.
    pub(super) fn on_heard(&mut self, cx: &mut Cx<'_>, node: NodeId, msg: &Message) {
        let mut life = None;
        if let Message::Heartbeat(beat) = msg {
            life = Some((MemberRole::Worker, beat.boot));
        }
        if life.is_some() || self.membership.standing(node).is_some() {
            self.on_members(cx, Input::Heard { node, life });
        }
    }
}
