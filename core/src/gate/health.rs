//! What the gate knows of its datacenters from their managers' `Capacity`, and which one is offered
//! a part.
//!
//! Inputs: wakes (every manager is probed once a second), `Capacity` and `NotLeader` from known
//! managers: who gives the one leads, who gives the other says who does. Decides: every other
//! message goes to the manager that leads, those between to each in turn, because what is known may
//! be old. A part goes to the first datacenter, in the order of the configuration, that is reachable
//! and has a free core, else one that is reachable, else any; never one that was tried.
//! Does not do: scores, hysteresis, breakers.

use std::time::Duration;

use crate::api::{DatacenterView, Refusal};
use crate::config::DatacenterConfig;
use crate::ids::{NodeId, Term};
use crate::machine::{Cx, Wake};
use crate::plan::{Datacenters, PathPart, PlanError};
use crate::time::Instant;
use crate::wire::{Capacity, NotLeader, Probe};

/// How often every manager is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Three answers missed make a datacenter unreachable.
const SILENCE: Duration = Duration::from_secs(3);

/// The datacenters of a gate.
#[derive(Debug)]
pub(super) struct Health {
    probe_at: Instant,
    datacenters: Vec<Datacenter>,
}

#[derive(Debug)]
struct Datacenter {
    config: DatacenterConfig,
    last: Option<(Instant, Capacity)>,
    /// Who leads it, and the highest term that was named.
    leader: Option<NodeId>,
    term: Term,
}

impl Health {
    pub(super) fn new(datacenters: &[DatacenterConfig]) -> Self {
        let fresh = |config: &DatacenterConfig| Datacenter {
            config: config.clone(),
            last: None,
            leader: None,
            term: Term::new(0),
        };
        Self { probe_at: Instant::ZERO, datacenters: datacenters.iter().map(fresh).collect() }
    }

    /// Asks every manager what it has, once a second.
    pub(super) fn on_wake(&mut self, cx: &mut Cx<'_>) {
        if cx.now() < self.probe_at {
            return;
        }
        self.probe_at = cx.now().after(PROBE_EVERY);
        for manager in self.datacenters.iter().flat_map(|dc| &dc.config.managers) {
            cx.out.send_volatile(*manager, Probe {});
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

    /// A manager said what its datacenter has. `false` if nobody knows it.
    pub(super) fn on_capacity(&mut self, now: Instant, from: NodeId, capacity: Capacity) -> bool {
        let home = self.datacenters.iter_mut().find(|dc| dc.config.managers.contains(&from));
        let known = home.is_some();
        if let Some(dc) = home {
            dc.last = Some((now, capacity));
            dc.leader = Some(from);
        }
        known
    }

    /// A manager said that another leads. `false` if nobody knows it.
    pub(super) fn on_not_leader(&mut self, from: NodeId, said: NotLeader) -> bool {
        let home = self.datacenters.iter_mut().find(|dc| dc.config.managers.contains(&from));
        let known = home.is_some();
        if let Some(dc) = home.filter(|dc| said.term >= dc.term) {
            dc.term = said.term;
            match said.leader.filter(|leader| dc.config.managers.contains(leader)) {
                Some(leader) => dc.leader = Some(leader),
                None => drop(dc.leader.take_if(|leader| *leader == from)),
            }
        }
        known
    }

    /// What a plan asks for that this gate does not know.
    pub(super) fn unknown(&self, wanted: &Datacenters) -> Option<Refusal> {
        let names = || self.datacenters.iter().map(|dc| dc.config.name.as_str());
        let refused = |place: &str, message: String| {
            let path = vec![PathPart::Key("datacenters".into()), PathPart::Key(place.into())];
            PlanError { path, message, hint: None }
        };
        let error = match wanted {
            Datacenters::Any(count) => {
                let known = self.datacenters.len();
                let few = usize::from(*count) > known;
                let message = format!("{count} are asked for, the cluster has {known}");
                let path = vec![PathPart::Key("datacenters".into())];
                few.then_some(PlanError { path, message, hint: None })
            }
            Datacenters::Named(sites) => {
                let unknown = sites.iter().find(|site| !names().any(|name| name == site.name));
                unknown.map(|site| {
                    let message = format!("unknown datacenter `{}`", site.name);
                    refused(&site.name, message).with_nearest(&site.name, names())
                })
            }
        };
        error.map(|error| Refusal::PlanInvalid(error.to_string()))
    }

    /// Where a part goes next.
    pub(super) fn choose(&self, now: Instant, tried: &[&str]) -> Option<&str> {
        let left = |dc: &&Datacenter| !tried.contains(&dc.config.name.as_str());
        let best = |dc: &&Datacenter| {
            let view = dc.view(now);
            u8::from(view.reachable).saturating_add(u8::from(view.reachable && view.free > 0))
        };
        // `max_by_key` gives the last of equals: reversed, the first of the configuration.
        let chosen = self.datacenters.iter().filter(left).rev().max_by_key(best)?;
        Some(&chosen.config.name)
    }

    /// Every datacenter, in the order of the configuration.
    pub(super) fn view(&self, now: Instant) -> Vec<DatacenterView> {
        self.datacenters.iter().map(|dc| dc.view(now)).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.datacenters.is_empty()
    }
}

impl Datacenter {
    fn view(&self, now: Instant) -> DatacenterView {
        let name = self.config.name.clone();
        let Some((at, capacity)) = self.last else {
            return DatacenterView { name, ..DatacenterView::default() };
        };
        let reachable = now.since(at) <= SILENCE;
        let Capacity { workers, cores, free } = capacity;
        DatacenterView { name, reachable, workers, cores, free, leader: self.leader }
    }
}
