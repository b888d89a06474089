use super::super::segment::{Header, write_header, write_record};
use super::super::snapshot::write_snapshot;
use super::*;

const IDENTITY: Identity = Identity { cluster: 1, node: 2, disk: 3 };

fn segment(sequence: u64, lsns: core::ops::Range<u64>) -> Vec<u8> {
    let header = Header { identity: IDENTITY, sequence, first_lsn: lsns.start };
    let mut bytes = vec![];
    write_header(&header, &mut bytes);
    for lsn in lsns {
        write_record(&header, lsn, lsn - 1, &[lsn as u8], &mut bytes).unwrap();
    }
    bytes
}

fn snapshot(upto: u64) -> Vec<u8> {
    let mut bytes = vec![];
    write_snapshot(&IDENTITY, upto, &[upto as u8], &mut bytes);
    bytes
}

fn damaged(mut bytes: Vec<u8>) -> Vec<u8> {
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

fn files<'a>(names: &[&'a str], bytes: &'a [Vec<u8>]) -> Vec<File<'a>> {
    names.iter().zip(bytes).map(|(name, bytes)| File { name, bytes }).collect()
}

/// The snapshot's lsn, the lsns of the records, and the next lsn and sequence.
fn read(
    snapshots: &[Vec<u8>],
    segments: &[Vec<u8>],
) -> Result<(u64, Vec<u64>, u64, u64), JournalError> {
    let snapshots = files(&["s0", "s1"], snapshots);
    let segments = files(&["a", "b", "c"], segments);
    let durable = recover(&IDENTITY, &snapshots, &segments)?;
    let upto = durable.snapshot.map_or(0, |snapshot| snapshot.upto);
    let lsns = durable.records.iter().map(|record| record.lsn).collect();
    Ok((upto, lsns, durable.next_lsn, durable.next_sequence))
}

#[test]
fn an_empty_disk_is_an_empty_journal() {
    assert_eq!(read(&[], &[]), Ok((0, vec![], 1, 1)));
}

#[test]
fn records_behind_the_newest_snapshot_are_kept() {
    let segments = [segment(1, 1..4), segment(2, 4..7)];
    assert_eq!(read(&[snapshot(2), snapshot(4)], &segments), Ok((4, vec![5, 6], 7, 3)));
    assert_eq!(read(&[], &segments), Ok((0, vec![1, 2, 3, 4, 5, 6], 7, 3)));
}

#[test]
fn segments_that_are_covered_whole_may_be_missing_or_damaged() {
    let segments = [segment(1, 1..4), segment(3, 7..9)];
    assert_eq!(read(&[snapshot(6)], &segments), Ok((6, vec![7, 8], 9, 4)));
    let segments = [damaged(segment(1, 1..4)), segment(2, 4..7)];
    assert_eq!(read(&[snapshot(3)], &segments), Ok((3, vec![4, 5, 6], 7, 3)));
    let refused = read(&[snapshot(2)], &segments).unwrap_err();
    assert_eq!((refused.file.as_str(), refused.fault), ("a", Fault::Record { expected: 3 }));
}

#[test]
fn records_missing_behind_the_snapshot_are_refused() {
    let gap = Fault::Gap { found: 5, expected: 4 };
    assert_eq!(read(&[snapshot(3)], &[segment(2, 5..6)]), Err(gap.at("a", 0)));
    let gap = Fault::Gap { found: 5, expected: 1 };
    assert_eq!(read(&[], &[segment(2, 5..6)]), Err(gap.at("a", 0)));
}

#[test]
fn a_damaged_snapshot_is_passed_over_only_if_nothing_is_missing_then() {
    let (old, bad) = (snapshot(2), damaged(snapshot(4)));
    let whole = [segment(1, 1..4), segment(2, 4..7)];
    let both = [old.clone(), bad.clone()];
    assert_eq!(read(&both, &whole), Ok((2, vec![3, 4, 5, 6], 7, 3)));
    assert_eq!(read(std::slice::from_ref(&bad), &whole), Ok((0, vec![1, 2, 3, 4, 5, 6], 7, 3)));

    let trimmed = [segment(2, 4..7)];
    assert_eq!(read(&both, &trimmed), Err(Fault::Snapshot.at("s1", 56)));
    assert_eq!(read(std::slice::from_ref(&bad), &trimmed), Err(Fault::Snapshot.at("s0", 56)));
    assert_eq!(read(&both, &[vec![0; 10]]), Err(Fault::Snapshot.at("s1", 56)));
    assert_eq!(read(&[bad], &[]), Err(Fault::Snapshot.at("s0", 56)));
}

#[test]
fn passing_over_is_told() {
    let snapshots = [snapshot(2), damaged(snapshot(4))];
    let segments = [segment(1, 1..7)];
    let files = (files(&["s0", "s1"], &snapshots), files(&["a"], &segments));
    let durable = recover(&IDENTITY, &files.0, &files.1).unwrap();
    assert_eq!(durable.passed_over, Some(Fault::Snapshot.at("s1", 56)));
}

#[test]
fn a_snapshot_of_another_disk_is_never_passed_over() {
    let found = Identity { disk: 9, ..IDENTITY };
    let mut stranger = vec![];
    write_snapshot(&found, 4, &[], &mut stranger);
    let fault = Fault::Identity { found, expected: IDENTITY };
    assert_eq!(read(&[snapshot(2), stranger], &[segment(1, 1..7)]), Err(fault.at("s1", 0)));
}

#[test]
fn a_snapshot_needs_a_segment_but_one_just_begun_will_do() {
    assert_eq!(read(&[snapshot(2)], &[]), Err(Fault::Alone.at("s0", 0)));
    assert_eq!(read(&[snapshot(2)], &[vec![0; 10]]), Ok((2, vec![], 3, 1)));
}

#[test]
fn a_tail_torn_below_the_snapshot_does_not_reuse_an_lsn() {
    let mut torn = segment(1, 1..4);
    torn.pop();
    assert_eq!(read(&[snapshot(5)], &[torn.clone()]), Ok((5, vec![], 6, 2)));
    // The next boot goes on in a new segment, as the driver must.
    assert_eq!(read(&[snapshot(5)], &[torn, segment(2, 6..8)]), Ok((5, vec![6, 7], 8, 3)));
}
