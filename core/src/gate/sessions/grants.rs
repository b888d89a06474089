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
            | GateCommand::Forget { .. }
            | GateCommand::Admit { .. }
            | GateCommand::Ran { .. } => {}
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
            | GateCommand::Forget { .. }
            | GateCommand::Admit { .. }
            | GateCommand::Ran { .. } => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effects;
    use crate::ids::{DiskId, Lsn};
    use crate::rng::Streams;
    use crate::stat::Counters;

    const TTL: Duration = Duration::from_secs(2);
    const DRIFT: u32 = 10_000;

    fn at(millis: u64) -> Instant {
        Instant::ZERO.after(Duration::from_millis(millis))
    }

    fn beat(gate: u64, boot: u64, draining: bool) -> SessionBeat {
        SessionBeat { disk: DiskId::new(gate), boot, seq: 5, draining }
    }

    fn hear(
        grants: &mut Grants,
        now: u64,
        ledger: &GateLedger,
        gate: u64,
        b: SessionBeat,
    ) -> Judged {
        let (mut out, mut stats) = (Effects::new(Lsn::new(0)), Counters::default());
        let mut streams = Streams::new(1, 1, 1);
        let mut cx = Cx::new(at(now), &mut streams, &mut out, &mut stats);
        grants.on_beat(&mut cx, ledger, NodeId::new(gate), &b)
    }

    /// Gates 1 and 2 with sessions 1 and 2.
    fn ledger() -> GateLedger {
        let mut ledger = GateLedger::default();
        for gate in [1, 2] {
            let (node, disk) = (NodeId::new(gate), DiskId::new(gate));
            ledger.apply(LogIndex::new(gate), &GateCommand::Enrol { gate: node, disk, boot: 1 });
        }
        ledger
    }

    fn expire(session: u64) -> GateCommand {
        GateCommand::Expire { session: LogIndex::new(session) }
    }

    #[test]
    fn a_session_ends_a_grantors_wait_after_the_last_answer_or_after_being_led() {
        let (mut grants, ledger) = (Grants::new(TTL, DRIFT), ledger());
        grants.on_led(at(0), &ledger);
        let Judged::Renewed(ack) = hear(&mut grants, 1_000, &ledger, 1, beat(1, 1, false)) else {
            panic!("renewed")
        };
        assert_eq!((ack.boot, ack.seq, ack.session, ack.ttl), (1, 5, LogIndex::new(1), TTL));
        let wait = grantor_wait(TTL, DRIFT);
        assert!(wait > TTL + TTL / 50);
        let before = Instant::from_nanos(Instant::ZERO.after(wait).as_nanos() - 1);
        assert_eq!(grants.on_wake(before), []);
        assert_eq!(grants.on_wake(Instant::ZERO.after(wait)), [expire(2)]);
        assert_eq!(grants.on_wake(at(1_000).after(wait)), [expire(2), expire(1)]);
    }

    #[test]
    fn a_session_whose_end_is_in_the_log_is_not_answered() {
        let (mut grants, mut ledger) = (Grants::new(TTL, DRIFT), ledger());
        grants.on_led(at(0), &ledger);
        assert_eq!(grants.on_wake(at(10_000)).len(), 2);
        grants.on_proposed(&expire(1));
        assert_eq!(hear(&mut grants, 10_001, &ledger, 1, beat(1, 1, false)), Judged::Nothing);
        assert!(matches!(
            hear(&mut grants, 10_001, &ledger, 2, beat(2, 1, false)),
            Judged::Renewed(_)
        ));
        ledger.apply(LogIndex::new(3), &expire(1));
        grants.on_committed(at(10_002), &ledger, &expire(1));
        assert!(matches!(
            hear(&mut grants, 10_003, &ledger, 1, beat(1, 1, false)),
            Judged::Enrol(_)
        ));
    }

    #[test]
    fn boots_and_disks_are_told_apart() {
        let (mut grants, ledger) = (Grants::new(TTL, DRIFT), ledger());
        grants.on_led(at(0), &ledger);
        assert_eq!(hear(&mut grants, 1, &ledger, 1, beat(1, 0, false)), Judged::Nothing);
        assert_eq!(hear(&mut grants, 1, &ledger, 1, beat(9, 2, false)), Judged::Nothing);
        let Judged::Enrol(command) = hear(&mut grants, 1, &ledger, 1, beat(1, 2, false)) else {
            panic!("a newer boot")
        };
        grants.on_proposed(&command);
        assert_eq!(hear(&mut grants, 2, &ledger, 1, beat(1, 2, false)), Judged::Nothing);
    }

    fn owner(gate: u64, session: u64) -> Owner {
        let fence = LogIndex::new(9);
        Owner { gate: NodeId::new(gate), session: LogIndex::new(session), fence }
    }

    #[test]
    fn the_heir_is_the_same_gate_else_the_one_with_the_fewest_jobs() {
        let (mut grants, mut ledger) = (Grants::new(TTL, DRIFT), ledger());
        let third = GateCommand::Enrol { gate: NodeId::new(3), disk: DiskId::new(3), boot: 1 };
        ledger.apply(LogIndex::new(3), &third);
        grants.on_led(at(0), &ledger);
        let load = BTreeMap::from([(NodeId::new(1), 2), (NodeId::new(2), 1)]);
        let heir = |grants: &Grants, owner| {
            grants.heir(&ledger, &owner, &load).map(|(gate, _)| gate.get())
        };
        assert_eq!(heir(&grants, owner(1, 1)), None, "its owner lives");
        assert_eq!(heir(&grants, owner(1, 0)), Some(1), "the same gate's newer session");
        assert_eq!(heir(&grants, owner(7, 0)), Some(3));
        hear(&mut grants, 1, &ledger, 3, beat(3, 1, true));
        assert_eq!(heir(&grants, owner(7, 0)), Some(2), "one that does not drain");
        assert_eq!(heir(&grants, owner(3, 3)), Some(2), "a draining gate's jobs move");
        hear(&mut grants, 1, &ledger, 1, beat(1, 1, true));
        hear(&mut grants, 1, &ledger, 2, beat(2, 1, true));
        assert_eq!(heir(&grants, owner(3, 3)), None, "nobody else is left");
        assert_eq!(heir(&grants, owner(7, 0)), Some(3), "better than nobody");
        grants.on_proposed(&expire(3));
        assert_eq!(heir(&grants, owner(7, 0)), Some(2));
    }
}
