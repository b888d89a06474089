//! Membership: who is there, by SWIM with Lifeguard.
//!
//! The gates are members among themselves, and the managers of a datacenter with its workers.
//! Every member probes one other a period (`probe`), suspects who does not answer (`suspicion`),
//! and carries what it hears on the messages it sends anyway (`gossip`); `table` says which of two
//! claims holds, `awareness` how far a node trusts itself. A message to a member that stands badly
//! begins with what is said of it, so that it can refute it by raising its incarnation.
//!
//! Inputs: wakes, messages of members, everything else that was heard directly from one, and that
//! this node leaves. Outputs: datagrams, all volatile, and events for the role. It informs: no
//! lease, session, quorum or run depends on it.
//!
//! Invariants: peer-confirmed, suspicion-expires, converge, bounded. Does not do: addresses (the
//! transport), reliable delivery, health of a whole datacenter.

mod awareness;
mod beats;
mod gossip;
mod message;
mod probe;
mod roster;
mod suspicion;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::time::Duration;

pub use message::{Kind, MemberRole, Message, Standing, Update};
pub use suspicion::{SuspicionView, timeout as suspicion_timeout};

use crate::bounded::BoundedVec;
use crate::config::MembershipConfig;
use crate::ids::{BootId, NodeId};
use crate::invariant::{Inv, Violation};
use crate::limits::{INCARNATION_MAX, MEMBERS_MAX, PROBES_MAX, RELAYS_MAX, SWIM_UPDATES_MAX};
use crate::machine::{Cx, Events, Machine, Wake};
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;

use awareness::Awareness;
use beats::Beats;
use gossip::Gossip;
use probe::{Key, Probes};
use suspicion::Suspicions;
use table::{Learnt, Table};

/// How often what is kept too long is looked for.
const PURGE_EVERY: Duration = Duration::from_secs(10);
/// Claims of the table that a message without news carries, so that tables converge.
const FEED: usize = 2;
/// Members that are told at once that this node leaves.
const FAREWELLS: usize = 8;

/// What can happen to a membership.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// Something may be due.
    Wake,
    /// A member's message.
    Received {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        msg: Message,
    },
    /// Something else came directly from a node.
    Heard {
        /// Which node.
        node: NodeId,
        /// What it is and which life of it, if the message says so; it will beat regularly.
        life: Option<(MemberRole, BootId)>,
    },
    /// Members that beat do so at this interval from here on.
    Beats(Duration),
    /// This node leaves.
    Leave,
}

/// What a membership tells its role. Each once per change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A life of a node was reached, for the first time or again.
    Confirmed(NodeId),
    /// It does not answer.
    Suspected(NodeId),
    /// It refuted that.
    Refuted(NodeId),
    /// It did not refute it in time.
    Died(NodeId),
    /// It said goodbye.
    Left(NodeId),
    /// Nothing is known of it any more.
    Removed(NodeId),
}

/// A member, read-only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberView {
    /// The node.
    pub node: NodeId,
    /// What it is.
    pub role: MemberRole,
    /// Its life; 0 if none was heard of.
    pub boot: BootId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Where it stands.
    pub standing: Standing,
}

/// The members that a node knows.
#[derive(Debug)]
pub struct Membership {
    config: MembershipConfig,
    me: Update,
    seeds: (Vec<NodeId>, MemberRole),
    beats: Beats,
    table: Table,
    suspicions: Suspicions,
    gossip: Gossip,
    awareness: Awareness,
    probes: Probes,
    timers: Timers<Key>,
    /// Where the feed of the table goes on.
    fed: NodeId,
    has_started: bool,
    /// The next period has its instant.
    has_period: bool,
    /// As of the last input.
    wake: Option<Wake>,
    events: Events<Event>,
}

impl Membership {
    /// A member that knows its seeds by name alone.
    pub fn new(
        config: MembershipConfig,
        (node, role, boot): (NodeId, MemberRole, BootId),
        seeds: (Vec<NodeId>, MemberRole),
    ) -> Self {
        let standing = Standing::Alive;
        Self {
            me: Update { node, role, boot, incarnation: 0, standing, by: node },
            seeds,
            beats: Beats::default(),
            table: Table::default(),
            suspicions: Suspicions::new(config.suspicion_min, config.suspicion_max),
            gossip: Gossip::default(),
            awareness: Awareness::default(),
            probes: Probes::default(),
            timers: Timers::new(),
            fed: NodeId::new(0),
            has_started: false,
            has_period: false,
            wake: None,
            events: Events::none(),
            config,
        }
    }

    /// Members that beat do so at this interval: two missed beats hasten a probe.
    #[must_use]
    pub fn with_beats(mut self, interval: Duration) -> Self {
        self.beats.expect(Instant::ZERO, interval);
        self
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.has_started = true;
        self.probes.begin_at(cx.rng(Stream::Membership).next_u64() >> 32, self.me.node);
        self.gossip.spread(self.me);
        for seed in self.seeds.0.clone() {
            self.sow(cx.now(), seed);
            self.reach_out(cx, seed);
        }
    }

    /// Knows a seed by name alone.
    fn sow(&mut self, now: Instant, seed: NodeId) {
        let blank = Update {
            node: seed,
            role: self.seeds.1,
            boot: BootId::new(0),
            incarnation: 0,
            standing: Standing::Unconfirmed,
            by: seed,
        };
        self.table.learn(now, blank, false);
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) {
        while let Some(node) = self.suspicions.pop_due(cx.now()) {
            if let Some(member) = self.table.member(node) {
                let claim = Update { standing: Standing::Dead, by: self.me.node, ..member.claim };
                self.learn(cx, claim, false);
            }
        }
        while let Some(node) = self.beats.pop_due(cx.now(), &self.table) {
            self.on_silence(cx, node);
        }
        while let Some(key) = self.timers.pop_due(cx.now()) {
            match key {
                Key::Period => self.on_period(cx),
                Key::Purge => self.on_purge(cx),
                Key::Probe(seq) => self.on_probe_due(cx, seq),
                Key::Relay(seq) => self.on_relay_due(cx, seq),
            }
        }
        if self.table.len() > 0 && !self.has_period {
            self.has_period = true;
            let first = cx.rng(Stream::Membership).between(Duration::ZERO, self.config.period);
            self.timers.set(Key::Period, cx.now().after(first));
            self.timers.set(Key::Purge, cx.now().after(PURGE_EVERY));
        }
    }

    fn on_received(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: Message) {
        let role = self.me.role;
        let is_mine = |update: &Update| {
            update.role.shares_table_with(role) && update.incarnation <= INCARNATION_MAX
        };
        if msg.sender.node != from || from == self.me.node || !is_mine(&msg.sender) {
            return cx.count(Stat::MessageForeign);
        }
        let learnt = self.learn(cx, msg.sender, true);
        self.on_answered(cx, from);
        let mut has_refuted = false;
        for update in msg.updates.iter().filter(|update| is_mine(update)) {
            has_refuted |= self.hear(cx, *update);
        }
        let is_new = learnt.is_some_and(|learnt| learnt.is_new_life);
        match msg.kind {
            Kind::Ping { seq } => {
                let most = if is_new { SWIM_UPDATES_MAX } else { FEED };
                return self.send_feeding(cx, from, Kind::Ack { seq }, most);
            }
            Kind::Ack { seq } => self.on_ack(cx, from, seq),
            Kind::Ask { seq, target } => self.on_ask(cx, from, seq, target),
            Kind::Relayed { seq, target } => self.on_relayed(cx, seq, target),
            Kind::Nack { seq, .. } => self.on_nack(cx, from, seq),
            Kind::News => {}
        }
        if has_refuted {
            self.send(cx, from, Kind::News);
        } else {
            self.tell_badly_standing(cx, from);
        }
    }

    fn on_heard(&mut self, cx: &mut Cx<'_>, node: NodeId, life: Option<(MemberRole, BootId)>) {
        if node == self.me.node {
            return;
        }
        let now = cx.now();
        if life.is_some() {
            self.beats.on_beat(now, node, &self.table);
        }
        if let Some(member) = self.table.member_mut(node) {
            let is_known = life.is_none_or(|(_, boot)| boot == member.claim.boot);
            let is_well = member.is_reached && member.claim.standing == Standing::Alive;
            if is_known && is_well && !member.is_replaced {
                member.heard = now;
                member.beat = life.map_or(member.beat, |_| Some(now));
                return self.on_answered(cx, node);
            }
        }
        let known = self.table.member(node).map(|member| member.claim);
        let said = match (known, life) {
            (Some(claim), None) if claim.boot.get() != 0 => claim,
            (Some(claim), Some((_, boot))) if claim.boot == boot => claim,
            (_, Some((role, boot))) => {
                Update { node, role, boot, incarnation: 0, standing: Standing::Alive, by: node }
            }
            (_, None) => return,
        };
        self.learn(cx, said, true);
        if let Some(member) = self.table.member_mut(node).filter(|_| life.is_some()) {
            member.beat = Some(now);
        }
        self.on_answered(cx, node);
        self.tell_badly_standing(cx, node);
    }

    /// A node that speaks and stands badly, or that others take for an earlier life, is told so,
    /// once a period.
    fn tell_badly_standing(&mut self, cx: &mut Cx<'_>, node: NodeId) {
        let Some(member) = self.table.member(node) else { return };
        let due = member.told.is_none_or(|at| cx.now().since(at) >= self.config.period);
        if due && member.must_be_told() {
            self.reach_out(cx, node);
        }
    }

    fn on_leave(&mut self, cx: &mut Cx<'_>) {
        if self.me.standing == Standing::Left {
            return;
        }
        self.me.standing = Standing::Left;
        self.gossip.spread(self.me);
        let living = self.members().filter(|member| member.standing == Standing::Alive);
        let mut living: Vec<NodeId> = living.map(|member| member.node).collect();
        cx.rng(Stream::Membership).shuffle(&mut living);
        for node in living.into_iter().take(FAREWELLS) {
            self.send(cx, node, Kind::News);
        }
    }

    /// A claim of another member, about anybody. Whether it was about this node, and refuted.
    fn hear(&mut self, cx: &mut Cx<'_>, said: Update) -> bool {
        if said.node != self.me.node {
            self.learn(cx, said, false);
            return false;
        }
        let is_mine = said.boot == self.me.boot;
        let agrees = is_mine && said.standing <= self.me.standing;
        if said.incarnation < self.me.incarnation || agrees {
            return false;
        }
        self.me.incarnation = said.incarnation.saturating_add(1);
        self.gossip.spread(self.me);
        if is_mine {
            self.awareness.worsen(1);
        }
        cx.count(Stat::SwimRefuted);
        true
    }

    /// Takes a claim about another node into the table.
    fn learn(&mut self, cx: &mut Cx<'_>, said: Update, is_direct: bool) -> Option<Learnt> {
        let Some(learnt) = self.table.learn(cx.now(), said, is_direct) else {
            cx.count(Stat::MessageStale);
            return None;
        };
        if learnt.is_news && said.boot.get() != 0 {
            self.gossip.spread(said);
        }
        let stays = learnt.before == Some(learnt.after) && learnt.after != Standing::Suspect;
        if stays && !learnt.is_new_life {
            return Some(learnt);
        }
        let claim = self.table.member(said.node)?.claim;
        let (node, boot, incarnation) = (claim.node, claim.boot, claim.incarnation);
        if learnt.after != Standing::Suspect {
            self.suspicions.cancel(node);
        } else if learnt.is_news || learnt.before != Some(Standing::Suspect) {
            let expected = self.expected_confirmations();
            self.suspicions.begin(cx.now(), (node, boot, incarnation), claim.by, expected);
        } else if said.standing == Standing::Suspect
            && self.suspicions.confirm(node, said.boot, (said.by, said.incarnation))
        {
            cx.count(Stat::SwimAccused);
            self.gossip.spread(said);
        }
        self.note(cx, node, learnt);
        Some(learnt)
    }

    fn note(&mut self, cx: &mut Cx<'_>, node: NodeId, learnt: Learnt) {
        let before = learnt.before;
        if before == Some(learnt.after) && !learnt.is_new_life {
            return;
        }
        let (event, stat) = match learnt.after {
            Standing::Unconfirmed => return,
            Standing::Alive if before == Some(Standing::Suspect) => {
                (Event::Refuted(node), Stat::SwimCleared)
            }
            Standing::Alive => (Event::Confirmed(node), Stat::SwimReached),
            Standing::Suspect => (Event::Suspected(node), Stat::SwimSuspected),
            Standing::Dead => (Event::Died(node), Stat::SwimDied),
            Standing::Left => (Event::Left(node), Stat::SwimLeft),
        };
        cx.count(stat);
        if learnt.after == Standing::Dead && self.is_blind() {
            cx.count(Stat::SwimHeld);
        }
        self.events.push(event);
    }

    fn on_purge(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        if self.table.len() > 0 {
            self.timers.set(Key::Purge, now.after(PURGE_EVERY));
        }
        let kept = self.config.dead_kept;
        let is_over = |member: &table::Member| match member.standing() {
            Standing::Unconfirmed => {
                let patience = self.config.patience(member.claim.role);
                member.tried.is_some_and(|at| now.since(at) >= patience)
            }
            Standing::Dead | Standing::Left => now.since(member.since) >= kept,
            Standing::Alive | Standing::Suspect => false,
        };
        let over = self.table.iter().filter(|(_, member)| is_over(member));
        for node in over.map(|(node, _)| node).collect::<Vec<_>>() {
            self.table.remove(node);
            self.gossip.forget(node);
            cx.count(Stat::SwimRemoved);
            self.events.push(Event::Removed(node));
            if self.seeds.0.contains(&node) {
                self.sow(now, node);
            }
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>, to: NodeId, kind: Kind) {
        self.send_feeding(cx, to, kind, FEED);
    }

    /// Sends what a message says, and as many claims of the table as `feed` where there is no news.
    fn send_feeding(&mut self, cx: &mut Cx<'_>, to: NodeId, kind: Kind, feed: usize) {
        let most = self.gossip.len().saturating_add(1).max(feed).min(SWIM_UPDATES_MAX);
        let mut said: Vec<Update> = Vec::with_capacity(most);
        if let Some(member) = self.table.member_mut(to)
            && member.must_be_told()
        {
            member.told = Some(cx.now());
            said.push(member.claim);
        }
        let room = SWIM_UPDATES_MAX.saturating_sub(said.len());
        self.gossip.take(room, self.table.len(), &mut said);
        let room = feed.saturating_sub(said.len());
        if room > 0 {
            let told = said.len();
            said.extend(self.table.claims_after(self.fed, room));
            self.fed = said.get(told..).and_then(<[_]>::last).map_or(self.fed, |claim| claim.node);
        }
        let updates = BoundedVec::try_from(said).unwrap_or_default();
        cx.out.send_volatile(to, Message { sender: self.me, kind, updates });
    }
}

impl Membership {
    fn is_due(&self, now: Instant) -> bool {
        let has_first = self.has_period || self.table.len() == 0;
        !has_first || self.wake.is_some_and(|wake| wake.at <= now)
    }

    fn earliest(&self) -> Option<Wake> {
        let timers = self.timers.next().map(|(at, _)| Wake { at, why: "probe members" });
        let suspicion = self.suspicions.next().map(|at| Wake { at, why: "a suspicion ends" });
        let silence = self.beats.next().map(|at| Wake { at, why: "a member may be silent" });
        Wake::earliest(Wake::earliest(timers, suspicion), silence)
    }
}

impl Machine for Membership {
    type Input = Input;
    type Event = Event;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Event> {
        if !self.has_started {
            self.start(cx);
            self.on_wake(cx);
        } else if self.is_due(cx.now()) {
            self.on_wake(cx);
        } else if input == Input::Wake {
            return Events::none();
        }
        match input {
            Input::Wake => {}
            Input::Received { from, msg } => self.on_received(cx, from, msg),
            Input::Heard { node, life } => self.on_heard(cx, node, life),
            Input::Beats(interval) => self.beats.expect(cx.now(), interval),
            Input::Leave => self.on_leave(cx),
        }
        self.wake = self.earliest();
        std::mem::take(&mut self.events)
    }

    fn next_wake(&self) -> Option<Wake> {
        self.wake
    }

    fn check(&self) -> Result<(), Violation> {
        let (probes, relays) = self.probes.len();
        let bounds = [
            ("members", self.table.len(), MEMBERS_MAX),
            ("suspicions", self.suspicions.len(), MEMBERS_MAX),
            ("rumours", self.gossip.len(), crate::limits::RUMOURS_MAX),
            ("beats", self.beats.len(), self.beats.max(MEMBERS_MAX)),
            ("probes", probes, PROBES_MAX),
            ("probes for others", relays, RELAYS_MAX),
        ];
        match bounds.into_iter().find(|(_, found, max)| found > max) {
            None => Ok(()),
            Some((what, found, max)) => {
                Err(Violation::new(Inv::Bounded, format!("{found} {what}, at most {max}")))
            }
        }
    }
}
