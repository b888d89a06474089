//! Managers die, stand still, are cut off from each other, and lose their disks.

use std::time::Duration;

use super::{
    Cluster, Found, Group, Load, Node, ended, ensure, exact, gap, judge, running, submitted, until,
};

const LOAD: Load = Load { rate: 200, seconds: 10, datacenters: 0 };
const LIMIT: Duration = Duration::from_secs(60);
/// Time for an election and for what follows from it.
const ELECTION: Duration = Duration::from_secs(10);
const GROUP: Group = Group::Managers(0);

/// The only manager dies and is back before confirmations end: the result is exact.
pub fn away_briefly(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "away-briefly", &LOAD)?;
    running(cluster, "away-briefly", 400)?;
    cluster.kill(Node::Manager(0, 0));
    cluster.pass(Duration::from_millis(300))?;
    cluster.start(Node::Manager(0, 0));
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "away-briefly", &LOAD, &outcome)
}

/// The only manager is away for longer: the load parks, and the report says how much.
pub fn away_long(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "away-long", &LOAD)?;
    running(cluster, "away-long", 400)?;
    cluster.kill(Node::Manager(0, 0));
    cluster.pass(Duration::from_secs(5))?;
    cluster.start(Node::Manager(0, 0));
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, "away-long", &LOAD, &outcome)?;
    ensure(outcome.parked > 0 && outcome.parked <= outcome.dropped, || format!("{outcome:?}"))?;
    ensure(outcome.reported + outcome.dropped == LOAD.planned(), || format!("{outcome:?}"))?;
    ensure(outcome.is_degraded, || format!("not degraded: {outcome:?}"))
}

/// The leader is killed in the middle of a run: the load does not pause and nothing is lost.
pub fn leader_killed(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "leader-killed", &LOAD)?;
    running(cluster, "leader-killed", 400)?;
    let leader = leader(cluster)?;
    cluster.kill(leader);
    let killed = cluster.now();
    let next = other_leader(cluster, leader)?;
    let took = cluster.now() - killed;
    cluster.note(&format!("{leader} killed, {next} leads after {took:?}"));
    cluster.start(leader);
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "leader-killed", &LOAD, &outcome)?;
    no_gap(cluster, "leader-killed")
}

/// The leader stands still for 5 s and wakes up fenced: what it says then changes nothing.
pub fn leader_paused(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "leader-paused", &LOAD)?;
    running(cluster, "leader-paused", 400)?;
    let leader = leader(cluster)?;
    cluster.pause(leader);
    cluster.pass(Duration::from_secs(5))?;
    cluster.resume(leader);
    let next = other_leader(cluster, leader)?;
    cluster.note(&format!("{leader} stood still, {next} leads"));
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "leader-paused", &LOAD, &outcome)?;
    no_gap(cluster, "leader-paused")
}

/// The leader hears nothing of the other managers, but they hear it.
pub fn leader_deaf(cluster: &mut dyn Cluster) -> Found {
    one_way(cluster, "leader-deaf", |cluster, leader, other| cluster.cut(other, leader))
}

/// The other managers hear nothing of the leader, but it hears them.
pub fn leader_mute(cluster: &mut dyn Cluster) -> Found {
    one_way(cluster, "leader-mute", |cluster, leader, other| cluster.cut(leader, other))
}

/// The old leader still reaches gates and workers. A worker dies meanwhile, so that old and new
/// leader would both act; after the heal nothing of the old one counts.
fn one_way(cluster: &mut dyn Cluster, key: &str, cut: fn(&mut dyn Cluster, Node, Node)) -> Found {
    let load = Load { seconds: 13, ..LOAD };
    let job = submitted(cluster, key, &load)?;
    running(cluster, key, 400)?;
    let leader = leader(cluster)?;
    for other in cluster.topology().managers_of(0).filter(|other| *other != leader) {
        cut(cluster, leader, other);
    }
    cluster.kill(Node::Worker(0, 0));
    let next = other_leader(cluster, leader)?;
    cluster.pass(Duration::from_secs(4))?;
    cluster.heal();
    cluster.note(&format!("{leader} cut off, {next} leads"));
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, key, &load, &outcome)?;
    ensure(outcome.unreported > 0 && outcome.is_degraded, || format!("no loss: {outcome:?}"))?;
    until(cluster, "one leader after the heal", ELECTION, |cluster| cluster.leader_of(GROUP))?;
    Ok(())
}

/// A manager's disk is wiped and it takes its own old place under a new disk id; then the group
/// lives through the loss of another one, which it could not if the wiped one did not vote.
pub fn wiped(cluster: &mut dyn Cluster) -> Found {
    let load = Load { seconds: 14, ..LOAD };
    let job = submitted(cluster, "wiped", &load)?;
    running(cluster, "wiped", 400)?;
    let leader = leader(cluster)?;
    let mut others = cluster.topology().managers_of(0).filter(|other| *other != leader);
    let Some(wiped) = others.next() else { return Err("a group of one".to_owned()) };
    cluster.kill(wiped);
    cluster.replace(wiped)?;
    cluster.pass(Duration::from_secs(3))?;
    cluster.kill(leader);
    other_leader(cluster, leader)?;
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "wiped", &load, &outcome)
}

fn leader(cluster: &mut dyn Cluster) -> Found<Node> {
    until(cluster, "a leader", ELECTION, |cluster| cluster.leader_of(GROUP))
}

fn other_leader(cluster: &mut dyn Cluster, old: Node) -> Found<Node> {
    until(cluster, "another leader", ELECTION, |cluster| {
        cluster.leader_of(GROUP).filter(|leader| *leader != old)
    })
}

/// Where time is exact, the load has no gap beyond an arrival's own distance.
fn no_gap(cluster: &mut dyn Cluster, key: &str) -> Found {
    let longest = gap(&cluster.served(key));
    ensure(!cluster.is_exact() || longest < Duration::from_millis(50), || {
        format!("a gap of {longest:?}")
    })
}
