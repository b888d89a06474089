//! The leader's side: until when each session may last, and who inherits the jobs of those that
//! are over.
//!
//! Volatile and the leader's only: empty unless this gate leads. Inputs: led, stood down, beats,
//! committed entries, wakes. Outputs: commands to propose and acknowledgements.
//! From the append of an `Expire` its session is not acknowledged any more. A heir is the same
//! gate's newer session, else the gate with the fewest live jobs, the lowest id among equals; a
//! gate that drains is one only when no other is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::gate::ledger::GateLedger;
use crate::gate::models::{GateCommand, Owner};
use crate::ids::{JobId, LogIndex, NodeId};
use crate::lease::grantor_wait;
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;
use crate::wire::{SessionAck, SessionBeat};

/// What the leader has granted.
#[derive(Debug)]
pub(in crate::gate) struct Grants {
    ttl: Duration,
    wait: Duration,
    ends: Timers<LogIndex>,
    draining: BTreeSet<NodeId>,
    /// Proposed and not committed.
    enrolling: BTreeSet<NodeId>,
    expiring: BTreeSet<LogIndex>,
    moving: BTreeSet<JobId>,
}

/// What a beat comes to.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::gate) enum Judged {
    /// Nothing: an entry is in flight, or it is stale.
    Nothing,
    /// The gate needs a session.
    Enrol(GateCommand),
    /// Its session goes on.
    Renewed(SessionAck),
}

impl Grants {
    pub(in crate::gate) fn new(ttl: Duration, drift_ppm: u32) -> Self {
        Self {
            ttl,
            wait: grantor_wait(ttl, drift_ppm),
            ends: Timers::new(),
            draining: BTreeSet::new(),
            enrolling: BTreeSet::new(),
            expiring: BTreeSet::new(),
            moving: BTreeSet::new(),
        }
    }

    /// This gate leads: its predecessor may have renewed every session a moment ago.
    pub(in crate::gate) fn on_led(&mut self, now: Instant, ledger: &GateLedger) {
        self.on_stood_down();
        for (_, session) in ledger.sessions() {
            self.ends.set(session.index, now.after(self.wait));
        }
    }

    /// This gate leads no more.
    pub(in crate::gate) fn on_stood_down(&mut self) {
        let (ttl, wait) = (self.ttl, self.wait);
        *self = Self { wait, ..Self::new(ttl, 0) };
    }

    /// A member beats, and this gate has an unexpired leader lease.
    pub(in crate::gate) fn on_beat(
        &mut self,
        cx: &mut Cx<'_>,
        ledger: &GateLedger,
        gate: NodeId,
        beat: &SessionBeat,
    ) -> Judged {
        let SessionBeat { disk, boot, seq, draining } = *beat;
        match ledger.session(gate) {
            Some(held) if held.disk == disk && held.boot == boot => {
                if !self.renew(cx.now(), held.index) {
                    return Judged::Nothing;
                }
                if draining {
                    self.draining.insert(gate);
                } else {
                    self.draining.remove(&gate);
                }
                let (session, ttl) = (held.index, self.ttl);
                Judged::Renewed(SessionAck { boot, seq, session, ttl })
            }
            Some(held) if held.disk == disk && held.boot > boot => {
                cx.count(Stat::BootStale);
                Judged::Nothing
            }
            // Another disk has the place until its session has ended: it may still act.
            Some(held) if held.disk != disk => Judged::Nothing,
            Some(_) | None if self.enrolling.contains(&gate) => Judged::Nothing,
            Some(_) | None => Judged::Enrol(GateCommand::Enrol { gate, disk, boot }),
        }
    }

    /// Renews a session, unless its end is proposed. Whether it did.
    pub(in crate::gate) fn renew(&mut self, now: Instant, session: LogIndex) -> bool {
        let goes_on = !self.expiring.contains(&session);
        if goes_on {
            let end = now.after(self.wait);
            let end = self.ends.deadline(&session).map_or(end, |earlier| earlier.max(end));
            self.ends.set(session, end);
        }
        goes_on
    }

    /// The command is in the log.
    pub(in crate::gate) fn on_proposed(&mut self, command: &GateCommand) {
        match command {
            GateCommand::Enrol { gate, .. } => drop(self.enrolling.insert(*gate)),
            GateCommand::Expire { session } => drop(self.expiring.insert(*session)),
            GateCommand::Own { job, .. } => drop(self.moving.insert(*job)),
            GateCommand::Create { .. }
            | GateCommand::Place { .. }
            | GateCommand::Begin { .. }
            | GateCommand::Cancel { .. }
            | GateCommand::EndPart { .. }
            | GateCommand::EndJob { .. }
            | GateCommand::Forget { .. } => {}
        }
    }

    /// A command is committed and applied.
    pub(in crate::gate) fn on_committed(
        &mut self,
        now: Instant,
        ledger: &GateLedger,
        command: &GateCommand,
    ) {
        match command {
            GateCommand::Enrol { gate, .. } => {
                self.enrolling.remove(gate);
                self.draining.remove(gate);
                if let Some(session) = ledger.session(*gate) {
                    self.renew(now, session.index);
                }
                self.retain(ledger);
            }
            GateCommand::Expire { session } => {
                self.expiring.remove(session);
                self.retain(ledger);
            }
            GateCommand::Own { job, .. } => drop(self.moving.remove(job)),
            GateCommand::Create { .. }
            | GateCommand::Place { .. }
            | GateCommand::Begin { .. }
            | GateCommand::Cancel { .. }
            | GateCommand::EndPart { .. }
            | GateCommand::EndJob { .. }
            | GateCommand::Forget { .. } => {}
        }
    }

    /// The sessions whose lease has surely ended. One whose end does not get into the log is given
    /// again.
    pub(in crate::gate) fn on_wake(&mut self, now: Instant) -> Vec<GateCommand> {
        let mut over = Vec::new();
        while let Some(session) = self.ends.pop_due(now) {
            self.ends.set(session, now.after(self.ttl / 6));
            if !self.expiring.contains(&session) {
                over.push(GateCommand::Expire { session });
            }
        }
        over
    }

    /// The jobs that need another owner, and who it is.
    pub(in crate::gate) fn repairs(&self, ledger: &GateLedger) -> Vec<GateCommand> {
        let mut load: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (_, job) in ledger.live() {
            if let Some(gate) = ledger.holder(job.owner.session) {
                let count = load.entry(gate).or_default();
                *count = count.saturating_add(1);
            }
        }
        let mut repairs = Vec::new();
        for (id, job) in ledger.live().filter(|(id, _)| !self.moving.contains(id)) {
            let Some((gate, session)) = self.heir(ledger, &job.owner, &load) else { continue };
            let count = load.entry(gate).or_default();
            *count = count.saturating_add(1);
            repairs.push(GateCommand::Own { job: id, session });
        }
        repairs
    }

    /// When a session ends.
    pub(in crate::gate) fn next_wake(&self) -> Option<Wake> {
        self.ends.next().map(|(at, _)| Wake { at, why: "a session expires" })
    }

    fn heir(
        &self,
        ledger: &GateLedger,
        owner: &Owner,
        load: &BTreeMap<NodeId, usize>,
    ) -> Option<(NodeId, LogIndex)> {
        let current = ledger.holder(owner.session);
        if current.is_some_and(|gate| !self.draining.contains(&gate)) {
            return None;
        }
        let live = ledger.sessions().filter(|(_, held)| !self.expiring.contains(&held.index));
        let rank = |gate: NodeId| {
            let drains = self.draining.contains(&gate);
            let count = load.get(&gate).copied().unwrap_or_default();
            (drains, gate != owner.gate, count, gate)
        };
        let (gate, held) = live.min_by_key(|(gate, _)| rank(*gate))?;
        (Some(gate) != current && !(current.is_some() && self.draining.contains(&gate)))
            .then_some((gate, held.index))
    }

    fn retain(&mut self, ledger: &GateLedger) {
        let over: Vec<_> = self.ends.iter().map(|(session, _)| *session).collect();
        for session in over.into_iter().filter(|session| ledger.holder(*session).is_none()) {
            self.ends.cancel(&session);
        }
        self.draining.retain(|gate| ledger.session(*gate).is_some());
    }
}
