//! What nodes send, counted where somebody asks for it. Counting changes nothing.

use hyperscale_core::limits::FRAME_MAX;
use hyperscale_core::wire::{Message, codec, frame};

use super::World;
use crate::case::Case;

/// What one node has sent to other nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    /// Messages.
    pub messages: u64,
    /// Their frames' bytes.
    pub bytes: u64,
    /// Of those, datagrams between members, and their bytes.
    pub datagrams: (u64, u64),
}

impl Sent {
    pub(super) fn add(&mut self, msg: &Message) {
        let payload = codec::encode(msg, FRAME_MAX).map_or(0, |payload| payload.len());
        self.messages += 1;
        let length = (frame::HEADER_LEN + payload) as u64;
        self.bytes += length;
        if matches!(msg, Message::Swim(_)) {
            self.datagrams.0 += 1;
            self.datagrams.1 += length;
        }
    }
}

impl World {
    /// A scripted world that keeps no trace and has no end, so that long loads fit.
    pub fn measured(case: Case) -> Self {
        let mut world = Self::scripted(case);
        world.lines = None;
        world.events_max = u64::MAX;
        world
    }

    /// Counts what nodes send from here on.
    pub fn count_traffic(&mut self) {
        self.traffic = Some(vec![Sent::default(); self.hosts.len()]);
    }

    /// What each node has sent since it is counted, by place.
    pub fn traffic(&self) -> &[Sent] {
        self.traffic.as_deref().unwrap_or_default()
    }
}
