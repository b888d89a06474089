//! Workers die, stand still, and come back.

use std::time::Duration;

use super::{Cluster, Found, Load, Node, ended, ensure, exact, judge, running, submitted};

const LOAD: Load = Load { rate: 200, seconds: 10, datacenters: 0 };
const LIMIT: Duration = Duration::from_secs(60);

/// Nothing happens: every planned arrival is served and reported.
pub fn undisturbed(cluster: &mut dyn Cluster) -> Found {
    let load = Load { seconds: 4, ..LOAD };
    let job = submitted(cluster, "undisturbed", &load)?;
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "undisturbed", &load, &outcome)
}

/// A killed worker's shard goes to another one, and what is not in the totals is declared.
pub fn killed(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "worker-killed", &LOAD)?;
    running(cluster, "worker-killed", 400)?;
    cluster.kill(Node::Worker(0, 0));
    let killed = cluster.now();
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, "worker-killed", &LOAD, &outcome)?;
    ensure(outcome.unreported > 0 && outcome.is_degraded, || format!("no loss: {outcome:?}"))?;
    let late = killed + Duration::from_millis(4_100);
    let served = cluster.served("worker-killed");
    let after = served.iter().filter(|one| one.at >= late && one.at < late + SECOND).count();
    cluster.note(&format!("{after} served in the second from 4.1 s after the death"));
    ensure(!cluster.is_exact() || after >= 195, || format!("{after} of 200 per second"))
}

/// A worker that stands still longer than its confirmation is replaced; when it goes on it issues
/// nothing more.
pub fn paused(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "worker-paused", &LOAD)?;
    running(cluster, "worker-paused", 400)?;
    cluster.pause(Node::Worker(0, 0));
    cluster.pass(Duration::from_secs(5))?;
    cluster.resume(Node::Worker(0, 0));
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, "worker-paused", &LOAD, &outcome)?;
    ensure(outcome.is_degraded, || format!("no loss: {outcome:?}"))
}

/// A worker that starts again is a new boot: it holds nothing that its predecessor held, and may
/// serve the next job.
pub fn restarted(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "worker-restarted", &LOAD)?;
    running(cluster, "worker-restarted", 400)?;
    cluster.kill(Node::Worker(0, 0));
    cluster.start(Node::Worker(0, 0));
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, "worker-restarted", &LOAD, &outcome)?;
    ensure(outcome.is_degraded, || format!("no loss: {outcome:?}"))?;
    let load = Load { seconds: 3, ..LOAD };
    let job = submitted(cluster, "after-restart", &load)?;
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "after-restart", &load, &outcome)
}

const SECOND: Duration = Duration::from_secs(1);
