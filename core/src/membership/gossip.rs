//! Dissemination: what others should hear, on the back of messages that are sent anyway.
//!
//! One rumour per node, the newest claim about it. What was sent least goes first; a rumour that
//! was sent `lambda * digits(n)` times has reached everybody with high probability and is dropped.
//! Bound: `RUMOURS_MAX`; above it the most often sent one goes.

use std::collections::{BTreeMap, BTreeSet};

use super::message::Update;
use crate::ids::NodeId;
use crate::limits::RUMOURS_MAX;

/// The factor of the retransmit limit.
const LAMBDA: u32 = 4;

#[derive(Clone, Copy, Debug)]
struct Rumour {
    update: Update,
    place: (u32, u64),
}

/// The rumours of a node.
#[derive(Debug, Default)]
pub(super) struct Gossip {
    rumours: BTreeMap<NodeId, Rumour>,
    /// By how often each was sent, then by age.
    order: BTreeSet<(u32, u64, NodeId)>,
    next: u64,
}

impl Gossip {
    /// Others should hear this; what was said of the node before is dropped.
    pub(super) fn spread(&mut self, update: Update) {
        self.forget(update.node);
        if self.rumours.len() >= RUMOURS_MAX
            && let Some((_, _, node)) = self.order.last().copied()
        {
            self.forget(node);
        }
        self.place(update, 0);
    }

    /// Nothing is said of the node any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        if let Some(old) = self.rumours.remove(&node) {
            self.order.remove(&(old.place.0, old.place.1, node));
        }
    }

    /// At most so many rumours for a message of a node with so many members.
    pub(super) fn take(&mut self, most: usize, members: usize) -> Vec<Update> {
        let limit = LAMBDA.saturating_mul(digits(members));
        let chosen = self.order.iter().take(most).copied().collect::<Vec<_>>();
        let mut updates = Vec::with_capacity(chosen.len());
        for (sent, _, node) in chosen {
            let Some(rumour) = self.rumours.get(&node).copied() else { continue };
            updates.push(rumour.update);
            self.forget(node);
            if sent.saturating_add(1) < limit {
                self.place(rumour.update, sent.saturating_add(1));
            }
        }
        updates
    }

    pub(super) fn len(&self) -> usize {
        self.rumours.len()
    }

    fn place(&mut self, update: Update, sent: u32) {
        self.next = self.next.saturating_add(1);
        let place = (sent, self.next);
        self.order.insert((place.0, place.1, update.node));
        self.rumours.insert(update.node, Rumour { update, place });
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

    #[test]
    fn what_was_sent_least_goes_first_and_often_enough() {
        let mut gossip = Gossip::default();
        gossip.spread(update(1, 0));
        assert_eq!(gossip.take(1, 5), [update(1, 0)]);
        gossip.spread(update(2, 0));
        assert_eq!(gossip.take(1, 5), [update(2, 0)]);
        let sent: usize = (0..100).map(|_| gossip.take(2, 5).len()).sum();
        assert_eq!((sent, gossip.len()), (2 * 4 - 2, 0));
    }

    #[test]
    fn a_newer_claim_takes_the_place_of_an_older_and_is_fresh() {
        let mut gossip = Gossip::default();
        gossip.spread(update(1, 0));
        let _ = gossip.take(1, 5);
        gossip.spread(update(1, 1));
        assert_eq!(gossip.len(), 1);
        let said: Vec<_> = (0..9).flat_map(|_| gossip.take(1, 5)).collect();
        assert_eq!(said, [update(1, 1); 4]);
    }

    #[test]
    fn the_most_often_sent_makes_room() {
        let mut gossip = Gossip::default();
        gossip.spread(update(0, 0));
        let _ = gossip.take(1, 5);
        for node in 1..=RUMOURS_MAX as u64 {
            gossip.spread(update(node, 0));
        }
        assert_eq!(gossip.len(), RUMOURS_MAX);
        assert!(gossip.take(RUMOURS_MAX, 5).iter().all(|rumour| rumour.node != NodeId::new(0)));
    }
}
