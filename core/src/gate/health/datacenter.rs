//! One datacenter as this gate knows it, and how it is judged.
//!
//! What counts as an answer is a `Capacity` that echoes a probe: its age is that of the probe, so a
//! late answer does not make anybody look alive. The class is the worst of what the leader reported
//! (no workers: unhealthy; most of them leaving: degraded; no core free, or work waiting: busy),
//! what is heard of its managers (a minority: degraded) and reachability (suspected: degraded;
//! unreachable: unhealthy), damped. A silence that other datacenters share is held: degraded.

use std::time::Duration;

use crate::config::DatacenterConfig;
use crate::gate::models::{Reachability, Registration, Standing};
use crate::health::{Breaker, Circuit, Damper, HealthClass, HealthConfig, Latency, Moved};
use crate::ids::{NodeId, Term};
use crate::time::Instant;
use crate::wire::{Capacity, NotLeader};

use super::registration::Roll;
use super::wait;

/// So many round trips make a bound that a plan may rely on.
const RTT_SAMPLES_MIN: usize = 3;

/// A datacenter.
#[derive(Debug)]
pub(super) struct Datacenter {
    pub(super) config: DatacenterConfig,
    /// Who leads it, and the highest term that was named.
    pub(super) leader: Option<NodeId>,
    term: Term,
    pub(super) roll: Roll,
    /// When the newest answered probe was sent.
    answered: Option<Instant>,
    /// The newest report, when it arrived, and the number of its probe.
    report: Option<(Instant, Capacity)>,
    latency: Latency,
    damper: Damper,
    pub(super) is_held: bool,
    reach: Reachability,
    breakers: Vec<Breaker>,
    failed_at: Option<Instant>,
    /// Parts given to it since the newest report.
    given: u32,
}

impl Datacenter {
    pub(super) fn of(config: &DatacenterConfig) -> Self {
        let managers = config.managers.len();
        Self {
            config: config.clone(),
            leader: None,
            term: Term::new(0),
            roll: Roll::of(managers),
            answered: None,
            report: None,
            latency: Latency::default(),
            damper: Damper::default(),
            is_held: false,
            reach: Reachability::default(),
            breakers: vec![Breaker::default(); managers],
            failed_at: None,
            given: 0,
        }
    }

    pub(super) fn place_of(&self, manager: NodeId) -> Option<usize> {
        self.config.managers.iter().position(|node| *node == manager)
    }

    /// The leader answered the probe that was sent then. `false` if a newer leader is known.
    pub(super) fn on_capacity(
        &mut self,
        now: Instant,
        (from, sent): (NodeId, Instant),
        capacity: Capacity,
    ) -> bool {
        if capacity.term < self.term {
            return false;
        }
        self.term = capacity.term;
        if self.leader != Some(from) {
            // The round trip to another machine is another one.
            self.latency.clear();
        }
        self.leader = Some(from);
        self.latency.on_round_trip(now, now.since(sent));
        self.answered = self.answered.max(Some(sent));
        if self.report.as_ref().is_none_or(|(_, known)| known.probe != capacity.probe) {
            self.given = 0;
        }
        self.report = Some((now, capacity));
        true
    }

    pub(super) fn on_not_leader(&mut self, from: NodeId, said: NotLeader) {
        if said.term < self.term {
            return;
        }
        self.term = said.term;
        match said.leader.filter(|leader| self.config.managers.contains(leader)) {
            Some(leader) => self.leader = Some(leader),
            None => drop(self.leader.take_if(|leader| *leader == from)),
        }
    }

    /// A manager answered something that it was told. Whether that closed its circuit.
    pub(super) fn on_answer(&mut self, place: usize) -> bool {
        self.breakers.get_mut(place).is_some_and(Breaker::on_answer)
    }

    /// A manager did not answer an offer. Whether that opened its circuit.
    pub(super) fn on_unanswered(
        &mut self,
        now: Instant,
        place: usize,
        config: &HealthConfig,
    ) -> bool {
        self.breakers.get_mut(place).is_some_and(|breaker| breaker.on_failure(now, config))
    }

    /// A part goes there.
    pub(super) fn on_placed(&mut self, now: Instant, config: &HealthConfig) {
        self.given = self.given.saturating_add(1);
        if let Some(place) = self.leader.and_then(|leader| self.place_of(leader))
            && let Some(breaker) = self.breakers.get_mut(place)
        {
            breaker.on_trial(now, config);
        }
    }

    /// It did not take a part.
    pub(super) fn on_failed(&mut self, now: Instant) {
        self.failed_at = Some(now);
    }

    /// It took a part so long after it was asked.
    pub(super) fn on_took(&mut self, now: Instant, took: Duration) {
        self.latency.on_answer(now, took);
    }

    /// Whether it ever answered.
    pub(super) fn is_known(&self) -> bool {
        self.answered.is_some()
    }

    /// Whether it was ever well.
    pub(super) fn was_well(&self) -> bool {
        self.damper.was_well()
    }

    /// Since when it has been silent, if it is.
    pub(super) fn silent_since(&self, now: Instant, config: &HealthConfig) -> Option<Instant> {
        self.answered.filter(|sent| now.since(*sent) > config.suspect_after)
    }

    pub(super) fn reach(&self, now: Instant, config: &HealthConfig) -> Reachability {
        match self.answered.map(|sent| now.since(sent)) {
            Some(age) if age <= config.suspect_after => Reachability::Reachable,
            Some(age) if age <= config.unreachable_after => Reachability::Suspected,
            Some(_) | None => Reachability::Unreachable,
        }
    }

    /// Judges everything known at this instant; what changed.
    pub(super) fn judge(&mut self, now: Instant, config: &HealthConfig) -> Judged {
        let registration = self.roll.judge(now, config);
        let reach = self.reach(now, config);
        let reach = (reach != self.reach).then(|| std::mem::replace(&mut self.reach, reach));
        let evidence = self.evidence(now, config);
        let class = self.damper.judge(now, evidence, config);
        Judged { registration, reach, class }
    }

    /// The class of this instant, and whether a failure in it has lasted.
    fn evidence(&self, now: Instant, config: &HealthConfig) -> (HealthClass, bool) {
        match self.reach(now, config) {
            Reachability::Unreachable if self.is_held => (HealthClass::Degraded, true),
            Reachability::Unreachable => (HealthClass::Unhealthy, true),
            Reachability::Suspected => (HealthClass::Degraded, true),
            Reachability::Reachable => {
                let minority = self.roll.state() == Registration::Partial;
                let heard = if minority { HealthClass::Degraded } else { HealthClass::Healthy };
                (self.reported().max(heard), false)
            }
        }
    }

    fn reported(&self) -> HealthClass {
        let Some((_, capacity)) = &self.report else { return HealthClass::Unhealthy };
        let staying = capacity.workers.saturating_sub(capacity.leaving);
        if staying == 0 {
            HealthClass::Unhealthy
        } else if capacity.leaving > staying {
            HealthClass::Degraded
        } else if capacity.free == 0 || capacity.waiting > 0 {
            HealthClass::Busy
        } else {
            HealthClass::Healthy
        }
    }

    fn why(&self, now: Instant, config: &HealthConfig) -> String {
        let (heard, all) = self.roll.count(now, config.unreachable_after);
        let silent = self.answered.map(|sent| now.since(sent).as_secs());
        let waits = self.report.as_ref().map_or(0, |(_, capacity)| capacity.waiting);
        match (self.reach(now, config), self.reported(), silent) {
            (_, _, None) => "no answer yet".to_owned(),
            (Reachability::Unreachable | Reachability::Suspected, _, Some(s)) if self.is_held => {
                format!("silent for {s} s together with others: the network is blamed")
            }
            (Reachability::Unreachable | Reachability::Suspected, _, Some(s)) => {
                format!("silent for {s} s")
            }
            (_, HealthClass::Unhealthy, _) => "no worker that stays".to_owned(),
            _ if self.roll.state() == Registration::Partial => {
                format!("{heard} of {all} managers heard")
            }
            (_, HealthClass::Degraded, _) => "most workers leave".to_owned(),
            _ if self.damper.is_flapping() => "fails too often".to_owned(),
            (_, HealthClass::Busy, _) if waits > 0 => format!("{waits} wait for a core"),
            (_, HealthClass::Busy, _) => "every core is taken".to_owned(),
            _ if self.damper.class() != HealthClass::Healthy => "recovering".to_owned(),
            _ => "free cores".to_owned(),
        }
    }

    fn circuit(&self, now: Instant) -> Circuit {
        let leader = self.leader.and_then(|leader| self.breakers.get(self.place_of(leader)?));
        match leader {
            Some(breaker) => breaker.circuit(now),
            // Nobody leads: one that may be asked is enough.
            None => self.breakers.iter().map(|b| b.circuit(now)).min().unwrap_or_default(),
        }
    }

    /// How it stands.
    pub(super) fn standing(&self, now: Instant, config: &HealthConfig) -> Standing {
        let fresh = |at: Instant| now.since(at) <= config.stale_after;
        let open = self.breakers.iter().filter(|b| b.circuit(now) != Circuit::Closed).count();
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let report = self.report.as_ref();
        let capacity = report.map(|(_, capacity)| capacity.clone()).unwrap_or_default();
        let waiting = capacity.waiting.saturating_add(self.given);
        let sure = self.latency.samples() >= RTT_SAMPLES_MIN;
        let measured = self.latency.newest().is_some_and(fresh) && sure;
        let wait = report.filter(|(at, _)| fresh(*at)).map(|(at, capacity)| {
            wait::until_free(capacity, waiting).saturating_sub(now.since(*at))
        });
        Standing {
            name: self.config.name.clone(),
            class: self.damper.class(),
            why: self.why(now, config),
            registration: self.roll.state(),
            reachability: self.reach(now, config),
            silent: self.answered.map(|sent| now.since(sent)),
            is_held: self.is_held,
            is_flapping: self.damper.is_flapping(),
            circuit: self.circuit(now),
            circuits: (count(open), count(self.breakers.len())),
            is_draining: capacity.draining,
            is_cooling: self.failed_at.is_some_and(|at| now.since(at) < config.cool_down),
            leader: self.leader,
            rtt: self.latency.percentile(50).zip(self.latency.percentile(99)),
            rtt_bound: self.latency.bound().filter(|_| measured),
            expected: self.latency.expected(now),
            workers: capacity.workers,
            leaving: capacity.leaving,
            cores: capacity.cores,
            free: capacity.free,
            waiting,
            wait,
        }
    }
}

/// What changed in a judgement: what it was before.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) registration: Option<Registration>,
    pub(super) reach: Option<Reachability>,
    pub(super) class: Option<Moved>,
}
