//! What a leader holds for its term and forgets with it.

use std::collections::BTreeMap;

use super::command::Command;
use super::lease::Rounds;
use super::log::Log;
use super::replication::{Progress, Source};
use super::snapshot::Image;
use super::{Member, Membership, Origin};
use crate::ids::{DiskId, LogIndex};
use crate::machine::Cx;
use crate::time::Instant;

/// A leader's term.
#[derive(Clone, Debug)]
pub(super) struct Leading {
    /// When it was won.
    pub(super) since: Instant,
    /// When the next heartbeat is due.
    pub(super) beat_at: Instant,
    pub(super) rounds: Rounds,
    /// The other members.
    pub(super) others: BTreeMap<DiskId, Progress>,
    /// The last submission of every disk in the log, committed or not.
    pub(super) origins: BTreeMap<DiskId, (u64, u64)>,
    /// The snapshot that members are sent.
    pub(super) image: Option<Image>,
    /// Whether the role was asked for a ledger.
    pub(super) is_ledger_wanted: bool,
    /// Whose place learners want to take.
    pub(super) wishes: BTreeMap<DiskId, Option<DiskId>>,
    /// Leadership is being handed over.
    pub(super) retiring: Option<Retiring>,
}

/// A leader that hands over: it has no lease, ever again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retiring {
    /// To whom.
    pub(super) to: Member,
    /// When the patience with that one ends.
    pub(super) until: Instant,
    /// Whether it was told.
    pub(super) is_told: bool,
}

impl Leading {
    /// A term that begins.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            beat_at: now,
            rounds: Rounds::new(),
            others: BTreeMap::new(),
            origins: BTreeMap::new(),
            image: None,
            is_ledger_wanted: false,
            wishes: BTreeMap::new(),
            retiring: None,
        }
    }

    /// Follows the membership: new members are probed, removed ones forgotten.
    pub(super) fn on_members(&mut self, me: Member, members: &Membership, last: LogIndex) {
        let is_member = |member: &Member| members.members().any(|known| known == *member);
        self.others.retain(|_, progress| is_member(&progress.member));
        self.wishes.retain(|disk, _| members.learners.iter().any(|known| known.disk == *disk));
        self.rounds.retain(members);
        for member in members.members().filter(|member| *member != me) {
            self.others.entry(member.disk).or_insert_with(|| Progress::new(member, last.next()));
        }
    }

    /// Sends everything that may be sent.
    pub(super) fn feed<C: Command>(&mut self, cx: &mut Cx<'_>, source: &Source<'_, C>) {
        for progress in self.others.values_mut() {
            progress.feed(cx, source);
        }
    }

    /// Whether a submission is the next of its disk.
    pub(super) fn is_next(&self, origin: &Origin) -> bool {
        follows(self.origins.get(&origin.disk), origin)
    }

    /// The highest index that a majority of the configured voters holds durably.
    pub(super) fn quorum_index<C: serde::Serialize>(&self, me: Member, log: &Log<C>) -> LogIndex {
        let members = log.membership();
        let held = |voter: &Member| {
            if *voter == me {
                return log.durable_index();
            }
            self.others.get(&voter.disk).map_or(LogIndex::new(0), |progress| progress.matched)
        };
        let mut held: Vec<_> = members.voters.iter().map(held).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        held.get(members.quorum().saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Whether `origin` is the next of its disk after `last`: the next number of the same boot, or the
/// first of a later one.
pub(super) fn follows(last: Option<&(u64, u64)>, origin: &Origin) -> bool {
    match last {
        Some((boot, seq)) if *boot == origin.boot => seq.saturating_add(1) == origin.seq,
        Some((boot, _)) => *boot < origin.boot && origin.seq == 1,
        None => origin.seq == 1,
    }
}
