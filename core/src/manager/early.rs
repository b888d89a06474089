//! What workers said while this node did not lead: the newest heartbeat of each, with the instant
//! of its arrival.
//!
//! Workers speak to every manager, so a new leader can confirm at once what they hold. Age does not
//! matter to the holder, whose lease counts from its own send; a heartbeat whose lease would be
//! over already is not worth an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::NodeId;
use crate::limits;
use crate::machine::Cx;
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::Heartbeat;

/// The newest heartbeats.
#[derive(Clone, Debug)]
pub(super) struct Early {
    ttl: Duration,
    beats: BTreeMap<NodeId, (Instant, Heartbeat)>,
}

impl Early {
    /// None yet. `ttl`: how long a heartbeat is worth an answer.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, beats: BTreeMap::new() }
    }

    /// Keeps a heartbeat unless a newer one of the same boot is known. When there is no room, those
    /// that are too old go.
    pub(super) fn keep(&mut self, cx: &mut Cx<'_>, from: NodeId, beat: Heartbeat) {
        let now = cx.now();
        if let Some((_, known)) = self.beats.get(&from)
            && known.boot == beat.boot
            && known.seq >= beat.seq
        {
            return cx.count(Stat::MessageStale);
        }
        if self.beats.len() >= limits::WORKERS_MAX {
            self.drop_old(now);
        }
        if self.beats.len() < limits::WORKERS_MAX || self.beats.contains_key(&from) {
            self.beats.insert(from, (now, beat));
        } else {
            cx.count(Stat::CapRefused);
        }
    }

    /// Gives what is worth an answer, and keeps nothing.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(NodeId, Instant, Heartbeat)> {
        self.drop_old(now);
        let beats = std::mem::take(&mut self.beats);
        beats.into_iter().map(|(from, (at, beat))| (from, at, beat)).collect()
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.beats.len()
    }

    fn drop_old(&mut self, now: Instant) {
        let ttl = self.ttl;
        self.beats.retain(|_, (at, _)| at.after(ttl) > now);
    }
}
