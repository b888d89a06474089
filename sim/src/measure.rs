//! Figures of a calm cluster: what every node sends, and how long a lost leader or owner is missed.
//!
//! Inputs: a shape and a seed. Outputs: rates per kind of node, and spans of simulated time. The
//! machines, oracles and loads are those of every other case; nothing fails but what is killed
//! here, and a broken promise ends the measurement with an error. Nothing is judged.

mod members;
mod scale;

pub use members::{Suspicions, datagrams, detection, suspicions};
pub use scale::{Found, Limit, Size, judge, scale};

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::config::{GateConfig, LeaseConfig, ManagerConfig};
use hyperscale_core::ids::{Fence, JobId, NodeId};
use hyperscale_core::plan::{Executor, Plan};

use crate::case::{Case, host_of, node_id};
use crate::clock::Clock;
use crate::engine::Target;
use crate::layout::{Group, Layout};
use crate::network::Weather;
use crate::plans;
use crate::streams::{Stream, Streams};
use crate::world::{Sent, World};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Conditions are looked at so often.
const LOOK: u64 = MS / 10;
/// Nothing that is waited for may take longer.
const LIMIT: u64 = 60 * SECOND;
/// Traffic is counted for so long.
const WINDOW: u64 = 20 * SECOND;
/// Arrivals per second of the load.
const RATE: u64 = 1_000;
/// A group of one has nobody to take over: its process is started again after so long.
const SUPERVISED: u64 = SECOND;

/// The size of a cluster of one datacenter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Gates, and managers.
    pub voters: u16,
    /// Workers of one core each.
    pub workers: u16,
}

/// What nodes of one kind send.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Their kind.
    pub kind: &'static str,
    /// How many there are.
    pub nodes: usize,
    /// Messages per second and node.
    pub messages: f64,
    /// Bytes of frames per second and node.
    pub bytes: f64,
    /// Of the messages, datagrams between members.
    pub datagrams: f64,
}

/// Who is killed while load is issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Victim {
    /// The manager that leads.
    ManagerLeader,
    /// The gate that owns the job, while another one leads the gates.
    Owner,
    /// The gate that owns the job and leads the gates.
    OwnerLeader,
}

/// What one kill did. Spans in nanoseconds of simulated time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failover {
    /// From the kill until another member of the victim's group leads, an entry of its term
    /// committed; where the victim led.
    pub led: Option<u64>,
    /// From the kill until a new owner acts for the job: the datacenter has committed that it
    /// obeys a gate that lives, under a new fence; where the job's owner was killed.
    pub owned: Option<u64>,
    /// The longest time without an issue from the kill to the end of the load.
    pub gap: u64,
    /// The same in the same run without the kill.
    pub gap_undisturbed: u64,
}

impl Victim {
    /// All.
    pub const ALL: [Victim; 3] = [Victim::ManagerLeader, Victim::Owner, Victim::OwnerLeader];

    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Victim::ManagerLeader => "manager leader",
            Victim::Owner => "owner, not leading",
            Victim::OwnerLeader => "owner and leader",
        }
    }
}

/// Counts what is sent in 20 s, at rest or under an open-loop load of 1,000 arrivals per second.
///
/// # Errors
/// What went wrong, in words.
pub fn traffic(shape: Shape, is_loaded: bool) -> Result<Vec<Rate>, String> {
    let mut cluster = Measured::new(shape, 1)?;
    if is_loaded {
        let gate = cluster.leader(Group::GATES)?;
        cluster.submit(gate, WINDOW / SECOND + 3)?;
        cluster.until("load", |world| is_issuing(world).then_some(()))?;
        cluster.pass(SECOND)?;
    }
    cluster.world.count_traffic();
    cluster.pass(WINDOW)?;
    Ok(cluster.rates())
}

/// Kills once while load is issued, at an instant that the seed draws.
///
/// # Errors
/// What went wrong, in words.
pub fn failover(shape: Shape, victim: Victim, seed: u64) -> Result<Failover, String> {
    let disturbed = killing(shape, victim, seed, true)?;
    let undisturbed = killing(shape, victim, seed, false)?;
    Ok(Failover { gap_undisturbed: undisturbed.gap, ..disturbed })
}

fn killing(shape: Shape, victim: Victim, seed: u64, kills: bool) -> Result<Failover, String> {
    let mut cluster = Measured::new(shape, seed)?;
    let leader = cluster.leader(Group::GATES)?;
    let gate = match victim {
        Victim::Owner => cluster.layout.gates().find(|gate| *gate != leader).unwrap_or(leader),
        Victim::ManagerLeader | Victim::OwnerLeader => leader,
    };
    let job = cluster.submit(gate, 16)?;
    cluster.until("load", |world| is_issuing(world).then_some(()))?;
    let draw = Streams::new(seed).draw(Stream::Crash, 1 << 50, 0);
    cluster.pass(draw.within(2 * SECOND, 5 * SECOND))?;
    let at = cluster.world.now();
    let mut found = Failover::default();
    if kills {
        (found.led, found.owned) = cluster.lose(victim, gate, job)?;
    }
    let end = at + 9 * SECOND;
    // Engines are advanced in batches: what they issued by the end is known a little later.
    cluster.pass((end + SECOND).saturating_sub(cluster.world.now()))?;
    found.gap = cluster.longest_gap(at, end);
    Ok(found)
}

/// A calm cluster under measurement.
struct Measured {
    layout: Layout,
    world: World,
    calls: u64,
}

impl Measured {
    /// A cluster in which every group has a leader and every worker is known.
    fn new(shape: Shape, seed: u64) -> Result<Self, String> {
        let case = calm(shape, seed);
        let mut cluster = Self { layout: case.layout, world: World::measured(case), calls: 0 };
        cluster.leader(Group::GATES)?;
        cluster.leader(Group::of_datacenter(0))?;
        cluster.pass(3 * SECOND)?;
        Ok(cluster)
    }

    fn pass(&mut self, span: u64) -> Result<(), String> {
        let failed = self.world.run_until(self.world.now() + span).err();
        failed.map_or(Ok(()), |failure| {
            Err(format!("{}: {}", failure.violation.inv.id(), failure.violation.detail))
        })
    }

    /// Lets time pass until there is what is waited for.
    fn until<T>(&mut self, what: &str, is: impl Fn(&World) -> Option<T>) -> Result<T, String> {
        let limit = self.world.now() + LIMIT;
        while self.world.now() < limit {
            if let Some(found) = is(&self.world) {
                return Ok(found);
            }
            self.pass(LOOK)?;
        }
        Err(format!("{} s without {what}", LIMIT / SECOND))
    }

    fn leader(&mut self, group: Group) -> Result<u16, String> {
        let layout = self.layout;
        self.until("a leader", |world| leader(world, layout, group))
    }

    /// Submits a load of so many seconds to a gate.
    fn submit(&mut self, gate: u16, seconds: u64) -> Result<JobId, String> {
        for _ in 0..LIMIT / SECOND {
            self.calls += 1;
            let plan = Box::new(load(seconds));
            self.world.call(gate, self.calls, Command::Submit { key: "load".into(), plan });
            self.pass(SECOND)?;
            for (_, reply) in self.world.take_replies() {
                if let Reply::Submitted { job, .. } = reply {
                    return Ok(job);
                }
            }
        }
        Err("the gate takes no job".to_owned())
    }

    /// Kills the victim; gives how long a leader and an owner were missed.
    fn lose(
        &mut self,
        victim: Victim,
        gate: u16,
        job: JobId,
    ) -> Result<(Option<u64>, Option<u64>), String> {
        let (at, layout) = (self.world.now(), self.layout);
        let (group, host) = match victim {
            Victim::ManagerLeader => {
                let group = Group::of_datacenter(0);
                (group, self.leader(group)?)
            }
            Victim::Owner | Victim::OwnerLeader => (Group::GATES, gate),
        };
        let led = leads(&self.world, host);
        let (_, before) = obeyed(&self.world, layout, job).ok_or("the job has no part")?;
        self.world.kill(host);
        if layout.members(group).len() == 1 {
            self.pass(SUPERVISED)?;
            self.world.start(host);
        }
        let mut found = (None, None);
        if led {
            self.until("a successor", |world| leader(world, layout, group))?;
            found.0 = Some(self.world.now() - at);
        }
        if victim != Victim::ManagerLeader {
            let acts = |world: &World| {
                let (gate, fence) = obeyed(world, layout, job)?;
                let lives = world.host(host_of(gate)).node.is_some();
                (lives && fence.index > before.index).then_some(())
            };
            self.until("an owner that acts", acts)?;
            found.1 = Some(self.world.now() - at);
        }
        Ok(found)
    }

    /// The longest time without an issue that reaches into a span.
    fn longest_gap(&self, from: u64, until: u64) -> u64 {
        let arrivals = self.world.truth().arrivals.iter().flatten();
        let mut times: Vec<u64> = arrivals.map(|(at, ..)| *at).collect();
        times.push(self.world.now());
        times.sort_unstable();
        let gaps = times.windows(2).filter(|pair| pair[1] > from && pair[0] < until);
        gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    /// Nodes by what they do at present; kinds without one are left out.
    fn kinds(&self) -> Vec<(&'static str, Vec<u16>)> {
        let (layout, world) = (self.layout, &self.world);
        let led = |hosts: std::ops::Range<u16>, is: bool| {
            hosts.filter(|host| leads(world, *host) == is).collect::<Vec<u16>>()
        };
        let mut kinds = vec![
            ("gate, leads", led(layout.gates(), true)),
            ("gate, follows", led(layout.gates(), false)),
            ("manager, leads", led(layout.all_managers(), true)),
            ("manager, follows", led(layout.all_managers(), false)),
            ("worker", layout.all_workers().collect()),
        ];
        kinds.retain(|(_, hosts)| !hosts.is_empty());
        kinds
    }

    fn rates(&self) -> Vec<Rate> {
        let rate = |(kind, hosts): (&'static str, Vec<u16>)| {
            let mut all = Sent::default();
            for host in &hosts {
                let sent = self.world.traffic()[usize::from(*host)];
                all.messages += sent.messages;
                all.bytes += sent.bytes;
                all.datagrams.0 += sent.datagrams.0;
            }
            let each = |n: u64| n as f64 / (hosts.len() as f64 * WINDOW as f64 / SECOND as f64);
            let (messages, bytes) = (each(all.messages), each(all.bytes));
            Rate { kind, nodes: hosts.len(), messages, bytes, datagrams: each(all.datagrams.0) }
        };
        self.kinds().into_iter().map(rate).collect()
    }
}

/// An open loop with a VU at least for every worker, so that each gets a shard.
fn load(seconds: u64) -> Plan {
    let mut plan = plans::steady(RATE, seconds);
    for workflow in plan.workflows.iter_mut() {
        if let Executor::ConstantArrivalRate { max_vus, .. } = &mut workflow.executor {
            *max_vus = 2_000;
        }
    }
    plan
}

/// A case of one datacenter in which nothing fails by itself.
fn calm(shape: Shape, seed: u64) -> Case {
    calm_of(Layout::new(shape.voters, &[(shape.voters, shape.workers)]), 1, seed)
}

/// The same of any layout, with so many cores at each worker.
fn calm_of(layout: Layout, cores: u16, seed: u64) -> Case {
    let mut case = Case::reference(seed);
    case.layout = layout;
    case.classes = Vec::new();
    case.cores = vec![cores; layout.all_workers().len()];
    case.clients = 0;
    case.jobs = Vec::new();
    case.asides = Vec::new();
    case.faults = Vec::new();
    case.calm_from = u64::MAX;
    case.clocks = vec![Clock { offset: SECOND, drift_ppm: 0 }; usize::from(case.hosts())];
    case.lease = LeaseConfig::default();
    case.gate = GateConfig::new(node_id(0), Vec::new());
    case.manager = ManagerConfig::new(node_id(0), Layout::name(0));
    case.weather = Weather { delay_min: MS / 10, delay_max: MS / 2, ..Weather::default() };
    case.sync_ns = (MS / 2, 4 * MS);
    case.target = Target { fastest: 0, spread: 4, failing_ppm: 0, unprepared_ppm: 0, stall: None };
    case
}

fn is_issuing(world: &World) -> bool {
    world.truth().arrivals.as_ref().is_some_and(|arrivals| !arrivals.is_empty())
}

fn leads(world: &World, host: u16) -> bool {
    let node = world.host(host).node.as_ref();
    node.and_then(|node| node.group()).is_some_and(|group| group.leads)
}

/// Who leads a group; nobody, if more than one believes to.
fn leader(world: &World, layout: Layout, group: Group) -> Option<u16> {
    let mut leaders = layout.members(group).filter(|host| leads(world, *host));
    leaders.next().filter(|_| leaders.next().is_none())
}

/// The gate that the datacenter reports a job to, and the fence under which it does.
fn obeyed(world: &World, layout: Layout, job: JobId) -> Option<(NodeId, Fence)> {
    let host = leader(world, layout, Group::of_datacenter(0))?;
    let manager = world.host(host).node.as_ref()?.manager()?;
    manager.parts().find(|part| part.id.job == job).map(|part| (part.gate, part.fence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_adds_traffic_and_a_lost_manager_is_missed_until_it_is_back() {
        let shape = Shape { voters: 1, workers: 2 };
        let messages = |is_loaded| {
            let rates = traffic(shape, is_loaded).unwrap();
            let kinds: Vec<&str> = rates.iter().map(|rate| rate.kind).collect();
            assert_eq!(kinds, ["gate, leads", "manager, leads", "worker"]);
            rates.iter().map(|rate| rate.messages).sum::<f64>()
        };
        assert!(messages(true) > messages(false));
        let found = failover(shape, Victim::ManagerLeader, 1).unwrap();
        assert!(found.led.unwrap() > SUPERVISED && found.owned.is_none());
        assert!(found.gap >= found.gap_undisturbed && found.gap_undisturbed > 0);
    }
}
