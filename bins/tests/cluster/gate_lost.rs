//! The gate is killed and started again while a plan runs.

use std::time::Duration;

use crate::harness::{Cluster, counter, until};
use crate::plans;
use crate::target::Target;

#[test]
fn a_restarted_gate_knows_its_job_and_the_load_never_noticed() {
    let target = Target::start();
    let mut cluster = Cluster::start(2, 2);
    let job = cluster.submit(&plans::open_loop(&target.url(), 300, 10));
    until("load runs", Duration::from_secs(20), || (target.served() > 600).then_some(()));
    cluster.gate.kill();
    std::thread::sleep(Duration::from_secs(2));
    cluster.restart_gate();
    let (result, exit) = cluster.result(&job, Duration::from_secs(60));
    assert_eq!(target.repeated(), Default::default());
    assert_eq!(counter(&result, "http_reqs"), 3000);
    assert_eq!(target.served(), 3000);
    assert_eq!(exit, 0);
    println!("longest gap {:?}", target.longest_gap());
}

#[test]
fn a_gate_killed_after_it_acknowledged_still_runs_the_job() {
    let target = Target::start();
    let mut cluster = Cluster::start(2, 2);
    let job = cluster.submit(&plans::open_loop(&target.url(), 300, 3));
    cluster.gate.kill();
    cluster.restart_gate();
    let (result, exit) = cluster.result(&job, Duration::from_secs(60));
    assert_eq!(counter(&result, "http_reqs"), 900);
    assert_eq!(exit, 0);
}
