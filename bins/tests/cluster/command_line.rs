//! The command line against a cluster: submit, watch, exit codes.

use std::time::Duration;

use sim::scenario::{Cluster, Load, Node, Topology};

use crate::real::Real;

const TOPOLOGY: Topology = Topology { gates: 1, datacenters: 1, managers: 1, workers: 2, cores: 2 };

/// Submits and watches to the end while `disturb` acts; gives the exit code and the output.
fn watched(key: &str, load: &Load, disturb: impl FnOnce(&mut Real)) -> (i32, String) {
    let mut cluster = Real::new(TOPOLOGY);
    let plan = cluster.plan_file(key, load);
    let plan = plan.to_str().unwrap();
    let submitted = cluster.cli(&["submit", plan, "--key", key]);
    assert!(submitted.status.success(), "{submitted:?}");
    disturb(&mut cluster);
    let watched = cluster.cli(&["submit", plan, "--key", key, "--watch", "--quiet"]);
    let text = String::from_utf8_lossy(&watched.stdout).into_owned();
    (watched.status.code().unwrap(), text)
}

#[test]
fn a_whole_result_is_exit_code_0() {
    let load = Load { rate: 100, seconds: 2, datacenters: 0 };
    let (code, text) = watched("whole", &load, |_| ());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("http_reqs") && text.contains("200"), "{text}");
}

#[test]
fn a_result_with_a_hole_is_exit_code_111() {
    let load = Load { rate: 100, seconds: 6, datacenters: 0 };
    let (code, text) = watched("hole", &load, |cluster| {
        crate::harness::until("load runs", Duration::from_secs(20), || {
            (cluster.served("hole").len() > 100).then_some(())
        });
        cluster.kill(Node::Worker(0, 0));
    });
    assert_eq!(code, 111, "{text}");
}
