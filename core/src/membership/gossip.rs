//! Dissemination: what others should hear, on the back of messages that are sent anyway.
//!
//! One rumour per node, the newest claim about it. What was told least goes first; a rumour that
//! was told `lambda * digits(n)` times has reached everybody with high probability and is dropped.
//! Bound: `RUMOURS_MAX`; above it the most often told one goes.

use std::collections::{BTreeMap, VecDeque};

use slab::Slab;

use super::message::Update;
use crate::ids::NodeId;
use crate::limits::RUMOURS_MAX;

/// The factor of the retransmit limit.
const LAMBDA: u32 = 4;
/// Room that an empty queue keeps.
const KEPT: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Rumour {
    update: Update,
    age: u64,
}

/// The rumours of a node.
#[derive(Debug, Default)]
pub(super) struct Gossip {
    rumours: Slab<Rumour>,
    /// Where the rumour about each node lies.
    places: BTreeMap<NodeId, usize>,
    /// Ages and places, by how often they were told, the oldest first. What is not of the rumour's
    /// own age is passed over: it was said of something else.
    queues: Vec<VecDeque<(u64, usize)>>,
    queued: usize,
    next: u64,
}

impl Gossip {
    /// Others should hear this; what was said of the node before is dropped.
    pub(super) fn spread(&mut self, update: Update) {
        self.forget(update.node);
        if self.rumours.len() >= RUMOURS_MAX {
            self.drop_most_told();
        }
        let age = self.next.saturating_add(1);
        let place = self.rumours.insert(Rumour { update, age });
        self.places.insert(update.node, place);
        self.queue(place, 0);
    }

    /// Nothing is said of the node any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        if let Some(place) = self.places.remove(&node) {
            self.rumours.try_remove(place);
        }
    }

    /// Says at most so many rumours, each once, in a message of a node with so many members.
    pub(super) fn take(&mut self, most: usize, members: usize, said: &mut Vec<Update>) {
        let limit = usize::try_from(LAMBDA.saturating_mul(digits(members))).unwrap_or(usize::MAX);
        let (upto, mut left) = (self.next, most.min(self.rumours.len()));
        for told in 0..self.queues.len() {
            while left > 0
                && let Some((age, place)) = self.pop(told, upto)
            {
                let next = self.next.saturating_add(1);
                let rumour = self.rumours.get_mut(place).filter(|rumour| rumour.age == age);
                let Some(Rumour { update, age }) = rumour else { continue };
                left = left.saturating_sub(1);
                said.push(*update);
                let again = told.saturating_add(1);
                if again < limit {
                    *age = next;
                    self.queue(place, again);
                } else {
                    let node = update.node;
                    self.forget(node);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rumours.len()
    }

    /// Puts a rumour of the next age behind those that were told as often.
    fn queue(&mut self, place: usize, told: usize) {
        if self.queued >= 2 * RUMOURS_MAX {
            self.sweep();
        }
        self.next = self.next.saturating_add(1);
        if self.queues.len() <= told {
            self.queues.resize_with(told.saturating_add(1), VecDeque::new);
        }
        if let Some(queue) = self.queues.get_mut(told) {
            queue.push_back((self.next, place));
            self.queued = self.queued.saturating_add(1);
        }
    }

    /// The oldest of those that were told so often and were there at the age `upto`.
    fn pop(&mut self, told: usize, upto: u64) -> Option<(u64, usize)> {
        let queue = self.queues.get_mut(told)?;
        if queue.front()?.0 > upto {
            return None;
        }
        let oldest = queue.pop_front()?;
        self.queued = self.queued.saturating_sub(1);
        if queue.is_empty() && queue.capacity() > KEPT {
            *queue = VecDeque::new();
        }
        Some(oldest)
    }

    fn drop_most_told(&mut self) {
        for queue in self.queues.iter_mut().rev() {
            while let Some((age, place)) = queue.pop_back() {
                self.queued = self.queued.saturating_sub(1);
                let rumour = self.rumours.get(place).filter(|rumour| rumour.age == age);
                if let Some(node) = rumour.map(|rumour| rumour.update.node) {
                    return self.forget(node);
                }
            }
        }
    }

    fn sweep(&mut self) {
        let rumours = &self.rumours;
        for queue in &mut self.queues {
            queue.retain(|(age, at)| rumours.get(*at).is_some_and(|rumour| rumour.age == *age));
        }
        self.queued = self.queues.iter().map(VecDeque::len).sum();
    }
}

/// Decimal digits: the logarithm to base 10, rounded up, of one more.
fn digits(n: usize) -> u32 {
    n.max(1).ilog10().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BootId;
    use crate::membership::message::{MemberRole, Standing};

    fn update(node: u64, incarnation: u64) -> Update {
        Update {
            node: NodeId::new(node),
            role: MemberRole::Worker,
            boot: BootId::new(1),
            incarnation,
            standing: Standing::Alive,
            by: NodeId::new(node),
        }
    }

    fn take(gossip: &mut Gossip, most: usize) -> Vec<Update> {
        let mut said = Vec::new();
        gossip.take(most, 5, &mut said);
        said
    }

    #[test]
    fn what_was_sent_least_goes_first_and_often_enough() {
        let mut gossip = Gossip::default();
        gossip.spread(update(1, 0));
        assert_eq!(take(&mut gossip, 1), [update(1, 0)]);
        gossip.spread(update(2, 0));
        assert_eq!(take(&mut gossip, 1), [update(2, 0)]);
        let sent: usize = (0..100).map(|_| take(&mut gossip, 2).len()).sum();
        assert_eq!((sent, gossip.len()), (2 * 4 - 2, 0));
    }

    #[test]
    fn a_newer_claim_takes_the_place_of_an_older_and_is_fresh() {
        let mut gossip = Gossip::default();
        gossip.spread(update(1, 0));
        take(&mut gossip, 1);
        gossip.spread(update(1, 1));
        assert_eq!(gossip.len(), 1);
        let said: Vec<_> = (0..9).flat_map(|_| take(&mut gossip, 1)).collect();
        assert_eq!(said, [update(1, 1); 4]);
    }

    #[test]
    fn a_message_says_a_rumour_once_and_queues_stay_bounded() {
        let mut gossip = Gossip::default();
        for incarnation in 0..10_000 {
            gossip.spread(update(1 + incarnation % 3, incarnation));
            assert!(gossip.queued <= 2 * RUMOURS_MAX);
        }
        assert_eq!(take(&mut gossip, 20).len(), 3);
        gossip.forget(NodeId::new(1));
        let again: Vec<u64> = take(&mut gossip, 20).iter().map(|said| said.incarnation).collect();
        assert_eq!(again, [9_997, 9_998]);
        assert!(gossip.queued <= 2 * RUMOURS_MAX);
    }

    #[test]
    fn the_most_often_sent_makes_room() {
        let mut gossip = Gossip::default();
        gossip.spread(update(0, 0));
        take(&mut gossip, 1);
        for node in 1..=RUMOURS_MAX as u64 {
            gossip.spread(update(node, 0));
        }
        assert_eq!(gossip.len(), RUMOURS_MAX);
        assert!(take(&mut gossip, RUMOURS_MAX).iter().all(|rumour| rumour.node != NodeId::new(0)));
    }
}
