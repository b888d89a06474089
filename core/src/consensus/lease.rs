//! A leader's rounds: who has answered what was sent when.
//!
//! Every heartbeat begins a round; every answer echoes one. A round counts from its send, whenever
//! the answer comes. A round belongs to one term, hence to one boot of one leader: an answer names
//! its term, and one of another term never gets here. The leader itself always agrees.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Member, Membership};
use crate::ids::DiskId;
use crate::time::Instant;

/// The rounds of one term.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    last: u64,
    sent: VecDeque<(u64, Instant)>,
    answered: BTreeMap<DiskId, Instant>,
}

impl Rounds {
    /// No rounds yet.
    pub(super) fn new() -> Self {
        Self { last: 0, sent: VecDeque::new(), answered: BTreeMap::new() }
    }

    /// The newest round.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Begins a round; forgets those begun `keep` ago.
    pub(super) fn begin(&mut self, now: Instant, keep: Duration) {
        self.last = self.last.saturating_add(1);
        self.sent.retain(|(_, at)| now.since(*at) < keep);
        self.sent.push_back((self.last, now));
    }

    /// A member answered a round.
    pub(super) fn on_answer(&mut self, disk: DiskId, round: u64) {
        let Some((_, at)) = self.sent.iter().find(|(sent, _)| *sent == round) else { return };
        let newest = self.answered.entry(disk).or_insert(*at);
        *newest = (*newest).max(*at);
    }

    /// When the newest round that this member answered was sent.
    pub(super) fn answered(&self, disk: DiskId) -> Option<Instant> {
        self.answered.get(&disk).copied()
    }

    /// When the newest round that a majority of the configured voters answered was sent, if one
    /// was.
    pub(super) fn quorum(&self, now: Instant, me: Member, members: &Membership) -> Option<Instant> {
        let mut sent: Vec<_> = members
            .voters
            .iter()
            .filter_map(|voter| if *voter == me { Some(now) } else { self.answered(voter.disk) })
            .collect();
        sent.sort_unstable_by(|a, b| b.cmp(a));
        sent.get(members.quorum().saturating_sub(1)).copied()
    }

    /// Forgets members that are none any more.
    pub(super) fn retain(&mut self, members: &Membership) {
        self.answered.retain(|disk, _| members.members().any(|member| member.disk == *disk));
    }
}
