//! Where gates place parts that any datacenter may take.
//!
//! A choice is judged by how every datacenter stood with the deciding gate at that instant, and by
//! which processes really lived; filter, bucket and hysteresis are worked out here again, from the
//! rules and not from the gate's code.

use std::collections::BTreeMap;

use hyperscale_core::gate::models::{Candidate, Reachability, Standing, Verdict, Why};
use hyperscale_core::gate::{GateCommand, Routed};
use hyperscale_core::health::{Circuit, HealthClass};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::plan::Placement;
use hyperscale_core::time::Instant;

use super::{Oracle, Seen, View, Wants, broken};
use crate::layout::Layout;

/// Whether a part may go there at all, as the gate knows it.
fn is_usable(standing: &Standing, routed: &Routed) -> bool {
    let near = match (routed.placement.max_rtt, standing.rtt_bound) {
        (Some(most), Some(bound)) => u128::from(bound) <= most.as_micros(),
        _ => true,
    };
    let lives = standing.reachability != Reachability::Unreachable;
    near && !routed.tried.contains(&standing.name)
        && (standing.is_held || lives && standing.registration.is_registered())
        && standing.class != HealthClass::Unhealthy
        && standing.circuit != Circuit::Open
        && !standing.is_draining
}

/// route-sane.
#[derive(Debug, Default)]
pub(super) struct RouteSane {
    /// Since when each process is down, true time.
    down: BTreeMap<u16, u64>,
    judged: u64,
}

impl Oracle for RouteSane {
    fn inv(&self) -> Inv {
        Inv::RouteSane
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED.and(Wants::LIVES).and(Wants::COMMITTED)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Crashed { host } => drop(self.down.insert(*host, view.now)),
            Seen::Booted { host, .. } => drop(self.down.remove(host)),
            Seen::Stepped { host } => {
                let Some(gate) = view.gate(*host) else { return Ok(()) };
                for routed in gate.routed() {
                    self.judged += u64::from(routed.standings.len() > 1);
                    self.judge(view, *host, routed)?;
                }
            }
            Seen::Committed { chosen, .. } => {
                if let Record::Gate(entry) = &chosen.record
                    && let Some(GateCommand::Place { datacenter, decision, .. }) = entry.command()
                    && decision.why != Why::Named
                {
                    return told(datacenter, &decision.candidates);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl RouteSane {
    fn judge(&self, view: &View<'_>, host: u16, routed: &Routed) -> Result<(), Violation> {
        let chosen = routed.standings.iter().find(|s| s.name == routed.chosen);
        let Some(chosen) = chosen.filter(|chosen| is_usable(chosen, routed)) else {
            return broken(self.inv(), format!("gate {host} chose {chosen:?} of {routed:?}"));
        };
        let passed = |s: &&Standing| s.class < chosen.class && is_usable(s, routed);
        if let Some(better) = routed.standings.iter().find(passed) {
            return broken(self.inv(), format!("gate {host} chose {chosen:?} past {better:?}"));
        }
        let dead = self.dead_for(view, &chosen.name).filter(|_| !chosen.is_held);
        let health = &view.case.gate.health;
        let seen_after = (health.unreachable_after + health.probe_every * 2).as_nanos() as u64;
        // A gate's clock may run at a fraction of true time.
        let slow = 1_000_000 - u64::from(view.case.worst_drift_ppm()).min(900_000);
        let most = u128::from(seen_after) * 1_000_000 / u128::from(slow);
        match dead.filter(|span| u128::from(*span) > most) {
            Some(span) => {
                let what = format!("gate {host} chose {chosen:?}, dead for {span} ns");
                broken(self.inv(), what)
            }
            None => Ok(()),
        }
    }

    /// How long no manager of a datacenter has lived.
    fn dead_for(&self, view: &View<'_>, name: &str) -> Option<u64> {
        let layout = view.case.layout;
        let datacenter = layout.datacenters().find(|dc| Layout::name(*dc) == name)?;
        let down = layout.managers(datacenter).map(|host| self.down.get(&host).copied());
        let last = down.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        Some(view.now - last)
    }
}

/// The committed reasons name the chosen one first and pass nothing better.
fn told(datacenter: &str, candidates: &[Candidate]) -> Result<(), Violation> {
    let could = |c: &&Candidate| !matches!(c.verdict, Verdict::Excluded(_));
    let honest = candidates.first().is_some_and(|first| {
        let best = candidates.iter().filter(could).map(|c| c.class).min();
        first.name == datacenter && first.verdict == Verdict::Chosen && best == Some(first.class)
    });
    if honest {
        return Ok(());
    }
    broken(Inv::RouteSane, format!("{datacenter} was chosen, the reasons are {candidates:?}"))
}

/// route-steady: follows every gate's choices from outside.
#[derive(Debug, Default)]
pub(super) struct RouteSteady {
    /// What each gate chose last, and when it came to that.
    last: BTreeMap<u16, (String, Instant)>,
    judged: u64,
}

impl Oracle for RouteSteady {
    fn inv(&self) -> Inv {
        Inv::RouteSteady
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED.and(Wants::LIVES)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Crashed { host } => drop(self.last.remove(host)),
            Seen::Stepped { host } => {
                let Some(gate) = view.gate(*host) else { return Ok(()) };
                let now = view.hosts[usize::from(*host)].local(view.now);
                for routed in gate.routed() {
                    self.judge(view, (*host, now), routed)?;
                    self.follow((*host, now), routed);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl RouteSteady {
    fn judge(
        &mut self,
        view: &View<'_>,
        (host, now): (u16, Instant),
        routed: &Routed,
    ) -> Result<(), Violation> {
        let Some((before, since)) = self.last.get(&host) else { return Ok(()) };
        let standing = |name: &str| routed.standings.iter().find(|s| s.name == name);
        let (Some(old), Some(new)) = (standing(before), standing(&routed.chosen)) else {
            return Ok(());
        };
        let rank = |s: &Standing| routed.placement.rank(&s.name);
        let alike = old.class == new.class && rank(old) == rank(new) && is_usable(old, routed);
        if !alike || routed.decision.why == Why::Spilled {
            return Ok(());
        }
        let usable = routed.standings.iter().filter(|s| is_usable(s, routed)).count();
        self.judged += u64::from(usable > 1);
        if old.name == new.name {
            return Ok(());
        }
        let scored = |name: &str| routed.decision.candidates.iter().find(|c| c.name == name);
        let score = |s: &Standing| scored(&s.name).map_or(0, |c| c.score);
        let held = now.since(*since) < view.case.gate.health.route_hold;
        if !held && score(new).saturating_mul(5) <= score(old).saturating_mul(4) {
            return Ok(());
        }
        let what = format!("gate {host} left {old:?} (since {since:?}) for {new:?} at {now:?}");
        broken(self.inv(), what)
    }

    fn follow(&mut self, (host, now): (u16, Instant), routed: &Routed) {
        let before = self.last.get(&host).map(|(name, _)| name);
        let barred = before.is_some_and(|name| routed.tried.contains(name));
        let plain = routed.placement == Placement::default();
        if before != Some(&routed.chosen) && !barred && plain {
            self.last.insert(host, (routed.chosen.clone(), now));
        }
    }
}

/// network-held.
#[derive(Debug, Default)]
pub(super) struct NetworkHeld {
    /// Since when each gate takes a datacenter for dead that it should not, on its own clock, and
    /// how often it had stood still by then.
    wrong: BTreeMap<u16, (Instant, u32)>,
    judged: u64,
}

impl Oracle for NetworkHeld {
    fn inv(&self) -> Inv {
        Inv::NetworkHeld
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED.and(Wants::LIVES)
    }
    fn is_wide(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Crashed { host } => drop(self.wrong.remove(host)),
            Seen::Stepped { host } if view.case.layout.datacenters().len() > 1 => {
                if let Some(gate) = view.gate(*host) {
                    let now = view.hosts[usize::from(*host)].local(view.now);
                    return self.judge(view, (*host, now), &gate.standings(now));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl NetworkHeld {
    fn judge(
        &mut self,
        view: &View<'_>,
        (host, now): (u16, Instant),
        standings: &[Standing],
    ) -> Result<(), Violation> {
        let health = &view.case.gate.health;
        let known: Vec<_> = standings.iter().filter(|s| s.silent.is_some()).collect();
        let age = |s: &Standing| s.silent.unwrap_or_default();
        let silent = |s: &&&Standing| age(s) > health.suspect_after;
        let shared = |s: &Standing| {
            let near = |o: &&&Standing| age(o).abs_diff(age(s)) <= health.correlated_within;
            known.iter().filter(silent).filter(near).count()
        };
        let hold = health.unreachable_after + health.correlated_hold;
        let is_held = |s: &&&Standing| {
            let with = shared(s);
            with >= 2 && 2 * with >= known.len() && age(s) < hold
        };
        let held: Vec<_> = known.iter().filter(silent).filter(is_held).collect();
        let gone = |s: &&&&Standing| age(s) > health.unreachable_after;
        self.judged += u64::from(held.iter().any(|s| gone(&s)));
        let Some(dead) = held.iter().find(|s| s.class == HealthClass::Unhealthy) else {
            self.wrong.remove(&host);
            return Ok(());
        };
        // It looks with every probe, unless it stands still.
        let pauses = view.hosts[usize::from(host)].pauses;
        let (since, before) = *self.wrong.entry(host).or_insert((now, pauses));
        if before != pauses {
            self.wrong.insert(host, (now, pauses));
            return Ok(());
        }
        if now.since(since) <= health.probe_every * 3 {
            return Ok(());
        }
        broken(self.inv(), format!("gate {host} takes {dead:?} for dead of {standings:?}"))
    }
}
