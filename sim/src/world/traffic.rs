//! What nodes send, counted where somebody asks for it. Counting changes nothing.

use hyperscale_core::wire::{Message, codec, frame};

use super::World;
use crate::case::Case;

/// How often a measured world checks everything after a step, millionths.
const WHOLE_PPM: u32 = 200;
/// How few of what they want to see wide oracles are shown in a measured world.
const WIDE_ONE_IN: u64 = 101;

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
        self.messages += 1;
        let length = (frame::HEADER_LEN + codec::length(msg)) as u64;
        self.bytes += length;
        if matches!(msg, Message::Swim(_)) {
            self.datagrams.0 += 1;
            self.datagrams.1 += length;
        }
    }
}

impl World {
    /// A scripted world that keeps no trace and has no end, so that long loads fit. What takes as
    /// long as the cluster is large is done less often than after every step: the check of a whole
    /// node and of its disk, and what wide oracles look at. Everything else is as in every world.
    pub fn measured(case: Case) -> Self {
        let mut world = Self::scripted(case);
        world.lines = None;
        world.events_max = u64::MAX;
        world.checked_ppm = WHOLE_PPM;
        world.panel.thin(WIDE_ONE_IN);
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
