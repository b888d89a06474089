//! Probes: who is asked when, and what silence means.
//!
//! Every period the next member of a shuffled round is pinged, again and again until it answers,
//! after `probe_timeout` through proxies too. A proxy that had no answer says so (nack): it has
//! probed the target itself, so its nack is a confirmation, and a nack that does not come is a
//! hint at this node's own trouble. A probe that nobody answered within the period, or that every
//! proxy denied, makes its target suspect. A member whose heartbeats stop is probed at once.
//! Members that were never reached or are taken for dead are pinged as well, one a period, or a
//! few while there are many: their silence means nothing.
//!
//! Bounds: `PROBES_MAX` probes, `RELAYS_MAX` probes for others. Above, none is begun: counted.

use std::collections::{BTreeMap, BTreeSet};

use super::Membership;
use super::message::{Kind, Standing, Update};
use crate::ids::NodeId;
use crate::limits::{PROBES_MAX, RELAYS_MAX};
use crate::machine::Cx;
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;

/// For so many strangers one is pinged a period, so that a large table is complete in minutes,
const STRANGERS_PER_PING: usize = 32;
/// and at most so many.
const STRANGERS_AT_A_TIME: usize = 8;

/// Deadlines of a membership.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    /// The next member is probed.
    Period,
    /// What is kept too long goes.
    Purge,
    /// A probe goes on.
    Probe(u64),
    /// A probe for another member goes on.
    Relay(u64),
}

#[derive(Debug)]
struct Probe {
    target: NodeId,
    asks_at: Instant,
    ends: Instant,
    asked: BTreeSet<NodeId>,
    nacks: BTreeSet<NodeId>,
    has_asked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Relay {
    origin: NodeId,
    seq: u64,
    target: NodeId,
    ends: Instant,
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Probes {
    seq: u64,
    round: Vec<NodeId>,
    stranger: NodeId,
    probes: BTreeMap<u64, Probe>,
    by_target: BTreeMap<NodeId, u64>,
    relays: BTreeMap<u64, Relay>,
}

impl Probes {
    pub(super) fn len(&self) -> (usize, usize) {
        (self.probes.len(), self.relays.len())
    }

    /// Numbers of one life are not those of another. Strangers are asked from this node's own
    /// place on: if all began with the same one, all would ask the same one at the same time.
    pub(super) fn begin_at(&mut self, seq: u64, me: NodeId) {
        self.seq = seq;
        self.stranger = me;
    }

    fn next_seq(&mut self) -> u64 {
        self.seq = self.seq.saturating_add(1);
        self.seq
    }
}

impl Membership {
    pub(super) fn on_period(&mut self, cx: &mut Cx<'_>) {
        if self.table.len() == 0 {
            self.has_period = false;
            return;
        }
        let at = cx.now().after(self.awareness.stretch(self.config.period));
        self.timers.set(Key::Period, at);
        if let Some(target) = self.next_target(cx) {
            self.probe(cx, target);
        }
        for _ in 0..self.table.strangers().div_ceil(STRANGERS_PER_PING).min(STRANGERS_AT_A_TIME) {
            let Some(stranger) = self.table.stranger_after(self.probes.stranger) else { break };
            self.probes.stranger = stranger;
            self.reach_out(cx, stranger);
        }
    }

    /// Pings a member whose silence means nothing.
    pub(super) fn reach_out(&mut self, cx: &mut Cx<'_>, node: NodeId) {
        if let Some(member) = self.table.member_mut(node) {
            member.tried.get_or_insert(cx.now());
        }
        let seq = self.probes.next_seq();
        self.send(cx, node, Kind::Ping { seq });
    }

    fn next_target(&mut self, cx: &mut Cx<'_>) -> Option<NodeId> {
        for _ in 0..2 {
            while let Some(node) = self.probes.round.pop() {
                let standing = self.table.member(node).map(super::table::Member::standing);
                let is_due = matches!(standing, Some(Standing::Alive | Standing::Suspect));
                if is_due && !self.probes.by_target.contains_key(&node) {
                    return Some(node);
                }
            }
            self.probes.round = self.in_standing(&[Standing::Alive, Standing::Suspect]);
            cx.rng(Stream::Membership).shuffle(&mut self.probes.round);
        }
        None
    }

    fn in_standing(&self, wanted: &[Standing]) -> Vec<NodeId> {
        let all = self.table.iter();
        all.filter(|(_, member)| wanted.contains(&member.standing())).map(|(n, _)| n).collect()
    }

    fn probe(&mut self, cx: &mut Cx<'_>, target: NodeId) {
        if self.probes.by_target.contains_key(&target) {
            return;
        }
        if self.probes.probes.len() >= PROBES_MAX {
            return cx.count(Stat::CapRefused);
        }
        cx.count(Stat::SwimProbed);
        let seq = self.probes.next_seq();
        let stretch = |span| cx.now().after(self.awareness.stretch(span));
        let probe = Probe {
            target,
            asks_at: stretch(self.config.probe_timeout),
            ends: stretch(self.config.period),
            asked: BTreeSet::new(),
            nacks: BTreeSet::new(),
            has_asked: false,
        };
        self.probes.probes.insert(seq, probe);
        self.probes.by_target.insert(target, seq);
        self.timers.set(Key::Probe(seq), stretch(self.config.resend_after));
        self.send(cx, target, Kind::Ping { seq });
    }

    pub(super) fn on_probe_due(&mut self, cx: &mut Cx<'_>, seq: u64) {
        let Some(probe) = self.probes.probes.get(&seq) else { return };
        let (target, ends) = (probe.target, probe.ends);
        if cx.now() >= ends {
            return self.fail(cx, seq);
        }
        if cx.now() >= probe.asks_at && !probe.has_asked {
            self.ask(cx, seq, target);
        }
        let next = cx.now().after(self.awareness.stretch(self.config.resend_after));
        self.timers.set(Key::Probe(seq), next.min(ends));
        cx.count(Stat::Resent);
        self.send(cx, target, Kind::Ping { seq });
    }

    fn ask(&mut self, cx: &mut Cx<'_>, seq: u64, target: NodeId) {
        let mut proxies = self.in_standing(&[Standing::Alive]);
        proxies.retain(|node| *node != target);
        cx.rng(Stream::Membership).shuffle(&mut proxies);
        proxies.truncate(usize::from(self.config.proxies));
        if let Some(probe) = self.probes.probes.get_mut(&seq) {
            probe.has_asked = true;
            probe.asked = proxies.iter().copied().collect();
        }
        for proxy in proxies {
            cx.count(Stat::SwimAsked);
            self.send(cx, proxy, Kind::Ask { seq, target });
        }
    }

    /// Nobody has reached the target of a probe.
    fn fail(&mut self, cx: &mut Cx<'_>, seq: u64) {
        let Some(probe) = self.probes.probes.remove(&seq) else { return };
        self.probes.by_target.remove(&probe.target);
        self.timers.cancel(&Key::Probe(seq));
        cx.count(Stat::SwimUnanswered);
        let missed = probe.asked.len().saturating_sub(probe.nacks.len());
        let hints = if probe.asked.is_empty() { 1 } else { missed };
        self.awareness.worsen(u32::try_from(hints).unwrap_or(u32::MAX));
        let Some(member) = self.table.member(probe.target) else { return };
        let accusers = std::iter::once(self.me.node).chain(probe.nacks.iter().copied());
        let claim = Update { standing: Standing::Suspect, ..member.claim };
        for by in accusers {
            self.learn(cx, Update { by, ..claim }, false);
        }
        self.send(cx, probe.target, Kind::News);
    }

    /// A member has just said something: that answers every probe of it.
    pub(super) fn on_answered(&mut self, cx: &mut Cx<'_>, target: NodeId) {
        if let Some(seq) = self.probes.by_target.remove(&target) {
            self.probes.probes.remove(&seq);
            self.timers.cancel(&Key::Probe(seq));
            self.awareness.improve();
            cx.count(Stat::SwimAnswered);
        }
    }

    /// A proxy reached the target.
    pub(super) fn on_relayed(&mut self, cx: &mut Cx<'_>, seq: u64, target: NodeId) {
        if self.probes.by_target.get(&target) == Some(&seq) {
            cx.count(Stat::SwimRelayed);
            self.on_answered(cx, target);
        }
    }

    pub(super) fn on_nack(&mut self, cx: &mut Cx<'_>, from: NodeId, seq: u64) {
        let Some(probe) = self.probes.probes.get_mut(&seq) else { return };
        if !probe.asked.contains(&from) {
            return cx.count(Stat::MessageForeign);
        }
        cx.count(Stat::SwimNacked);
        probe.nacks.insert(from);
        if probe.nacks.len() == probe.asked.len() {
            self.fail(cx, seq);
        }
    }

    /// Another member asks this one to probe for it.
    pub(super) fn on_ask(&mut self, cx: &mut Cx<'_>, origin: NodeId, seq: u64, target: NodeId) {
        if target == self.me.node {
            return self.send(cx, origin, Kind::Relayed { seq, target });
        }
        if self.probes.relays.len() >= RELAYS_MAX {
            return cx.count(Stat::CapRefused);
        }
        // An origin that counts on its proxies waits as long again as it waited itself.
        let patience = self.config.probe_timeout.saturating_mul(3) / 5;
        let relay = Relay { origin, seq, target, ends: cx.now().after(patience) };
        let own = self.probes.next_seq();
        self.probes.relays.insert(own, relay);
        self.timers.set(Key::Relay(own), cx.now().after(self.config.resend_after));
        self.send(cx, target, Kind::Ping { seq: own });
    }

    pub(super) fn on_relay_due(&mut self, cx: &mut Cx<'_>, own: u64) {
        let Some(Relay { origin, seq, target, ends }) = self.probes.relays.get(&own).copied()
        else {
            return;
        };
        if cx.now() >= ends {
            self.probes.relays.remove(&own);
            return self.send(cx, origin, Kind::Nack { seq, target });
        }
        let next = cx.now().after(self.config.resend_after).min(ends);
        self.timers.set(Key::Relay(own), next);
        self.send(cx, target, Kind::Ping { seq: own });
    }

    pub(super) fn on_ack(&mut self, cx: &mut Cx<'_>, from: NodeId, own: u64) {
        let asked = self.probes.relays.get(&own).filter(|relay| relay.target == from);
        if let Some(Relay { origin, seq, target, .. }) = asked.copied() {
            self.probes.relays.remove(&own);
            self.timers.cancel(&Key::Relay(own));
            self.send(cx, origin, Kind::Relayed { seq, target });
        }
    }

    /// A member that beats regularly missed two beats.
    pub(super) fn on_silence(&mut self, cx: &mut Cx<'_>, node: NodeId) {
        let standing = self.table.member(node).map(super::table::Member::standing);
        if standing == Some(Standing::Alive) {
            cx.count(Stat::SwimHastened);
            self.probe(cx, node);
        }
    }
}
