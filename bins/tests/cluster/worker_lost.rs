//! A worker is killed or stopped while an open-loop plan runs on three of them.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Cluster, counter, declared, until};
use crate::plans;
use crate::target::Target;

const RATE: u32 = 300;
const SECONDS: u32 = 20;

struct Outcome {
    exit: i32,
    reported: u64,
    unreported: u64,
}

/// What holds however nodes fail: no index twice, never more load than planned, reported <= served
/// <= reported + declared.
fn judge(target: &Target, cluster: &Cluster, job: &str) -> Outcome {
    let (result, exit) = cluster.result(job, Duration::from_secs(90));
    let reported = counter(&result, "http_reqs");
    let unreported = declared(&result, "unreported");
    let served = target.served();
    println!(
        "served {served}, reported {reported}, declared unreported {unreported}, parked {}, \
         unserved {}, dropped {}, exit {exit}",
        declared(&result, "parked"),
        declared(&result, "unserved"),
        counter(&result, "dropped_iterations"),
    );
    assert_eq!(target.repeated(), Default::default());
    assert!(reported <= served, "{reported} reported, {served} served\n{}", cluster.logs());
    assert!(served <= reported + unreported, "{served} served, {reported} + {unreported}");
    let busiest = target.busiest(Duration::from_secs(10));
    let planned = f64::from(RATE) * 10.0 * 1.01;
    assert!(busiest as f64 <= planned, "{busiest} in 10 s, planned {planned}");
    Outcome { exit, reported, unreported }
}

fn running(target: &Target) {
    until("load runs", Duration::from_secs(20), || (target.served() > 600).then_some(()));
}

#[test]
fn an_undisturbed_run_is_exact() {
    let target = Target::start();
    let cluster = Cluster::start(3, 2);
    let job = cluster.submit(&plans::open_loop(&target.url(), RATE, 5));
    let outcome = judge(&target, &cluster, &job);
    assert_eq!(outcome.exit, 0);
    assert_eq!(outcome.reported, u64::from(RATE) * 5);
    assert_eq!(target.served(), outcome.reported);
}

#[test]
fn a_killed_worker_is_replaced_and_its_loss_declared() {
    let target = Target::start();
    let mut cluster = Cluster::start(3, 2);
    let job = cluster.submit(&plans::open_loop(&target.url(), RATE, SECONDS));
    running(&target);
    let killed = Instant::now();
    cluster.workers[0].kill();
    let back = until("the load is back", Duration::from_secs(15), || {
        let now = Instant::now();
        let window = Duration::from_millis(500);
        let served = target.served_between(now - window, now);
        let full = now - killed > window && served as f64 >= f64::from(RATE) * 0.5 * 0.95;
        full.then(|| now - killed - window)
    });
    println!("load back {back:?} after the kill");
    let outcome = judge(&target, &cluster, &job);
    assert_eq!(outcome.exit, 111);
    assert!(outcome.unreported > 0);
}

#[test]
fn a_stopped_worker_ends_its_load_by_until_and_is_replaced() {
    let target = Target::start();
    let cluster = Cluster::start(3, 2);
    let job = cluster.submit(&plans::open_loop(&target.url(), RATE, SECONDS));
    running(&target);
    cluster.workers[0].signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(10));
    cluster.workers[0].signal(Signal::CONT);
    let outcome = judge(&target, &cluster, &job);
    assert_eq!(outcome.exit, 111);
}
