//! The command line against a cluster: submit, watch, exit codes.

use std::time::Duration;

use serde_json::Value;
use sim::scenario::{Cluster, Load, Node, Topology, ended, running, submitted};

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

/// What a watcher was told: when, its number, the job.
fn told(lines: &[(Duration, String)]) -> Vec<(Duration, u64, Value)> {
    let parse = |(at, line): &(Duration, String)| {
        let value: Value = serde_json::from_str(line).unwrap();
        (*at, value["seq"].as_u64().unwrap(), value["job"].clone())
    };
    lines.iter().map(parse).collect()
}

#[test]
fn a_watcher_sees_one_stream_although_the_owning_gate_is_killed() {
    let mut cluster = Real::new(Topology { gates: 3, ..TOPOLOGY });
    let load = Load { rate: 200, seconds: 12, datacenters: 0 };
    let job = submitted(&mut cluster, "watched", &load).unwrap();
    let (mut watcher, lines) = cluster.cli_lines(&["watch", &job.to_string(), "--json"]);
    running(&mut cluster, "watched", 600).unwrap();
    let owner = cluster.owner_of(job).unwrap();
    let killed = cluster.now();
    cluster.kill(owner);
    let outcome = ended(&mut cluster, job, Duration::from_secs(40)).unwrap();
    assert!(watcher.wait().unwrap().success(), "{outcome:?}");

    let told = told(&lines.lock().unwrap());
    let iterations = |job: &Value| {
        let metrics = job["workflows"][0]["metrics"].as_array();
        let found = metrics.and_then(|all| all.iter().find(|one| one["name"] == "iterations"));
        found.map_or(0, |one| one["values"]["count"].as_u64().unwrap())
    };
    assert!(told.iter().any(|(at, ..)| *at < killed) && told.iter().any(|(at, ..)| *at > killed));
    assert!(told.windows(2).all(|pair| pair[0].1 < pair[1].1), "each update once, in order");
    let rises = |pair: &[(Duration, u64, Value)]| iterations(&pair[0].2) <= iterations(&pair[1].2);
    assert!(told.windows(2).all(rises), "counters never fall");
    let (_, _, last) = told.last().unwrap();
    assert_eq!((&last["status"], iterations(last)), (&"completed".into(), 2_400));
    let gaps = told.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0));
    println!("the longest time without an update was {:?}", gaps.max().unwrap());
}
