//! The journal gives back what was written, a prefix of it, or an error with its place.

use hyperscale_core::journal::scan::{Scan, scan};
use hyperscale_core::journal::segment::{File, Header, Identity, write_header, write_record};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const IDENTITY: Identity = Identity { cluster: 11, node: 22, disk: 33 };

/// Payloads by segment and by write: the records of one write become durable together.
type Written = Vec<Vec<Vec<Vec<u8>>>>;

struct Disk {
    files: Vec<Vec<u8>>,
    payloads: Vec<Vec<u8>>,
    /// Where the last record, and the last write, of the last segment start.
    last_record: usize,
    last_write: usize,
}

fn written() -> impl Strategy<Value = Written> {
    vec(vec(vec(vec(any::<u8>(), 0..40), 1..4), 0..4), 1..4)
}

fn singles() -> impl Strategy<Value = Written> {
    vec(vec(vec(vec(any::<u8>(), 0..40), 1..2), 1..6), 1..4)
}

fn write(written: &Written) -> Disk {
    let mut disk = Disk { files: vec![], payloads: vec![], last_record: 0, last_write: 0 };
    let mut lsn = 1;
    for (segment, sequence) in written.iter().zip(1..) {
        let header = Header { identity: IDENTITY, sequence, first_lsn: lsn };
        let mut bytes = vec![];
        write_header(&header, &mut bytes);
        (disk.last_write, disk.last_record) = (bytes.len(), bytes.len());
        for batch in segment {
            let durable = lsn - 1;
            disk.last_write = bytes.len();
            for payload in batch {
                disk.last_record = bytes.len();
                write_record(&header, lsn, durable, payload, &mut bytes).unwrap();
                disk.payloads.push(payload.clone());
                lsn += 1;
            }
        }
        disk.files.push(bytes);
    }
    disk
}

const NAMES: [&str; 3] = ["first", "second", "third"];

fn read(disk: &Disk) -> Result<Scan<'_>, hyperscale_core::journal::error::JournalError> {
    let files = NAMES.iter().zip(&disk.files).map(|(name, bytes)| File { name, bytes });
    scan(&IDENTITY, &files.collect::<Vec<_>>())
}

/// Whether `scan` is the first records that were written, all of them intact and in place.
fn is_prefix(scan: &Scan<'_>, disk: &Disk) -> bool {
    scan.records.len() <= disk.payloads.len()
        && scan.next_lsn == scan.records.len() as u64 + 1
        && scan
            .records
            .iter()
            .zip(&disk.payloads)
            .zip(1..)
            .all(|((record, payload), lsn)| record.lsn == lsn && record.payload == payload)
}

proptest! {
    #[test]
    fn what_was_written_is_read(written in written()) {
        let disk = write(&written);
        let scan = read(&disk).unwrap();
        prop_assert!(is_prefix(&scan, &disk));
        prop_assert_eq!(scan.records.len(), disk.payloads.len());
        prop_assert_eq!(scan.torn_at, None);
    }

    #[test]
    fn a_cut_last_segment_gives_a_prefix_and_then_reads_clean(
        written in written(),
        cut in any::<Index>(),
        zeros in 0..200_usize,
    ) {
        let mut disk = write(&written);
        let last = disk.files.last_mut().unwrap();
        last.truncate(cut.index(last.len() + 1));
        last.resize(last.len() + zeros, 0);
        let scan = read(&disk).unwrap();
        prop_assert!(is_prefix(&scan, &disk));
        let (count, torn) = (scan.records.len(), scan.torn_at);
        if let Some(torn) = torn {
            prop_assert_eq!(torn.file, NAMES[disk.files.len() - 1]);
            let keep = usize::try_from(torn.offset).unwrap();
            if keep == 0 {
                disk.files.pop();
            } else {
                disk.files.last_mut().unwrap().truncate(keep);
            }
        }
        let again = read(&disk).unwrap();
        prop_assert_eq!((again.records.len(), again.torn_at), (count, None));
    }

    #[test]
    fn a_cut_earlier_segment_is_refused(written in written(), cut in any::<Index>()) {
        prop_assume!(written.len() > 1);
        let mut disk = write(&written);
        let first = &mut disk.files[0];
        first.truncate(cut.index(first.len()));
        prop_assert!(read(&disk).is_err());
    }

    #[test]
    fn a_flipped_bit_is_refused_unless_it_is_in_the_last_record(
        written in singles(),
        file in any::<Index>(),
        bit in any::<Index>(),
    ) {
        let mut disk = write(&written);
        let file = file.index(disk.files.len());
        let bit = bit.index(disk.files[file].len() * 8);
        disk.files[file][bit / 8] ^= 1 << (bit % 8);
        match read(&disk) {
            Err(error) => {
                prop_assert_eq!(error.file.as_str(), NAMES[file]);
                prop_assert!(error.offset <= (bit / 8) as u64);
            }
            Ok(scan) => {
                prop_assert_eq!(file, disk.files.len() - 1);
                prop_assert!(bit / 8 >= disk.last_record);
                prop_assert!(is_prefix(&scan, &disk));
                prop_assert_eq!(scan.records.len() + 1, disk.payloads.len());
                prop_assert_eq!(scan.torn_at.unwrap().offset, disk.last_record as u64);
            }
        }
    }

    #[test]
    fn lost_blocks_of_the_last_write_cost_only_records_of_that_write(
        written in written(),
        from in any::<Index>(),
        len in 1..60_usize,
    ) {
        let mut disk = write(&written);
        let (start, last) = (disk.last_write, disk.files.last_mut().unwrap());
        prop_assume!(start < last.len());
        let from = start + from.index(last.len() - start);
        let to = (from + len).min(last.len());
        last[from..to].fill(0);
        let in_last_write = written.last().unwrap().last().unwrap().len();
        let scan = read(&disk).unwrap();
        prop_assert!(is_prefix(&scan, &disk));
        prop_assert!(scan.records.len() + in_last_write >= disk.payloads.len());
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300), written in written()) {
        let mut disk = write(&written);
        disk.files.last_mut().unwrap().extend(bytes);
        if let Ok(scan) = read(&disk) {
            prop_assert!(is_prefix(&scan, &disk));
            prop_assert_eq!(scan.records.len(), disk.payloads.len());
        }
    }
}
