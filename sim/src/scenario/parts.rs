//! Whole datacenters die or are cut off from the gates.

use std::time::Duration;

use hyperscale_core::report::JobStatus;

use super::{Cluster, Found, Load, Node, ended, ensure, exact, judge, running, submitted, until};

const LOAD: Load = Load { rate: 200, seconds: 8, datacenters: 2 };
const LIMIT: Duration = Duration::from_secs(60);

/// Two datacenters share the load and every arrival is served by exactly one of them.
pub fn shared(cluster: &mut dyn Cluster) -> Found {
    let load = Load { seconds: 3, ..LOAD };
    let job = submitted(cluster, "shared", &load)?;
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "shared", &load, &outcome)
}

/// Everything in one datacenter dies: the other's part is unaffected, the report says what is
/// missing.
pub fn datacenter_killed(cluster: &mut dyn Cluster) -> Found {
    let key = "datacenter-killed";
    let job = submitted(cluster, key, &LOAD)?;
    running(cluster, key, 400)?;
    let topology = cluster.topology();
    for node in topology.managers_of(0).chain(topology.workers_of(0)) {
        cluster.kill(node);
    }
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, key, &LOAD, &outcome)?;
    ensure(outcome.status == JobStatus::Partial, || format!("not partial: {outcome:?}"))?;
    let is_missing = |dc| outcome.parts.iter().any(|p| p.datacenter == dc && !p.is_counted);
    ensure(is_missing(0) && !is_missing(1), || format!("the parts are {:?}", outcome.parts))?;
    let served = cluster.served(key);
    let other = served.iter().filter(|arrival| LOAD.is_of(1, arrival.index)).count() as u64;
    ensure(outcome.reported == other, || format!("{other} served by the other: {outcome:?}"))?;
    ensure(!cluster.is_exact() || other == LOAD.planned() / 2, || format!("{other} served"))
}

/// The managers of one datacenter neither hear gates nor are heard by them: the part runs to its
/// end and is delivered after the heal.
pub fn datacenter_cut_off(cluster: &mut dyn Cluster) -> Found {
    let key = "datacenter-cut-off";
    let job = submitted(cluster, key, &LOAD)?;
    running(cluster, key, 400)?;
    let topology = cluster.topology();
    for manager in topology.managers_of(0) {
        for gate in (0..topology.gates).map(Node::Gate) {
            cluster.cut(manager, gate);
            cluster.cut(gate, manager);
        }
    }
    until(cluster, "the whole load is served", LOAD.span() + Duration::from_secs(10), |cluster| {
        let served = cluster.served(key);
        let last = served.iter().rfind(|arrival| LOAD.is_of(0, arrival.index))?;
        (last.index + 2 >= LOAD.planned()).then_some(())
    })?;
    cluster.pass(Duration::from_secs(1))?;
    cluster.heal();
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, key, &LOAD, &outcome)
}
