//! What operators do under load: drain nodes, restart every node; and a power cut.

use std::time::Duration;

use hyperscale_core::report::JobStatus;

use super::{Cluster, Found, Group, Load, Node, ended, ensure, judge, running, submitted, until};

const LIMIT: Duration = Duration::from_secs(60);
/// How long a node may take to leave in good order.
const LEAVE: Duration = Duration::from_secs(15);

/// Every node is drained and started again, one after another: no load is lost.
pub fn rolling_restart(cluster: &mut dyn Cluster) -> Found {
    let nodes = cluster.topology().nodes();
    let load = Load { rate: 200, seconds: 20, datacenters: 0 };
    drained(cluster, "rolling", &load, &nodes)
}

/// One of each role leaves: the leader of the managers, the owning gate, a worker.
pub fn drain_each_role(cluster: &mut dyn Cluster) -> Found {
    let load = Load { rate: 200, seconds: 12, datacenters: 0 };
    let limit = Duration::from_secs(10);
    let find = |group| move |cluster: &mut dyn Cluster| cluster.leader_of(group);
    let manager = until(cluster, "a leader", limit, find(Group::Managers(0)))?;
    let gate = until(cluster, "a leading gate", limit, find(Group::Gates))?;
    drained(cluster, "drain", &load, &[manager, gate, Node::Worker(0, 0)])
}

/// Everything dies at once and starts again from its disks: the groups recover by themselves, the
/// load goes on above what was reserved, and what was lost is declared.
pub fn whole_cluster_restarted(cluster: &mut dyn Cluster) -> Found {
    let key = "whole";
    let load = Load { rate: 200, seconds: 16, datacenters: 0 };
    let job = submitted(cluster, key, &load)?;
    running(cluster, key, 400)?;
    let nodes = cluster.topology().nodes();
    for node in &nodes {
        cluster.kill(*node);
    }
    cluster.pass(Duration::from_secs(1))?;
    for node in &nodes {
        cluster.start(*node);
    }
    let back = cluster.now();
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, key, &load, &outcome)?;
    let after = cluster.served(key).iter().filter(|arrival| arrival.at > back).count();
    cluster.note(&format!("{after} served after the restart"));
    ensure(after > 0, || format!("no load after the restart: {outcome:?}"))?;
    ensure(outcome.is_degraded, || format!("nothing was lost: {outcome:?}"))
}

fn drained(cluster: &mut dyn Cluster, key: &str, load: &Load, nodes: &[Node]) -> Found {
    let job = submitted(cluster, key, load)?;
    running(cluster, key, 400)?;
    for node in nodes {
        let asked = cluster.now();
        cluster.drain(*node);
        until(cluster, &format!("{node} has left"), LEAVE, |cluster| {
            (!cluster.is_up(*node)).then_some(())
        })?;
        let took = cluster.now() - asked;
        cluster.note(&format!("{node} left within {took:?}"));
        cluster.start(*node);
        rejoined(cluster, *node)?;
    }
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, key, load, &outcome)?;
    ensure(outcome.status == JobStatus::Completed, || format!("not completed: {outcome:?}"))?;
    ensure(outcome.unreported == 0, || format!("load was lost: {outcome:?}"))?;
    ensure(!cluster.is_exact() || outcome.dropped == 0, || format!("a gap: {outcome:?}"))
}

/// Its group has a leader again, and it had time to catch up.
fn rejoined(cluster: &mut dyn Cluster, node: Node) -> Found {
    let group = match node {
        Node::Gate(_) => Some(Group::Gates),
        Node::Manager(dc, _) => Some(Group::Managers(dc)),
        Node::Worker(..) => None,
    };
    cluster.pass(Duration::from_millis(700))?;
    let Some(group) = group else { return Ok(()) };
    let limit = Duration::from_secs(10);
    until(cluster, "a leader", limit, |cluster| cluster.leader_of(group))?;
    Ok(())
}
