//! What the gate knows of its datacenters: who leads them, whether they are reachable and well, and
//! how far away they are.
//!
//! Inputs: wakes (every manager is probed once a second, faster while the gate is young and a
//! datacenter was not well yet), `Capacity` and `NotLeader` from known managers, what became of
//! offers. Outputs: probes; the `Standing` of every datacenter; alerts, once per transition, as a
//! counter and a trace. Whoever gives the capacity leads, who gives the other says who does. Every
//! other message goes to the manager that leads, those between to each in turn, because what is
//! known may be old.
//! Invariants: route-sane (what it says of a datacenter), network-held. Does not do: choose
//! (`routing`).

mod datacenter;
mod registration;
mod wait;

use std::collections::VecDeque;
use std::time::Duration;

use crate::api::Refusal;
use crate::config::DatacenterConfig;
use crate::health::{HealthClass, HealthConfig, correlated};
use crate::ids::{BootId, NodeId};
use crate::machine::{Cx, Wake};
use crate::plan::{Datacenters, PathPart, Placement, Plan, PlanError};
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::{Capacity, NotLeader, Probe};

use super::models::{Reachability, Registration, Standing};
use datacenter::{Datacenter, Judged};

/// Rounds of probes whose answers are recognised.
const ROUNDS_MAX: usize = 64;
/// A gate is young for so long.
const YOUTH: Duration = Duration::from_secs(10);
/// While it is, and a datacenter was not well yet, it probes so much more often.
const HASTE: u32 = 10;

/// The datacenters of a gate.
#[derive(Debug)]
pub(super) struct Health {
    config: HealthConfig,
    /// When this boot first probed.
    began: Option<Instant>,
    probe_at: Instant,
    number: u64,
    /// Probes by number, with their send.
    rounds: VecDeque<(u64, Instant)>,
    datacenters: Vec<Datacenter>,
    is_held: bool,
}

impl Health {
    pub(super) fn new(
        datacenters: &[DatacenterConfig],
        config: HealthConfig,
        boot: BootId,
    ) -> Self {
        Self {
            config,
            began: None,
            probe_at: Instant::ZERO,
            // Answers to an earlier boot carry other numbers.
            number: boot.get(),
            rounds: VecDeque::new(),
            datacenters: datacenters.iter().map(Datacenter::of).collect(),
            is_held: false,
        }
    }

    /// Asks every manager what it has, once a second.
    pub(super) fn on_wake(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        if now < self.probe_at {
            return;
        }
        let began = *self.began.get_or_insert(now);
        self.judge(cx);
        let ignorant = self.datacenters.iter().any(|dc| !dc.was_well());
        let every = self.config.probe_every;
        let hasty = ignorant && now.since(began) < YOUTH;
        self.probe_at = now.after(if hasty { every / HASTE } else { every });
        self.number = self.number.wrapping_add(1);
        if self.rounds.len() >= ROUNDS_MAX {
            self.rounds.pop_front();
        }
        self.rounds.push_back((self.number, now));
        for manager in self.datacenters.iter().flat_map(|dc| &dc.config.managers) {
            cx.out.send_volatile(*manager, Probe { number: self.number });
        }
    }

    /// When the managers are asked next.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        Some(Wake { at: self.probe_at, why: "probe managers" })
    }

    /// The datacenter that a manager belongs to.
    pub(super) fn home(&self, manager: NodeId) -> Option<&str> {
        let home = self.datacenters.iter().find(|dc| dc.config.managers.contains(&manager))?;
        Some(&home.config.name)
    }

    /// The manager that the `attempt`-th message to a datacenter goes to.
    pub(super) fn manager(&self, datacenter: &str, attempt: u32) -> Option<NodeId> {
        let dc = self.datacenters.iter().find(|dc| dc.config.name == datacenter)?;
        if let Some(leader) = dc.leader.filter(|_| attempt.is_multiple_of(2)) {
            return Some(leader);
        }
        let attempt = if dc.leader.is_some() { attempt / 2 } else { attempt };
        let ring = u32::try_from(dc.config.managers.len()).ok()?;
        dc.config.managers.get(usize::try_from(attempt.checked_rem(ring)?).ok()?).copied()
    }

    /// A manager said what its datacenter has. An answer to no recent probe changes nothing.
    pub(super) fn on_capacity(&mut self, cx: &mut Cx<'_>, from: NodeId, capacity: Capacity) {
        let now = cx.now();
        let sent = self.rounds.iter().find(|(number, _)| *number == capacity.probe);
        let sent = sent.map(|(_, sent)| *sent);
        let Some((dc, place)) = self.find(from) else { return cx.count(Stat::MessageForeign) };
        let Some(sent) = sent else { return cx.count(Stat::MessageStale) };
        dc.roll.on_heard(now, place);
        if !dc.on_capacity(now, (from, sent), capacity) {
            return cx.count(Stat::MessageStale);
        }
        cx.count(Stat::ProbeAnswered);
        self.judge(cx);
    }

    /// A manager said that another leads.
    pub(super) fn on_not_leader(&mut self, cx: &mut Cx<'_>, from: NodeId, said: NotLeader) {
        let Some((dc, place)) = self.find(from) else { return cx.count(Stat::MessageForeign) };
        dc.roll.on_heard(cx.now(), place);
        dc.on_not_leader(from, said);
        if dc.on_answer(place) {
            cx.count(Stat::CircuitClosed);
        }
    }

    /// A manager reported about a part.
    pub(super) fn on_answer(&mut self, cx: &mut Cx<'_>, from: NodeId) {
        let closed = self.find(from).is_some_and(|(dc, place)| dc.on_answer(place));
        if closed {
            cx.count(Stat::CircuitClosed);
            tracing::info!(manager = %from, "answers again: circuit closed");
        }
    }

    /// An offer is sent again: whoever had it did not answer.
    pub(super) fn on_unanswered(&mut self, cx: &mut Cx<'_>, manager: NodeId) {
        let (now, config) = (cx.now(), self.config);
        let found = self.find(manager);
        if found.is_some_and(|(dc, place)| dc.on_unanswered(now, place, &config)) {
            cx.count(Stat::CircuitOpened);
            tracing::warn!(%manager, "does not answer offers: circuit open");
        }
    }

    /// A part goes to a datacenter.
    pub(super) fn on_placed(&mut self, now: Instant, datacenter: &str) {
        let config = self.config;
        if let Some(dc) = self.named(datacenter) {
            dc.on_placed(now, &config);
        }
    }

    /// A datacenter did not take a part.
    pub(super) fn on_failed(&mut self, now: Instant, datacenter: &str) {
        if let Some(dc) = self.named(datacenter) {
            dc.on_failed(now);
        }
    }

    /// A datacenter took a part.
    pub(super) fn on_took(&mut self, now: Instant, datacenter: &str, took: Duration) {
        if let Some(dc) = self.named(datacenter) {
            dc.on_took(now, took);
        }
    }

    /// What a plan asks for that this gate does not know.
    pub(super) fn unknown(&self, plan: &Plan) -> Option<Refusal> {
        let error = self.unknown_site(&plan.datacenters);
        let error = error.or_else(|| self.unknown_preference(&plan.placement));
        error.map(|error| Refusal::PlanInvalid(error.to_string()))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.datacenters.iter().map(|dc| dc.config.name.as_str())
    }

    fn unknown_site(&self, wanted: &Datacenters) -> Option<PlanError> {
        let key = || PathPart::Key("datacenters".into());
        match wanted {
            Datacenters::Any(count) => {
                let known = self.datacenters.len();
                let few = usize::from(*count) > known;
                let message = format!("{count} are asked for, the cluster has {known}");
                few.then_some(PlanError { path: vec![key()], message, hint: None })
            }
            Datacenters::Named(sites) => {
                let mut sites = sites.iter().map(|site| site.name.as_str());
                let unknown = sites.find(|site| !self.names().any(|name| name == *site))?;
                let path = vec![key(), PathPart::Key(unknown.into())];
                Some(self.nameless(path, unknown))
            }
        }
    }

    fn unknown_preference(&self, placement: &Placement) -> Option<PlanError> {
        let mut names = placement.prefer.iter().enumerate();
        let (ix, unknown) = names.find(|(_, wanted)| !self.names().any(|name| name == *wanted))?;
        let path = ["placement", "prefer"].map(|key| PathPart::Key(key.into())).into_iter();
        let path = path.chain([PathPart::Index(ix)]).collect();
        Some(self.nameless(path, unknown))
    }

    fn nameless(&self, path: Vec<PathPart>, unknown: &str) -> PlanError {
        let message = format!("unknown datacenter `{unknown}`");
        PlanError { path, message, hint: None }.with_nearest(unknown, self.names())
    }

    /// How every datacenter stands, in the order of the configuration.
    pub(super) fn standings(&self, now: Instant) -> Vec<Standing> {
        self.datacenters.iter().map(|dc| dc.standing(now, &self.config)).collect()
    }

    /// Whether the gate is too young to know where a part could go.
    pub(super) fn is_initialising(&self, now: Instant) -> bool {
        let young = self.began.is_none_or(|at| now.since(at) < self.config.initialising_for);
        let unseen = |dc: &Datacenter| dc.reach(now, &self.config) == Reachability::Unreachable;
        let waits = |dc: &Datacenter| match dc.roll.state() {
            Registration::Awaiting | Registration::Initialising => true,
            Registration::Ready | Registration::Partial => !dc.is_known(),
            Registration::Unavailable => false,
        };
        young
            && self.datacenters.iter().any(waits)
            && self.datacenters.iter().all(|dc| waits(dc) || unseen(dc))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.datacenters.is_empty()
    }

    fn named(&mut self, name: &str) -> Option<&mut Datacenter> {
        self.datacenters.iter_mut().find(|dc| dc.config.name == name)
    }

    fn find(&mut self, manager: NodeId) -> Option<(&mut Datacenter, usize)> {
        self.datacenters.iter_mut().find_map(|dc| dc.place_of(manager).map(|place| (dc, place)))
    }

    /// Judges every datacenter by what is known at this instant, and says what changed.
    fn judge(&mut self, cx: &mut Cx<'_>) {
        let (now, config) = (cx.now(), self.config);
        let known = |dc: &&mut Datacenter| dc.is_known();
        let mut known: Vec<_> = self.datacenters.iter_mut().filter(known).collect();
        let silent: Vec<_> = known.iter().map(|dc| dc.silent_since(now, &config)).collect();
        for (ix, dc) in known.iter_mut().enumerate() {
            dc.is_held = correlated(now, &silent, ix, &config);
        }
        let held = self.datacenters.iter().any(|dc| dc.is_held);
        if held && !self.is_held {
            cx.count(Stat::NetworkBlamed);
            tracing::warn!("several datacenters fell silent together: the network is blamed");
        } else if self.is_held && !held {
            tracing::info!("the network is not blamed any more");
        }
        self.is_held = held;
        for dc in &mut self.datacenters {
            let judged = dc.judge(now, &config);
            alert(cx, dc, &judged, &config);
        }
    }
}

/// Every transition is told once.
fn alert(cx: &mut Cx<'_>, dc: &Datacenter, judged: &Judged, config: &HealthConfig) {
    let Judged { registration, reach, class } = judged;
    if registration.is_none() && reach.is_none() && class.is_none() {
        return;
    }
    let standing = dc.standing(cx.now(), config);
    let name = &standing.name;
    if let Some(before) = registration {
        cx.count(Stat::RegistrationMoved);
        let (before, now) = (before.name(), standing.registration.name());
        tracing::info!(datacenter = %name, before, now, "registration");
    }
    if reach.is_some() {
        cx.count(match standing.reachability {
            Reachability::Reachable => Stat::DatacenterReached,
            Reachability::Suspected => Stat::DatacenterSuspected,
            Reachability::Unreachable => Stat::DatacenterUnreachable,
        });
    }
    let Some(moved) = class else { return };
    if moved.flaps {
        cx.count(Stat::DatacenterFlaps);
        tracing::warn!(datacenter = %name, "fails too often and is held back");
    }
    let (before, now, why) = (moved.from.name(), moved.to.name(), standing.why.as_str());
    if moved.to > moved.from && moved.to.is_failure() {
        cx.count(Stat::DatacenterFailed);
        tracing::warn!(datacenter = %name, before, now, why, "health");
    } else if moved.to != moved.from {
        let well = moved.to == HealthClass::Healthy;
        cx.count(if well { Stat::DatacenterWell } else { Stat::DatacenterMoved });
        tracing::info!(datacenter = %name, before, now, why, "health");
    }
}
