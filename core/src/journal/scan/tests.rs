use super::super::segment::{write_header, write_record};
use super::*;

const IDENTITY: Identity = Identity { cluster: 1, node: 2, disk: 3 };

/// A segment whose records are `(lsn, durable)`, and the offset of each.
fn segment(sequence: u64, first_lsn: u64, records: &[(u64, u64)]) -> (Vec<u8>, Vec<usize>) {
    let header = Header { identity: IDENTITY, sequence, first_lsn };
    let (mut bytes, mut offsets) = (vec![], vec![]);
    write_header(&header, &mut bytes);
    for (lsn, durable) in records {
        offsets.push(bytes.len());
        write_record(&header, *lsn, *durable, &[*lsn as u8; 5], &mut bytes).unwrap();
    }
    (bytes, offsets)
}

fn read<'a>(files: &[&'a [u8]]) -> Result<Scan<'a>, JournalError> {
    let names = ["a", "b", "c"];
    let files: Vec<_> = names.iter().zip(files).map(|(name, bytes)| File { name, bytes }).collect();
    scan(&IDENTITY, &files)
}

fn lsns(scan: &Scan<'_>) -> Vec<u64> {
    scan.records.iter().map(|record| record.lsn).collect()
}

#[test]
fn no_segment_is_an_empty_journal() {
    let scan = read(&[]).unwrap();
    assert_eq!((scan.first_lsn, scan.next_lsn, scan.next_sequence), (None, 1, 1));
}

#[test]
fn records_are_read_across_segments() {
    let (first, offsets) = segment(4, 7, &[(7, 6), (8, 7)]);
    let (second, _) = segment(5, 9, &[(9, 8)]);
    let scan = read(&[&first, &second]).unwrap();
    assert_eq!(lsns(&scan), [7, 8, 9]);
    assert_eq!((scan.first_lsn, scan.next_lsn, scan.next_sequence), (Some(7), 10, 6));
    assert_eq!(scan.torn_at, None);
    let record = StoredRecord { lsn: 8, file: "a", offset: offsets[1] as u64, payload: &[8; 5] };
    assert_eq!(scan.records[1], record);
}

#[test]
fn every_cut_of_the_last_segment_leaves_its_whole_records() {
    let (bytes, offsets) = segment(1, 1, &[(1, 0), (2, 1), (3, 2)]);
    for end in 0..bytes.len() {
        let scan = read(&[&bytes[..end]]).unwrap();
        let whole = offsets[1..].iter().filter(|offset| **offset <= end).count();
        assert_eq!(scan.records.len(), whole);
        let clean = end == HEADER_LEN || offsets.contains(&end);
        let keep = if end < HEADER_LEN { 0 } else { offsets[whole] as u64 };
        let torn = Torn { file: "a", offset: keep };
        assert_eq!(scan.torn_at, (!clean).then_some(torn), "cut at {end}");
    }
}

#[test]
fn a_zero_filled_tail_is_torn() {
    let (mut bytes, _) = segment(1, 1, &[(1, 0)]);
    let end = bytes.len() as u64;
    bytes.resize(bytes.len() + 5_000, 0);
    assert_eq!(read(&[&bytes]).unwrap().torn_at, Some(Torn { file: "a", offset: end }));
    let zeros = [0; 300];
    let scan = read(&[&zeros]).unwrap();
    assert_eq!(scan.torn_at, Some(Torn { file: "a", offset: 0 }));
}

#[test]
fn damage_behind_which_a_later_write_stands_is_refused() {
    let (mut bytes, offsets) = segment(1, 1, &[(1, 0), (2, 1), (3, 2)]);
    bytes[offsets[1] + 30 - 6] ^= 1;
    let refused = read(&[&bytes]);
    assert_eq!(refused, Err(Fault::Record { expected: 2 }.at("a", offsets[1])));
}

#[test]
fn a_lost_block_inside_the_last_write_is_torn() {
    // Three records in one write: the middle one never reached the disk, the third did.
    let (mut bytes, offsets) = segment(1, 1, &[(1, 0), (2, 1), (3, 1), (4, 1)]);
    bytes[offsets[2]..offsets[3]].fill(0);
    let scan = read(&[&bytes]).unwrap();
    assert_eq!(lsns(&scan), [1, 2]);
    assert_eq!(scan.torn_at, Some(Torn { file: "a", offset: offsets[2] as u64 }));
}

#[test]
fn damage_at_the_end_of_an_earlier_segment_is_refused() {
    let (first, offsets) = segment(1, 1, &[(1, 0), (2, 1)]);
    let (second, _) = segment(2, 3, &[]);
    let cut = &first[..first.len() - 1];
    let refused = read(&[cut, &second]);
    assert_eq!(refused, Err(Fault::Record { expected: 2 }.at("a", offsets[1])));
    let missing = read(&[&first[..offsets[1]], &second]);
    assert_eq!(missing, Err(Fault::Gap { found: 3, expected: 2 }.at("b", 0)));
    assert_eq!(read(&[&first[..9], &second]), Err(Fault::Header.at("a", 0)));
}

#[test]
fn a_damaged_header_before_records_is_refused() {
    let (mut bytes, _) = segment(1, 1, &[(1, 0)]);
    bytes[40] ^= 1;
    assert_eq!(read(&[&bytes]), Err(Fault::Header.at("a", 0)));
}

#[test]
fn a_gap_inside_a_segment_is_refused() {
    let (bytes, offsets) = segment(1, 1, &[(1, 0), (3, 1)]);
    let refused = read(&[&bytes]);
    assert_eq!(refused, Err(Fault::Gap { found: 3, expected: 2 }.at("a", offsets[1])));
}

#[test]
fn a_missing_or_repeated_segment_is_refused() {
    let (first, _) = segment(1, 1, &[(1, 0)]);
    let (third, _) = segment(3, 2, &[]);
    let gap = Fault::Sequence { found: 3, expected: 2 };
    assert_eq!(read(&[&first, &third]), Err(gap.at("b", 0)));
    let twice = Fault::Sequence { found: 1, expected: 2 };
    assert_eq!(read(&[&first, &first]), Err(twice.at("b", 0)));
}

#[test]
fn each_part_of_the_identity_counts() {
    let (bytes, _) = segment(1, 1, &[(1, 0)]);
    let strangers = [
        Identity { cluster: 9, ..IDENTITY },
        Identity { node: 9, ..IDENTITY },
        Identity { disk: 9, ..IDENTITY },
    ];
    for expected in strangers {
        let refused = scan(&expected, &[File { name: "a", bytes: &bytes }]);
        assert_eq!(refused, Err(Fault::Identity { found: IDENTITY, expected }.at("a", 0)));
    }
}

#[test]
fn a_record_of_another_segment_proves_nothing() {
    let (mut bytes, offsets) = segment(1, 1, &[(1, 0), (2, 1)]);
    let (other, others) = segment(9, 1, &[(1, 0), (2, 1), (3, 2)]);
    bytes[offsets[1] + 4] ^= 1;
    bytes.extend(&other[others[2]..]);
    assert_eq!(lsns(&read(&[&bytes]).unwrap()), [1]);
}

#[test]
fn a_search_without_end_is_refused_as_undecided() {
    // Forged headers that all look possible, each announcing everything behind it.
    let (mut bytes, _) = segment(1, 1, &[]);
    let start = bytes.len();
    bytes.push(1);
    for at in 0..1_000_u32 {
        bytes.extend(((999 - at) * 24).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(2_u64.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
    }
    assert_eq!(read(&[&bytes]), Err(Fault::Undecided { expected: 1 }.at("a", start)));
}
