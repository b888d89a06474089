//! Handing leadership over (hole 3).
//!
//! The leader stops using its lease for the rest of its term, tells its role, and only then, when
//! the successor holds its whole log, tells the successor to stand at once. While it hands over it
//! goes on to replicate and takes nothing new. If nobody took over in time it stands itself in the
//! next term: its lease of this term never comes back, so a `TransferNow` that arrives late finds
//! voters who are free or who are in a later term.

use super::Event;
use super::command::Command;
use super::election::Stance;
use super::group::Group;
use super::leading::Retiring;
use super::{Body, Member};
use crate::ids::Term;
use crate::machine::Cx;
use crate::stat::Stat;

impl<C: Command> Group<C> {
    pub(super) fn on_transfer(&mut self, cx: &mut Cx<'_>) {
        let (now, until) = (cx.now(), cx.now().after(self.config.election_min));
        let Some(leading) = self.leading().filter(|_| self.leads) else { return };
        let voters = &self.log.membership().voters;
        let heard = |voter: &&Member| {
            let answered = leading.rounds.answered(voter.disk);
            answered.is_some_and(|at| now.since(at) <= self.config.silence)
        };
        let matched = |voter: &&Member| leading.others.get(&voter.disk).map(|known| known.matched);
        // Of equals, the first configured.
        let to = voters.iter().filter(heard).rev().max_by_key(matched).copied();
        let Some(to) = to.filter(|to| *to != self.me) else { return };
        cx.count(Stat::TransferStarted);
        self.leads = false;
        cx.count(Stat::StoodDown);
        self.news.push(Event::StoodDown);
        if let Some(leading) = self.leading_mut() {
            leading.retiring = Some(Retiring { to, until, is_told: false });
        }
    }

    /// Tells the successor once it holds everything.
    pub(super) fn hand_over(&mut self, cx: &mut Cx<'_>) {
        let (post, last) = (self.post(), self.log.last().index);
        let Some(leading) = self.leading_mut() else { return };
        let Some(retiring) = leading.retiring.as_mut().filter(|retiring| !retiring.is_told) else {
            return;
        };
        let successor = leading.others.get(&retiring.to.disk);
        if successor.is_some_and(|progress| progress.matched == last) {
            retiring.is_told = true;
            post.send(cx, retiring.to, Body::<C>::TransferNow);
        }
    }

    pub(super) fn on_transfer_now(&mut self, cx: &mut Cx<'_>, from: Member, term: Term) {
        let is_led = matches!(self.stance, Stance::Follower) && self.leader == Some(from);
        if term == self.ballot.term && is_led && self.is_voter() {
            self.stand(cx, Some(term));
        } else {
            cx.count(Stat::MessageStale);
        }
    }

    /// Nobody took over in time.
    pub(super) fn on_transfer_failed(&mut self, cx: &mut Cx<'_>) {
        cx.count(Stat::TransferFailed);
        if self.is_voter() {
            let term = self.ballot.term;
            self.stand(cx, Some(term));
        } else {
            self.stand_down(cx);
            self.rest(cx);
        }
    }
}
