use std::fs::{self, OpenOptions};

use hyperscale_core::consensus::{Head, Membership};
use hyperscale_core::ids::{ClusterId, DiskId, GroupId, Lsn, NodeId, Term};
use hyperscale_core::journal::Record;

use super::*;
use crate::transport::RoleName;

fn owner(node: u64) -> Owner {
    Owner { cluster: ClusterId::new(1), role: RoleName::Manager, node: NodeId::new(node) }
}

fn record(n: u64) -> Record {
    if n == 1 {
        Record::Formed { group: GroupId::new(7), membership: Membership::default() }
    } else {
        Record::Ballot { term: Term::new(n), vote: None }
    }
}

fn write(dir: &std::path::Path, from: u64, to: u64) {
    let mut disk = Disk::open(dir, owner(1), Expect::Any(DiskId::new(9))).unwrap();
    assert_eq!(disk.recovered.last, Lsn::new(from - 1));
    for n in from..=to {
        disk.journal.append(Lsn::new(n), &record(n)).unwrap();
    }
}

fn last_segment(dir: &std::path::Path) -> std::path::PathBuf {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "journal"))
        .collect();
    names.sort();
    names.pop().unwrap()
}

#[test]
fn what_was_appended_is_recovered_over_several_boots() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1, 3);
    write(dir.path(), 4, 5);
    let disk = Disk::open(dir.path(), owner(1), Expect::Any(DiskId::new(1))).unwrap();
    let expected: Vec<_> = (1..=5).map(|n| (Lsn::new(n), record(n))).collect();
    assert_eq!(disk.recovered.records, expected);
}

#[tokio::test]
async fn durable_follows_appends() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(dir.path(), owner(1), Expect::Any(DiskId::new(9))).unwrap();
    for n in 1..=100 {
        disk.journal.append(Lsn::new(n), &record(n)).unwrap();
    }
    let mut durable = Lsn::new(0);
    while durable < Lsn::new(100) {
        let next = disk.journal.durable().await.unwrap();
        assert!(next > durable);
        durable = next;
    }
}

#[test]
fn a_torn_tail_is_cut_and_damage_before_it_is_refused_with_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1, 3);
    let path = last_segment(dir.path());
    let len = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 1).unwrap();
    write(dir.path(), 3, 4);

    let path = last_segment(dir.path());
    let first = dir.path().join("00000000000000000001.journal");
    assert_ne!(path, first);
    let mut bytes = fs::read(&first).unwrap();
    let offset = bytes.len() - 1;
    bytes[offset] ^= 1;
    fs::write(&first, &bytes).unwrap();
    let error =
        Disk::open(dir.path(), owner(1), Expect::Any(DiskId::new(9))).unwrap_err().to_string();
    assert!(error.contains("00000000000000000001.journal"), "{error}");
}

#[test]
fn another_owner_is_refused_with_both_names_and_a_second_process_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path(), owner(1), Expect::Any(DiskId::new(9))).unwrap();
    let error = Disk::open(dir.path(), owner(1), Expect::Any(DiskId::new(9))).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    drop(disk);
    let error =
        Disk::open(dir.path(), owner(2), Expect::Any(DiskId::new(9))).unwrap_err().to_string();
    assert!(error.contains("manager n1") && error.contains("manager n2"), "{error}");
}

#[tokio::test]
async fn a_checkpoint_replaces_what_it_covers() {
    let dir = tempfile::tempdir().unwrap();
    let snapshot = |index| hyperscale_core::journal::Snapshot {
        head: Head { index: hyperscale_core::ids::LogIndex::new(index), ..Head::default() },
        ledger: hyperscale_core::journal::LedgerSnapshot::Manager(Box::default()),
    };
    let mut disk = Disk::open(dir.path(), owner(1), Expect::Any(DiskId::new(9))).unwrap();
    for n in 1..=9 {
        disk.journal.append(Lsn::new(n), &record(n)).unwrap();
        while disk.journal.durable().await.unwrap() < Lsn::new(n) {}
        if n % 3 == 0 {
            disk.journal.checkpoint(Lsn::new(n), &snapshot(n)).unwrap();
        }
    }
    drop(disk);
    let disk = Disk::open(dir.path(), owner(1), Expect::Any(DiskId::new(9))).unwrap();
    assert_eq!(disk.recovered.snapshot, Some((Lsn::new(9), snapshot(9))));
    assert_eq!(disk.recovered.records, vec![]);
    assert_eq!(disk.recovered.last, Lsn::new(9));
    assert!(!dir.path().join("00000000000000000001.journal").exists());
}
