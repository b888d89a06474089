//! Protocol logs of the classic stories: every effect and event of every member, as stored in
//! `golden/*.txt`. Heartbeats without news and their answers are left out. `BLESS=1` rewrites.

use std::path::Path;

use hyperscale_core::consensus::Input;
use hyperscale_core::ids::DiskId;
use hyperscale_core::journal::Record;

use super::cluster::{Cluster, MS};

/// Starts to write down.
fn told(mut cluster: Cluster) -> Cluster {
    cluster.log = Some(String::new());
    cluster
}

/// Three members, one of which leads and is known to.
fn led(seed: u64) -> (Cluster, u64) {
    let mut cluster = Cluster::new(seed, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    (told(cluster), leader)
}

fn check(name: &str, cluster: &Cluster) {
    let log = cluster.log.as_ref().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/it/raft/golden").join(name).with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, log).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (line, (found, expected)) in log.lines().zip(golden.lines()).enumerate() {
        assert_eq!(found, expected, "{name}, line {}", line + 1);
    }
    assert_eq!(log.lines().count(), golden.lines().count(), "{name}");
}

#[test]
fn election() {
    let mut cluster = told(Cluster::new(3, 3, 3));
    cluster.boot_all();
    let leader = cluster.elect();
    let value = cluster.submit(leader % 3 + 1).unwrap();
    cluster.run(60 * MS);
    assert!(cluster.is_committed(value));
    check("election", &cluster);
}

#[test]
fn alone() {
    let mut cluster = told(Cluster::new(3, 1, 1));
    cluster.boot_all();
    cluster.submit(1);
    cluster.run(10 * MS);
    cluster.crash(1, 0);
    cluster.boot(1);
    cluster.run(10 * MS);
    assert_eq!(cluster.values(), [1]);
    check("alone", &cluster);
}

#[test]
fn re_election_after_a_partition() {
    let (mut cluster, leader) = led(4);
    let others: Vec<_> = (1..=3).filter(|node| *node != leader).collect();
    cluster.part(&[leader], &others);
    cluster.run(1_500 * MS);
    let successor = cluster.leader().unwrap();
    assert_ne!(leader, successor);
    cluster.heal();
    cluster.run(200 * MS);
    assert_eq!(cluster.group(leader).leader(), Some(cluster.group(successor).me().node));
    check("re-election", &cluster);
}

#[test]
fn a_conflicting_tail_is_replaced() {
    let (mut cluster, leader) = led(5);
    let others: Vec<_> = (1..=3).filter(|node| *node != leader).collect();
    cluster.part(&[leader], &others);
    let lost = [cluster.propose(leader), cluster.propose(leader)];
    cluster.run(1_500 * MS);
    let successor = cluster.leader().unwrap();
    let kept = cluster.submit(successor).unwrap();
    cluster.run(20 * MS);
    cluster.heal();
    cluster.run(150 * MS);
    assert_eq!(cluster.values(), [kept]);
    assert!(!lost.contains(&kept));
    assert_eq!(cluster.committed(leader), cluster.committed(successor));
    check("conflicting-tail", &cluster);
}

/// A member misses five entries.
fn lagging(retained: usize) -> (Cluster, u64, u64) {
    let mut cluster = Cluster::new(6, 3, 3);
    cluster.config.retained_entries = retained;
    cluster.config.chunk_bytes = 24;
    cluster.boot_all();
    let leader = cluster.elect();
    let late = leader % 3 + 1;
    cluster.run(100 * MS);
    cluster.crash(late, 0);
    for _ in 0..5 {
        cluster.submit(leader);
        cluster.run(10 * MS);
    }
    (told(cluster), leader, late)
}

#[test]
fn a_lagging_member_gets_entries() {
    let (mut cluster, leader, late) = lagging(4096);
    cluster.boot(late);
    cluster.run(120 * MS);
    assert_eq!(cluster.committed(late), cluster.committed(leader));
    check("lagging-entries", &cluster);
}

#[test]
fn a_member_that_lags_further_gets_a_snapshot() {
    let (mut cluster, leader, late) = lagging(2);
    cluster.boot(late);
    cluster.run(120 * MS);
    assert_eq!(cluster.committed(late), cluster.committed(leader));
    cluster.crash(late, 0);
    assert!(cluster.hosts[&late].disk.snapshot.is_some(), "pieces stay in the journal");
    check("lagging-snapshot", &cluster);
}

#[test]
fn leadership_is_handed_over() {
    let (mut cluster, leader) = led(7);
    cluster.submit(leader);
    cluster.input(leader, Input::Transfer);
    cluster.run(60 * MS);
    assert_ne!(cluster.leader().unwrap(), leader);
    check("transfer", &cluster);
}

#[test]
fn a_leader_restarts() {
    let (mut cluster, leader) = led(8);
    cluster.submit(leader);
    cluster.run(20 * MS);
    cluster.crash(leader, 0);
    cluster.boot(leader);
    cluster.run(1_500 * MS);
    assert!(cluster.leader().is_some());
    check("restart", &cluster);
}

#[test]
fn a_disk_joins_and_votes() {
    let mut cluster = Cluster::new(9, 2, 1);
    cluster.boot(1);
    cluster.submit(1);
    cluster.run(100 * MS);
    let mut cluster = told(cluster);
    let joining = Record::Joining { replaces: None };
    cluster.hosts.get_mut(&2).unwrap().inscribe(joining);
    cluster.boot(2);
    cluster.run(300 * MS);
    assert_eq!(cluster.group(1).membership().voters.len(), 2);
    assert!(cluster.group(2).membership().is_voter(DiskId::new(20)));
    check("join", &cluster);
}

#[test]
fn a_lost_disk_is_replaced() {
    let (mut cluster, leader) = led(10);
    let lost = leader % 3 + 1;
    cluster.crash(lost, 0);
    let replaces = Some(DiskId::new(lost * 10));
    cluster.replace_disk(lost, 77, Record::Joining { replaces });
    cluster.boot(lost);
    cluster.run(400 * MS);
    let members = cluster.group(leader).membership();
    assert!(members.is_voter(DiskId::new(77)) && !members.is_voter(DiskId::new(lost * 10)));
    assert_eq!((members.voters.len(), members.learners.len()), (3, 0));
    check("replace", &cluster);
}
