//! Members that beat, by when they did so last: who has missed two beats.
//!
//! Every beat is queued, so the queue is in the order of time; what is queued of a member that has
//! beaten since is passed over. So a beat costs the same in a table of any length, and the node is
//! woken for the member that beat longest ago alone. Bound: a few beats per member.

use std::collections::VecDeque;
use std::time::Duration;

use super::table::Table;
use crate::ids::NodeId;
use crate::time::Instant;

/// Beats that are queued per member before those that are passed over are looked for.
const QUEUED: usize = 4;

/// What was heard when.
#[derive(Debug, Default)]
pub(super) struct Beats {
    /// A member is silent after so long.
    silence: Option<Duration>,
    /// Since when; nobody is silent for longer.
    since: Instant,
    queue: VecDeque<(Instant, NodeId)>,
}

impl Beats {
    /// Members that beat do so at this interval from now on.
    pub(super) fn expect(&mut self, now: Instant, interval: Duration) {
        self.silence = Some(interval.saturating_mul(11) / 5);
        self.since = now;
    }

    /// A member beats; the table will say so.
    pub(super) fn on_beat(&mut self, now: Instant, node: NodeId, table: &Table) {
        if self.silence.is_none() || is_last(table, node, now) {
            return;
        }
        if self.queue.len() >= self.max(table.len()) {
            self.queue.retain(|(at, node)| is_last(table, *node, *at));
        }
        self.queue.push_back((now, node));
    }

    /// A member that has been silent for too long, each time once.
    pub(super) fn pop_due(&mut self, now: Instant, table: &Table) -> Option<NodeId> {
        while self.next()? <= now {
            let (at, node) = self.queue.pop_front()?;
            let is_silent = is_last(table, node, at);
            self.skip(table);
            if is_silent {
                return Some(node);
            }
        }
        None
    }

    /// When the next member may be silent for too long.
    pub(super) fn next(&self) -> Option<Instant> {
        let (at, _) = self.queue.front()?;
        Some((*at).max(self.since).after(self.silence?))
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many are queued at most while there are so many members.
    pub(super) fn max(&self, members: usize) -> usize {
        members.saturating_add(1).saturating_mul(QUEUED)
    }

    /// Drops what is queued first of members that have beaten since.
    fn skip(&mut self, table: &Table) {
        while let Some((at, node)) = self.queue.front()
            && !is_last(table, *node, *at)
        {
            self.queue.pop_front();
        }
    }
}

/// Whether a member was heard then, and not since.
fn is_last(table: &Table, node: NodeId, at: Instant) -> bool {
    table.member(node).is_some_and(|member| member.beat == Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BootId;
    use crate::membership::message::{MemberRole, Standing, Update};

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn hear(beats: &mut Beats, table: &mut Table, ms: u64, node: u64) {
        let node = NodeId::new(node);
        let (role, boot) = (MemberRole::Worker, BootId::new(1));
        let standing = Standing::Alive;
        let said = Update { node, role, boot, incarnation: 0, standing, by: node };
        table.learn(at(ms), said, true);
        beats.on_beat(at(ms), node, table);
        table.member_mut(node).unwrap().beat = Some(at(ms));
    }

    fn beating() -> (Beats, Table) {
        let mut beats = Beats::default();
        beats.expect(Instant::ZERO, Duration::from_millis(500));
        (beats, Table::default())
    }

    #[test]
    fn who_misses_two_beats_is_silent_once_and_the_others_are_not() {
        let (mut beats, mut table) = beating();
        for ms in (0..10_000).step_by(500) {
            hear(&mut beats, &mut table, ms, 1);
            if ms <= 3_000 {
                hear(&mut beats, &mut table, ms + 100, 2);
            }
        }
        assert_eq!(beats.pop_due(at(4_199), &table), None);
        assert_eq!(beats.next(), Some(at(4_200)));
        assert_eq!(beats.pop_due(at(4_200), &table), Some(NodeId::new(2)));
        assert_eq!(beats.pop_due(at(10_599), &table), None);
        assert_eq!(beats.next(), Some(at(10_600)));
        assert_eq!(beats.pop_due(at(10_600), &table), Some(NodeId::new(1)));
        assert_eq!((beats.next(), beats.len()), (None, 0));
    }

    #[test]
    fn however_often_they_beat_the_queue_is_bounded() {
        let (mut beats, mut table) = beating();
        for ms in 0..10_000 {
            for node in [1, 2, 3, 2, 1] {
                hear(&mut beats, &mut table, ms, node);
            }
            assert!(beats.len() <= beats.max(table.len()));
        }
    }
}
