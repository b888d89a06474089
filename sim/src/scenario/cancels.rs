//! Jobs are cancelled while something is in the way.

use std::time::Duration;

use hyperscale_core::report::JobStatus;

use super::client::{asked, cancelled, gates};
use super::{
    Answer, Cluster, DRIFT_PPM, Found, Load, Question, TTL, ended, ensure, judge, running,
    submitted,
};

const LOAD: Load = Load { rate: 200, seconds: 60, datacenters: 0 };
const LIMIT: Duration = Duration::from_secs(40);

/// A running job is cancelled: its load ends, the cancel can be repeated, and nothing comes after.
pub fn running_job(cluster: &mut dyn Cluster) -> Found {
    let key = "cancel";
    let job = submitted(cluster, key, &LOAD)?;
    running(cluster, key, 400)?;
    cancelled(cluster, job)?;
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, key, &LOAD, &outcome)?;
    ensure(outcome.status == JobStatus::Cancelled, || format!("not cancelled: {outcome:?}"))?;
    silent_after(cluster, key)?;
    let gates = gates(cluster);
    let again = asked(cluster, &gates, &Question::Cancel(job), LIMIT)?;
    let refused = matches!(&again, Answer::Refused { why, .. } if why == "already-ended");
    ensure(refused, || format!("a cancel after the end is answered by {again:?}"))
}

/// A job that runs in two datacenters is cancelled in both.
pub fn two_datacenters(cluster: &mut dyn Cluster) -> Found {
    let key = "cancel-two";
    let load = Load { datacenters: 2, ..LOAD };
    let job = submitted(cluster, key, &load)?;
    running(cluster, key, 400)?;
    cancelled(cluster, job)?;
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, key, &load, &outcome)?;
    ensure(outcome.status == JobStatus::Cancelled, || format!("not cancelled: {outcome:?}"))?;
    silent_after(cluster, key)
}

/// No worker hears its managers or is heard: the load ends by itself when confirmations do.
pub fn workers_cut_off(cluster: &mut dyn Cluster) -> Found {
    let key = "cancel-cut-off";
    let job = submitted(cluster, key, &LOAD)?;
    running(cluster, key, 400)?;
    let topology = cluster.topology();
    for manager in topology.managers_of(0) {
        for worker in topology.workers_of(0) {
            cluster.cut(manager, worker);
            cluster.cut(worker, manager);
        }
    }
    cancelled(cluster, job)?;
    let acknowledged = cluster.now();
    let outcome = ended(cluster, job, LIMIT)?;
    judge(cluster, key, &LOAD, &outcome)?;
    ensure(outcome.status == JobStatus::Cancelled, || format!("not cancelled: {outcome:?}"))?;
    let last = cluster.served(key).last().map_or(Duration::ZERO, |arrival| arrival.at);
    // The datacenter commits shortly after the gate does.
    let slack = Duration::from_millis(if cluster.is_exact() { 50 } else { 500 });
    let bound = TTL * 1_000_000 / (1_000_000 - DRIFT_PPM) + slack;
    let took = last.saturating_sub(acknowledged);
    cluster.note(&format!("the last request arrived {took:?} after the acknowledged cancel"));
    ensure(took <= bound, || format!("a request {took:?} after the cancel, bound {bound:?}"))?;
    cluster.heal();
    silent_after(cluster, key)
}

/// A cancel that comes as soon as the job is acknowledged: it is being dispatched.
pub fn during_dispatch(cluster: &mut dyn Cluster) -> Found {
    for (n, wait) in [0, 1, 20, 110, 300].into_iter().enumerate() {
        let key = format!("cancel-dispatch-{n}");
        let job = submitted(cluster, &key, &LOAD)?;
        cluster.pass(Duration::from_millis(wait))?;
        cancelled(cluster, job)?;
        let outcome = ended(cluster, job, LIMIT)?;
        judge(cluster, &key, &LOAD, &outcome)?;
        ensure(outcome.status == JobStatus::Cancelled, || format!("not cancelled: {outcome:?}"))?;
        silent_after(cluster, &key)?;
    }
    Ok(())
}

/// Nothing more of a job is served.
fn silent_after(cluster: &mut dyn Cluster, key: &str) -> Found {
    let before = cluster.served(key).len();
    cluster.pass(Duration::from_secs(1))?;
    let after = cluster.served(key).len();
    ensure(before == after, || format!("{} requests after the end", after - before))
}
