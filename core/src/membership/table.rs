//! The members a node knows, and which of two claims about one of them holds.
//!
//! A member is `(node, boot, incarnation)`. The higher incarnation holds, whichever life it is of:
//! a node raises its incarnation above whatever is said of it or of an earlier life, so a new life
//! beats the old one as soon as it hears of it. At the same incarnation DEAD holds against
//! SUSPECT against ALIVE against UNCONFIRMED, so claims commute and tables converge. A life that
//! was never reached from here is UNCONFIRMED, whatever others say of it.
//!
//! Bound: `MEMBERS_MAX`; dead members make room first, then those that left, then the unconfirmed.
//! Invariant: peer-confirmed.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::message::{Standing, Update};
use super::roster::Roster;
use crate::ids::NodeId;
use crate::limits::MEMBERS_MAX;
use crate::time::Instant;

/// A member as its node sees it. What most lookups read lies in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Member {
    /// The claim that holds.
    pub(super) claim: Update,
    /// Whether this life said something to this node.
    pub(super) is_reached: bool,
    /// When the node was last heard of directly.
    pub(super) heard: Instant,
    /// When it came to stand where it stands.
    pub(super) since: Instant,
    /// When an unconfirmed one was first asked.
    pub(super) tried: Option<Instant>,
    /// When it was last told what is said of it.
    pub(super) told: Option<Instant>,
    /// Another life than the known one was heard: it has to be told.
    pub(super) is_replaced: bool,
    /// When its last beat was heard, if it beats.
    pub(super) beat: Option<Instant>,
}

impl Member {
    /// Where it stands for this node.
    pub(super) fn standing(&self) -> Standing {
        if self.is_reached { self.claim.standing } else { Standing::Unconfirmed }
    }

    /// Whether it must hear what is said of it.
    pub(super) fn must_be_told(&self) -> bool {
        matches!(self.claim.standing, Standing::Suspect | Standing::Dead) || self.is_replaced
    }
}

/// What learning a claim did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Learnt {
    /// Where the node stood; `None` if it was unknown.
    pub(super) before: Option<Standing>,
    /// Where it stands.
    pub(super) after: Standing,
    /// The claim took the place of another.
    pub(super) is_news: bool,
    /// The life is another one.
    pub(super) is_new_life: bool,
}

/// Every member but this node itself.
#[derive(Debug, Default)]
pub(super) struct Table {
    members: Roster,
    /// Those to be asked whether they are there after all: unconfirmed and dead.
    strangers: BTreeSet<NodeId>,
    counts: [usize; Standing::ALL.len()],
}

/// Whether a claim takes the place of another about the same node.
pub(super) fn supersedes(said: &Update, known: &Update) -> bool {
    use Standing::{Alive, Dead, Left, Suspect, Unconfirmed};
    match said.incarnation.cmp(&known.incarnation) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => match (said.standing, known.standing) {
            (Alive | Suspect | Dead | Left, Unconfirmed)
            | (Suspect | Dead | Left, Alive)
            | (Dead | Left, Suspect)
            | (Left, Dead) => true,
            (Unconfirmed, Alive | Suspect | Dead | Left)
            | (Alive, Suspect | Dead | Left)
            | (Suspect, Dead | Left)
            | (Dead, Left) => false,
            // Boots have no order in time; any order makes claims commute.
            (Unconfirmed, Unconfirmed)
            | (Alive, Alive)
            | (Suspect, Suspect)
            | (Dead, Dead)
            | (Left, Left) => said.boot > known.boot,
        },
    }
}

impl Table {
    pub(super) fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.member(node)
    }

    pub(super) fn member_mut(&mut self, node: NodeId) -> Option<&mut Member> {
        self.members.member_mut(node)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// How many stand so.
    pub(super) fn count(&self, standing: Standing) -> usize {
        self.counts.get(standing as usize).copied().unwrap_or(0)
    }

    /// Takes a claim; `is_direct` if the life it is about has just said something to this node.
    /// `None` if there is no room, or a node that nobody here knows is said to be gone.
    pub(super) fn learn(&mut self, now: Instant, said: Update, is_direct: bool) -> Option<Learnt> {
        let Some(member) = self.members.member_mut(said.node) else {
            return self.learn_new(now, said, is_direct);
        };
        let before = member.standing();
        let is_news = supersedes(&said, &member.claim);
        if !is_news && !is_direct {
            // Most of what is heard: it changes nothing.
            let (before, after) = (Some(before), before);
            return Some(Learnt { before, after, is_news, is_new_life: false });
        }
        let is_new_life = is_news && said.boot != member.claim.boot;
        if is_news {
            member.claim = said;
            member.is_reached &= !is_new_life;
            member.tried = member.tried.filter(|_| !is_new_life);
        }
        if is_direct {
            member.heard = now;
            member.is_reached |= said.boot == member.claim.boot;
            member.is_replaced = said.boot != member.claim.boot;
        }
        if member.is_reached {
            member.tried = None;
        }
        let after = member.standing();
        if before != after {
            member.since = now;
            self.move_to(said.node, Some(before), after);
        }
        Some(Learnt { before: Some(before), after, is_news, is_new_life })
    }

    fn learn_new(&mut self, now: Instant, said: Update, is_direct: bool) -> Option<Learnt> {
        let is_gone = matches!(said.standing, Standing::Dead | Standing::Left);
        if (is_gone && !is_direct) || !self.make_room() {
            return None;
        }
        let member = Member {
            claim: said,
            is_reached: is_direct,
            heard: now,
            since: now,
            tried: None,
            told: None,
            is_replaced: false,
            beat: None,
        };
        let after = member.standing();
        self.members.insert(said.node, member);
        self.move_to(said.node, None, after);
        Some(Learnt { before: None, after, is_news: true, is_new_life: true })
    }

    /// A node comes to stand where it stands.
    fn move_to(&mut self, node: NodeId, before: Option<Standing>, after: Standing) {
        self.recount(before, Some(after));
        if matches!(after, Standing::Unconfirmed | Standing::Dead) {
            self.strangers.insert(node);
        } else {
            self.strangers.remove(&node);
        }
    }

    /// Forgets a member; where it stood.
    pub(super) fn remove(&mut self, node: NodeId) -> Option<Standing> {
        let standing = self.members.remove(node)?.standing();
        self.strangers.remove(&node);
        self.recount(Some(standing), None);
        Some(standing)
    }

    /// How many are to be asked whether they are there.
    pub(super) fn strangers(&self) -> usize {
        self.strangers.len()
    }

    /// The next stranger after this node, around the table.
    pub(super) fn stranger_after(&self, node: NodeId) -> Option<NodeId> {
        let later = self.strangers.range((Bound::Excluded(node), Bound::Unbounded)).next();
        later.or_else(|| self.strangers.first()).copied()
    }

    /// So many claims of known lives after this node, around the table.
    pub(super) fn claims_after(&self, node: NodeId, most: usize) -> impl Iterator<Item = Update> {
        let known = self.members.around(node).filter(|(_, member)| member.claim.boot.get() != 0);
        known.map(|(_, member)| member.claim).take(most)
    }

    fn recount(&mut self, before: Option<Standing>, after: Option<Standing>) {
        if let Some(slot) = before.and_then(|old| self.counts.get_mut(old as usize)) {
            *slot = slot.saturating_sub(1);
        }
        if let Some(slot) = after.and_then(|new| self.counts.get_mut(new as usize)) {
            *slot = slot.saturating_add(1);
        }
    }

    fn make_room(&mut self) -> bool {
        if self.members.len() < MEMBERS_MAX {
            return true;
        }
        let order = [Standing::Dead, Standing::Left, Standing::Unconfirmed];
        let victim = order.iter().find_map(|standing| {
            let all = self.members.iter();
            let mut of = all.filter(|(_, member)| member.standing() == *standing);
            of.next().map(|(node, _)| node)
        });
        victim.is_some_and(|node| self.remove(node).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BootId;
    use crate::membership::message::MemberRole;

    fn claim(node: u64, boot: u64, incarnation: u64, standing: Standing) -> Update {
        Update {
            node: NodeId::new(node),
            role: MemberRole::Worker,
            boot: BootId::new(boot),
            incarnation,
            standing,
            by: NodeId::new(node),
        }
    }

    fn at(secs: u64) -> Instant {
        Instant::from_nanos(secs * 1_000_000_000)
    }

    #[test]
    fn of_two_claims_exactly_one_holds_and_the_higher_incarnation_always() {
        let mut all = Vec::new();
        for (boot, incarnation) in [(1, 0), (2, 0), (1, 1), (2, 3)] {
            all.extend(Standing::ALL.map(|standing| claim(9, boot, incarnation, standing)));
        }
        for a in &all {
            for b in &all {
                assert_eq!(a != b, supersedes(a, b) != supersedes(b, a), "{a:?} {b:?}");
                if a.incarnation > b.incarnation {
                    assert!(supersedes(a, b));
                }
                for c in all.iter().filter(|c| supersedes(a, b) && supersedes(b, c)) {
                    assert!(supersedes(a, c), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }

    #[test]
    fn a_life_never_reached_stays_unconfirmed_whatever_is_said() {
        let mut table = Table::default();
        for standing in [Standing::Alive, Standing::Suspect, Standing::Dead] {
            let learnt = table.learn(at(1), claim(9, 1, 0, standing), false).unwrap();
            assert_eq!((learnt.after, learnt.is_news), (Standing::Unconfirmed, true));
        }
        let learnt = table.learn(at(2), claim(9, 1, 1, Standing::Alive), true).unwrap();
        assert_eq!(learnt.after, Standing::Alive);
        assert_eq!(table.count(Standing::Alive), 1);
        let other = table.learn(at(3), claim(9, 2, 2, Standing::Suspect), false).unwrap();
        assert_eq!((other.after, other.is_new_life), (Standing::Unconfirmed, true));
    }

    #[test]
    fn the_dead_make_room_first_and_the_living_never() {
        let mut table = Table::default();
        let max = MEMBERS_MAX as u64;
        for node in 1..=max {
            table.learn(at(1), claim(node, 1, 0, Standing::Alive), true);
        }
        assert_eq!(table.learn(at(2), claim(max + 1, 1, 0, Standing::Alive), true), None);
        table.learn(at(2), claim(5, 1, 0, Standing::Dead), false);
        assert!(table.learn(at(2), claim(max + 1, 1, 0, Standing::Alive), true).is_some());
        assert!(table.member(NodeId::new(5)).is_none());
        assert_eq!(table.len(), MEMBERS_MAX);
    }
}
