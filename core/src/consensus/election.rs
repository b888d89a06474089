//! Who leads: pre-votes, votes, and the rules of a voter.
//!
//! A voter that heard no leader for a drawn time asks who would vote for it (no term is spent), and
//! stands once a majority of the configured voters would. It refuses while it is bound to silence:
//! it heard a leader of late, leads itself, or was restarted within an election timeout (hole 2: it
//! may have forgotten a promise). A group of one has nobody to wait for.
//!
//! Silence may be broken for an election that the leader itself asked for. The request names the
//! leader's term T as proof that this leader's lease ended for good before it asked. Every lease of
//! a term up to T is dead then: T's own, and those before, because T was elected by voters whose
//! promises had ended or been lifted the same way. So a voter whose term is at most T owes silence
//! to nobody, whatever it heard and forgot; one in a later term is bound as ever. A leader never
//! uses its lease again in a term in which it began to hand over, so a late `TransferNow` is
//! harmless.
//!
//! Inputs: election wake, `PreVote`, `PreVoted`, `Vote`, `Voted`. Does not do: the leader's term
//! (`leader`).

use std::collections::BTreeSet;
use std::time::Duration;

use super::Event;
use super::command::Command;
use super::group::Group;
use super::leading::Leading;
use super::{Body, Member, Payload, Position};
use crate::ids::{DiskId, Term};
use crate::machine::{Cx, Wake};
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;

/// What a member is in its term.
#[derive(Clone, Debug)]
pub(super) enum Stance {
    /// One of those who are led, or wait for a leader.
    Follower,
    /// Asks who would vote for it.
    PreCandidate(Campaign),
    /// Stands.
    Candidate(Campaign),
    /// Leads.
    Leader(Box<Leading>),
}

/// The votes so far.
#[derive(Clone, Debug)]
pub(super) struct Campaign {
    votes: BTreeSet<DiskId>,
    handed: Option<Term>,
    /// When those who have not granted are asked again.
    ask_at: Instant,
}

impl<C: Command> Group<C> {
    /// The first deadlines of a boot.
    pub(super) fn begin_elections(&mut self, cx: &mut Cx<'_>) {
        if self.is_alone() {
            return self.stand(cx, None);
        }
        self.ballot.keep_quiet(cx.now().after(self.config.election_max));
        self.rest(cx);
        // Its vote for itself is a vote: not before the silence ends.
        let spread = self.config.election_max.saturating_sub(self.config.election_min);
        self.election_at = self.election_at.after(spread);
    }

    /// Draws the next election deadline.
    pub(super) fn rest(&mut self, cx: &mut Cx<'_>) {
        let (min, max) = (self.config.election_min, self.config.election_max);
        let wait = cx.rng(Stream::Election).between(min, max);
        self.election_at = cx.now().after(wait);
    }

    pub(super) fn on_election_wake(&mut self, cx: &mut Cx<'_>) {
        if !self.is_voter() {
            return;
        }
        if self.election_at <= cx.now() {
            return self.ask_around(cx);
        }
        match &self.stance {
            Stance::PreCandidate(campaign) | Stance::Candidate(campaign)
                if campaign.ask_at <= cx.now() =>
            {
                cx.count(Stat::Resent);
                self.ask_for_votes(cx);
            }
            Stance::PreCandidate(_)
            | Stance::Candidate(_)
            | Stance::Follower
            | Stance::Leader(_) => {}
        }
    }

    pub(super) fn election_wake(&self) -> Option<Wake> {
        match &self.stance {
            Stance::Leader(leading) if leading.others.is_empty() => None,
            Stance::Leader(leading) => Some(Wake { at: leading.beat_at, why: "heartbeat" }),
            Stance::Follower if self.is_voter() => {
                Some(Wake { at: self.election_at, why: "election" })
            }
            Stance::Follower => None,
            Stance::PreCandidate(campaign) | Stance::Candidate(campaign) => {
                let at = campaign.ask_at.min(self.election_at);
                Some(Wake { at, why: "campaign" })
            }
        }
    }

    /// Nobody was heard: asks who would vote for this node in the next term.
    fn ask_around(&mut self, cx: &mut Cx<'_>) {
        self.stand_down(cx);
        self.unfollow();
        if self.is_alone() {
            return self.stand(cx, None);
        }
        self.rest(cx);
        self.stance = Stance::PreCandidate(self.campaign(None));
        self.ask_for_votes(cx);
    }

    /// Stands in the next term. The vote for itself is in the record that the requests rest on.
    pub(super) fn stand(&mut self, cx: &mut Cx<'_>, handed: Option<Term>) {
        cx.count(Stat::ElectionStarted);
        self.adopt(cx, self.ballot.term.next(), Some(self.me.disk));
        self.rest(cx);
        if self.is_alone() {
            return self.lead(cx);
        }
        self.stance = Stance::Candidate(self.campaign(handed));
        self.ask_for_votes(cx);
    }

    fn campaign(&self, handed: Option<Term>) -> Campaign {
        Campaign { votes: BTreeSet::from([self.me.disk]), handed, ask_at: Instant::ZERO }
    }

    fn ask_for_votes(&mut self, cx: &mut Cx<'_>) {
        let (post, last, term) = (self.post(), self.log.last(), self.ballot.term);
        let ask_at = cx.now().after(self.config.heartbeat);
        let is_pre = matches!(self.stance, Stance::PreCandidate(_));
        let (Stance::PreCandidate(campaign) | Stance::Candidate(campaign)) = &mut self.stance
        else {
            return;
        };
        campaign.ask_at = ask_at;
        for voter in self.log.membership().voters.iter() {
            if campaign.votes.contains(&voter.disk) {
                continue;
            }
            let body = if is_pre {
                Body::PreVote { wish: term.next(), last }
            } else {
                Body::Vote { last, handed: campaign.handed }
            };
            // A vote request rests on the ballot, which holds this candidate's own vote.
            post.send::<C>(cx, *voter, body);
        }
    }

    pub(super) fn on_pre_vote(
        &mut self,
        cx: &mut Cx<'_>,
        from: Member,
        wish: Term,
        last: Position,
    ) {
        let is_newer = wish > self.ballot.term && last >= self.log.last();
        let granted = is_newer && !self.is_bound(cx.now());
        if !granted {
            cx.count(Stat::VoteRefused);
        }
        self.post().send(cx, from, Body::<C>::PreVoted { wish, granted });
    }

    pub(super) fn on_pre_voted(
        &mut self,
        cx: &mut Cx<'_>,
        from: Member,
        term: Term,
        wish: Term,
        granted: bool,
    ) {
        if term > self.ballot.term {
            return self.adopt(cx, term, None);
        }
        let is_current = wish == self.ballot.term.next() && granted;
        let is_voter = self.log.membership().voters.contains(&from);
        let quorum = self.log.membership().quorum();
        let Stance::PreCandidate(campaign) = &mut self.stance else { return };
        let is_new = is_current && is_voter && campaign.votes.insert(from.disk);
        if is_new && campaign.votes.len() >= quorum {
            self.stand(cx, None);
        }
    }

    pub(super) fn on_vote(
        &mut self,
        cx: &mut Cx<'_>,
        from: Member,
        term: Term,
        last: Position,
        handed: Option<Term>,
    ) {
        if term < self.ballot.term {
            // Tells the candidate of the higher term.
            return self.post().send(cx, from, Body::<C>::Voted { granted: false });
        }
        let is_lifted = handed.is_some_and(|led| led >= self.ballot.term && led < term);
        if !is_lifted && self.is_bound(cx.now()) {
            return cx.count(Stat::VoteRefused);
        }
        let is_free = term > self.ballot.term || self.ballot.vote.is_none();
        let granted = if self.ballot.vote == Some(from.disk) && term == self.ballot.term {
            true
        } else {
            is_free && last >= self.log.last()
        };
        if granted && is_free {
            cx.count(if is_lifted { Stat::VoteHanded } else { Stat::VoteGranted });
            self.adopt(cx, term, Some(from.disk));
            self.rest(cx);
        } else if term > self.ballot.term {
            self.adopt(cx, term, None);
        }
        if !granted {
            cx.count(Stat::VoteRefused);
        }
        // Rests on the ballot: the record of this vote.
        self.post().send(cx, from, Body::<C>::Voted { granted });
    }

    pub(super) fn on_voted(&mut self, cx: &mut Cx<'_>, from: Member, term: Term, granted: bool) {
        if term > self.ballot.term {
            return self.adopt(cx, term, None);
        }
        let is_current = term == self.ballot.term && granted;
        let is_voter = self.log.membership().voters.contains(&from);
        let quorum = self.log.membership().quorum();
        let Stance::Candidate(campaign) = &mut self.stance else { return };
        let is_new = is_current && is_voter && campaign.votes.insert(from.disk);
        if is_new && campaign.votes.len() >= quorum {
            self.lead(cx);
        }
    }

    /// A majority voted for this node. It leads once its first entry is committed (hole 4).
    fn lead(&mut self, cx: &mut Cx<'_>) {
        cx.count(Stat::ElectionWon);
        let mut leading = Leading::new(cx.now());
        let (members, last) = (self.log.membership(), self.log.last().index);
        leading.on_members(self.me, members, last);
        leading.origins = self.head.origins.iter().map(|(disk, last)| (*disk, *last)).collect();
        for slot in self.log.after(self.head.index) {
            if let Some(origin) = &slot.entry.origin {
                leading.origins.insert(origin.disk, (origin.boot, origin.seq));
            }
        }
        self.stance = Stance::Leader(Box::new(leading));
        self.enter(cx, None, Payload::Opened);
        self.begin_round(cx);
    }

    /// Whether silence, or leadership, forbids to help another candidate.
    fn is_bound(&self, now: Instant) -> bool {
        self.leading().is_some() || self.ballot.is_quiet(now)
    }

    /// Nobody is known to lead.
    pub(super) fn unfollow(&mut self) {
        if self.leader.take().is_some() {
            self.news.push(Event::Followed { leader: None });
        }
    }

    /// How long a leader goes on without a quorum.
    pub(super) fn patience(&self) -> Duration {
        self.config.election_max
    }
}
