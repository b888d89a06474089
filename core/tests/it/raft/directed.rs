//! Single stories with a known end.

use super::cluster::{Cluster, MS};

#[test]
fn three_members_elect_commit_and_survive_the_leader() {
    let mut cluster = Cluster::new(1, 3, 3);
    cluster.boot_all();
    let first = cluster.elect();
    let values: Vec<_> = (1..=3).map(|node| cluster.submit(node).unwrap()).collect();
    cluster.run(200 * MS);
    assert!(values.iter().all(|value| cluster.is_committed(*value)), "{:?}", cluster.values());
    cluster.crash(first, 0);
    cluster.run(2_000 * MS);
    let second = cluster.leader().unwrap();
    assert_ne!(first, second);
    let other = 6 - first - second;
    let late = cluster.submit(other).unwrap();
    cluster.read(other);
    cluster.run(200 * MS);
    assert!(cluster.is_committed(late));
    assert_eq!(cluster.judge.readable, 1);
    cluster.boot(first);
    cluster.run(500 * MS);
    assert_eq!(cluster.committed(first), cluster.committed(second));
    assert!(cluster.judge.lease_held > 100);
}

#[test]
fn a_minority_commits_nothing_and_its_leader_stands_down() {
    let mut cluster = Cluster::new(2, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    let others: Vec<_> = (1..=3).filter(|node| *node != leader).collect();
    cluster.part(&[leader], &others);
    let lost = cluster.propose(leader);
    let kept = cluster.submit(leader).unwrap();
    cluster.run(3_000 * MS);
    assert!(!cluster.group(leader).leads());
    let successor = cluster.leader().unwrap();
    assert!(others.contains(&successor));
    assert!(!cluster.is_committed(lost) && !cluster.is_committed(kept));
    let value = cluster.submit(successor).unwrap();
    cluster.run(100 * MS);
    assert!(cluster.is_committed(value));
    cluster.heal();
    cluster.run(1_000 * MS);
    assert!(!cluster.is_committed(lost), "a decision of a leader dies with its leadership");
    assert!(cluster.is_committed(kept), "a submission does not");
    assert_eq!(cluster.leader(), Some(successor), "the rejoined member disturbs nobody");
}
