//! The manager is killed and started again while a plan runs.

use std::time::Duration;

use crate::harness::{Cluster, counter, declared, until};
use crate::plans;
use crate::target::Target;

fn run(away: Duration) -> (u64, u64, u64, i32) {
    let target = Target::start();
    let mut cluster = Cluster::start(2, 2);
    let job = cluster.submit(&plans::open_loop(&target.url(), 300, 15));
    until("load runs", Duration::from_secs(20), || (target.served() > 600).then_some(()));
    cluster.manager.kill();
    std::thread::sleep(away);
    cluster.restart_manager();
    let (result, exit) = cluster.result(&job, Duration::from_secs(90));
    assert_eq!(target.repeated(), Default::default());
    let reported = counter(&result, "http_reqs");
    let (parked, dropped) = (declared(&result, "parked"), counter(&result, "dropped_iterations"));
    println!(
        "away {away:?}: served {}, reported {reported}, parked {parked}, dropped {dropped}, \
         longest gap {:?}, exit {exit}",
        target.served(),
        target.longest_gap(),
    );
    assert_eq!(target.served(), reported);
    assert_eq!(reported + dropped, 300 * 15);
    (reported, parked, dropped, exit)
}

#[test]
fn a_short_absence_of_the_manager_leaves_the_result_exact() {
    let (reported, parked, dropped, exit) = run(Duration::from_millis(300));
    assert_eq!((reported, parked, dropped), (300 * 15, 0, 0));
    assert_eq!(exit, 0);
}

#[test]
fn a_long_absence_parks_the_load_and_the_report_says_so() {
    let (_, parked, dropped, exit) = run(Duration::from_secs(6));
    assert!(parked > 0 && parked <= dropped, "{parked} parked, {dropped} dropped");
    assert_eq!(exit, 111);
}
