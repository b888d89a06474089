//! How a cluster grows: what nodes send and keep, and how soon a dead worker is noticed.
//!
//! Every core of every worker has one run, at every size, so that a worker has the same to do in a
//! small cluster and in a large one; the load is one arrival per second and core, because the
//! figures are about what the cluster says to itself.

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::membership::Standing;
use hyperscale_core::plan::{Datacenters, Executor, Plan, Site};
use hyperscale_core::wire::codec;

use super::{LIMIT, MS, Measured, Rate, SECOND, WINDOW, calm_of};
use crate::case::node_id;
use crate::engine::Target;
use crate::layout::{Group, Layout};
use crate::plans;
use crate::streams::{Stream, Streams};
use crate::world::World;

/// Gates, and managers of a datacenter.
const VOTERS: u16 = 5;
/// Jobs of a datacenter.
const JOBS: u16 = 10;
/// Cores of a worker: the fewest workers that a datacenter has can run all of its jobs.
const CORES: u16 = 2;
/// Longer than everything that is measured, seconds.
const LOAD: u64 = 600;
/// Tables of members are complete by then.
const SETTLED: u64 = 900 * SECOND;
/// A size is never as exact as its load: what grows by less does not grow.
const SLACK: f64 = 1.10;

/// The size of a cluster of 5 gates, datacenters of 5 managers, and 10 jobs in each datacenter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Datacenters.
    pub datacenters: u16,
    /// Workers of each, of two cores; a multiple of 5.
    pub workers: u16,
}

impl Size {
    /// Workers in all.
    pub const fn workers_all(self) -> u16 {
        self.datacenters * self.workers
    }

    /// Jobs in all.
    pub const fn jobs(self) -> u16 {
        self.datacenters * JOBS
    }
}

/// What one size needs.
#[derive(Clone, Debug)]
pub struct Found {
    /// The size.
    pub size: Size,
    /// What nodes send at rest.
    pub rest: Vec<Rate>,
    /// What they send under the jobs.
    pub load: Vec<Rate>,
    /// Under the jobs: bytes of the encoded ledger of a node, the mean of its kind.
    pub ledger: Vec<(&'static str, f64)>,
    /// Members that a node knows, the mean of its kind.
    pub members: Vec<(&'static str, f64)>,
    /// When every member had reached every other, nanoseconds from the start.
    pub settled: u64,
    /// From the death of a worker until its leading manager takes it for dead, nanoseconds, one
    /// worker per datacenter, in order.
    pub noticed: Vec<u64>,
    /// Simulated nanoseconds in all.
    pub simulated: u64,
}

/// Measures one size.
///
/// # Errors
/// What went wrong, in words.
pub fn scale(size: Size, seed: u64) -> Result<Found, String> {
    let mut cluster = start(size, seed)?;
    let settled = settle(&mut cluster)?;
    cluster.world.count_traffic();
    cluster.pass(WINDOW)?;
    let rest = cluster.rates();
    submit(&mut cluster, size)?;
    cluster.world.count_traffic();
    cluster.pass(WINDOW)?;
    let load = cluster.rates();
    let ledger = mean(&cluster, |world, host| {
        let node = world.host(host).node.as_ref();
        let gate = node.and_then(|node| node.gate()).map(|gate| codec::length(gate.ledger()));
        let manager = node.and_then(|node| node.manager());
        gate.or(manager.map(|manager| codec::length(manager.ledger()))).unwrap_or(0)
    });
    let members = mean(&cluster, |world, host| {
        world.host(host).node.as_ref().map_or(0, |node| node.membership().members().count())
    });
    let noticed = kill_one_each(&mut cluster, seed)?;
    let simulated = cluster.world.now();
    Ok(Found { size, rest, load, ledger, members, settled, noticed, simulated })
}

fn start(size: Size, seed: u64) -> Result<Measured, String> {
    let datacenters = vec![(VOTERS, size.workers); usize::from(size.datacenters)];
    let mut case = calm_of(Layout::new(VOTERS, &datacenters), CORES, seed);
    case.gate.admission.jobs_running_max = u32::from(size.jobs());
    case.gate.admission.submissions = 0;
    case.target = Target { spread: 0, ..case.target };
    let mut cluster = Measured { layout: case.layout, world: World::measured(case), calls: 0 };
    let layout = cluster.layout;
    await_all(&mut cluster, "leaders", LIMIT, |world| {
        layout.groups().all(|group| super::leader(world, layout, group).is_some())
    })?;
    Ok(cluster)
}

/// Lets time pass until every member has reached every other; when that was.
fn settle(cluster: &mut Measured) -> Result<u64, String> {
    let layout = cluster.layout;
    let knows = move |world: &World, host: u16| {
        let others = match layout.datacenter_of(host) {
            None => layout.gates().len(),
            Some(place) => layout.managers(place).len() + layout.workers(place).len(),
        };
        let node = world.host(host).node.as_ref();
        node.is_some_and(|node| node.membership().count(Standing::Alive) + 1 == others)
    };
    await_all(cluster, "complete tables", SETTLED, |world| {
        (0..layout.hosts()).all(|host| knows(world, host))
    })?;
    let settled = cluster.world.now();
    // What was said last goes around.
    cluster.pass(10 * SECOND)?;
    Ok(settled)
}

fn await_all(
    cluster: &mut Measured,
    what: &str,
    limit: u64,
    is: impl Fn(&World) -> bool,
) -> Result<(), String> {
    let end = cluster.world.now() + limit;
    while !is(&cluster.world) {
        if cluster.world.now() >= end {
            return Err(format!("{} s without {what}", limit / SECOND));
        }
        cluster.pass(SECOND / 2)?;
    }
    Ok(())
}

/// Submits every job, and waits until every core has a run.
fn submit(cluster: &mut Measured, size: Size) -> Result<(), String> {
    let layout = cluster.layout;
    let mut taken = 0;
    for job in 0..size.jobs() {
        let plan = Box::new(load(job % size.datacenters, size.workers * CORES / JOBS));
        let key = format!("job-{job}");
        cluster.world.call(job % VOTERS, u64::from(job), Command::Submit { key, plan });
        cluster.pass(SECOND / 20)?;
    }
    cluster.pass(2 * SECOND)?;
    for (_, reply) in cluster.world.take_replies() {
        match reply {
            Reply::Submitted { .. } => taken += 1,
            other => return Err(format!("a gate takes no job: {other:?}")),
        }
    }
    if taken != size.jobs() {
        return Err(format!("{taken} of {} jobs were taken", size.jobs()));
    }
    await_all(cluster, "a run on every core", LIMIT, |world| {
        layout.all_workers().all(|host| {
            let worker = world.host(host).node.as_ref().and_then(|node| node.worker());
            worker.is_some_and(|worker| worker.cores_free() == 0)
        })
    })?;
    cluster.pass(5 * SECOND)
}

/// One arrival per second on each of so many cores of a datacenter.
fn load(datacenter: u16, cores: u16) -> Plan {
    let mut plan = plans::steady(u64::from(cores), LOAD);
    for workflow in plan.workflows.iter_mut() {
        if let Executor::ConstantArrivalRate { max_vus, .. } = &mut workflow.executor {
            *max_vus = u32::from(cores);
        }
    }
    let site = Site { name: Layout::name(datacenter), weight: 1 };
    plan.datacenters = Datacenters::Named(BoundedVec::try_from(vec![site]).unwrap_or_default());
    plan
}

/// Kills a worker of every datacenter; how soon the leading managers notice.
fn kill_one_each(cluster: &mut Measured, seed: u64) -> Result<Vec<u64>, String> {
    let layout = cluster.layout;
    let at = cluster.world.now();
    let mut missing = Vec::new();
    for datacenter in layout.datacenters() {
        let leader = super::leader(&cluster.world, layout, Group::of_datacenter(datacenter));
        let leader = leader.ok_or_else(|| format!("{datacenter} has no leader"))?;
        let workers = layout.workers(datacenter);
        let draw = Streams::new(seed).draw(Stream::Client, 1 << 42, u64::from(datacenter));
        let victim = workers.start + draw.below(workers.len() as u64) as u16;
        cluster.world.kill(victim);
        missing.push((leader, victim));
    }
    let mut noticed = Vec::new();
    while !missing.is_empty() {
        cluster.pass(5 * MS)?;
        let now = cluster.world.now();
        if now > at + LIMIT {
            return Err("a death goes unnoticed".to_owned());
        }
        missing.retain(|(leader, victim)| {
            let manager = cluster.world.host(*leader).node.as_ref();
            let standing = manager.and_then(|node| node.membership().standing(node_id(*victim)));
            let is_dead = standing == Some(Standing::Dead);
            noticed.extend(is_dead.then_some(now - at));
            !is_dead
        });
    }
    Ok(noticed)
}

fn mean(cluster: &Measured, of: impl Fn(&World, u16) -> usize) -> Vec<(&'static str, f64)> {
    let kind = |(kind, hosts): (&'static str, Vec<u16>)| {
        let sum: usize = hosts.iter().map(|host| of(&cluster.world, *host)).sum();
        (kind, sum as f64 / hosts.len() as f64)
    };
    cluster.kinds().into_iter().map(kind).collect()
}

/// One figure of one kind of node at two sizes, and whether it grew by more than it may.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Which kind.
    pub kind: &'static str,
    /// Which figure.
    pub what: &'static str,
    /// What it was and what it became.
    pub grew: (f64, f64),
    /// The factor that it may grow by.
    pub most: f64,
}

impl Limit {
    /// The factor by which it grew; 1 if there was nothing and is nothing.
    pub fn factor(&self) -> f64 {
        let (from, to) = self.grew;
        if from > 0.0 { to / from } else { 1.0 + to }
    }

    /// Whether it keeps its limit. What a worker sends must not shrink either.
    pub fn is_kept(&self) -> bool {
        let is_constant = self.kind != "worker" || self.factor() >= 2.0 - SLACK;
        is_constant && self.factor() <= self.most
    }
}

/// Judges growth: per worker constant, per manager at most linear in its own workers, per gate at
/// most linear in datacenters and jobs.
pub fn judge(small: &Found, large: &Found) -> Vec<Limit> {
    let ratio = |of: fn(Size) -> u16| f64::from(of(large.size)) / f64::from(of(small.size));
    let managed = ratio(|size| size.workers);
    let gated = ratio(|size| size.datacenters + size.jobs());
    let most = |kind: &str| match kind {
        "worker" => SLACK,
        "manager, leads" | "manager, follows" => managed.max(1.0) * SLACK,
        _ => gated.max(1.0) * SLACK,
    };
    let mut limits = Vec::new();
    let mut compare = |kind, what, from, to| {
        limits.push(Limit { kind, what, grew: (from, to), most: most(kind) });
    };
    let pairs = [("rest", &small.rest, &large.rest), ("load", &small.load, &large.load)];
    for (when, from, to) in pairs {
        for (from, to) in from.iter().zip(to) {
            let names = match when {
                "rest" => ["rest, messages/s", "rest, bytes/s", "rest, datagrams/s"],
                _ => ["load, messages/s", "load, bytes/s", "load, datagrams/s"],
            };
            compare(to.kind, names[0], from.messages, to.messages);
            compare(to.kind, names[1], from.bytes, to.bytes);
            compare(to.kind, names[2], from.datagrams, to.datagrams);
        }
    }
    for ((kind, from), (_, to)) in small.ledger.iter().zip(&large.ledger) {
        if *kind != "worker" {
            compare(kind, "ledger, bytes", *from, *to);
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_cluster_is_measured_and_growth_is_judged() {
        let size = Size { datacenters: 2, workers: 5 };
        let found = scale(size, 1).unwrap();
        let kinds: Vec<&str> = found.load.iter().map(|rate| rate.kind).collect();
        assert_eq!(kinds.len(), 5, "{kinds:?}");
        assert_eq!(found.noticed.len(), 2);
        assert!(found.ledger[0].1 > 1_000.0 && found.members[4].1 > 8.0);
        assert!(judge(&found, &found).iter().all(Limit::is_kept));
        let mut louder = found.clone();
        louder.load[4].bytes *= 1.2;
        let broken: Vec<Limit> =
            judge(&found, &louder).into_iter().filter(|limit| !limit.is_kept()).collect();
        assert_eq!(broken.len(), 1);
        assert_eq!((broken[0].kind, broken[0].what), ("worker", "load, bytes/s"));
    }
}
