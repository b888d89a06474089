//! Bytes from a disk: snapshot and segment files, then records. Damage is an error or a shorter
//! journal, never a panic.

#![no_main]

use hyperscale_core::journal::recover::recover;
use hyperscale_core::journal::segment::{File, Identity};
use hyperscale_core::journal::{Record, Snapshot, replay};
use libfuzzer_sys::fuzz_target;

const IDENTITY: Identity = Identity { cluster: 1, node: 2, disk: 3 };

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, rest)) = bytes.split_first() else { return };
    let (snapshot, segments) = rest.split_at(rest.len() * usize::from(cut >> 4) / 16);
    let (first, second) = segments.split_at(segments.len() * usize::from(cut & 15) / 15);
    let files = [("1", first), ("2", second)].map(|(name, bytes)| File { name, bytes });
    let snapshots = [File { name: "s", bytes: snapshot }];
    let snapshots = if snapshot.is_empty() { &[][..] } else { &snapshots[..] };
    let segments = if second.is_empty() { &files[..1] } else { &files[..] };
    let Ok(durable) = recover(&IDENTITY, snapshots, segments) else { return };
    let mut last = durable.snapshot.map_or(0, |found| found.upto);
    for record in &durable.records {
        assert_eq!(record.lsn, last + 1);
        last = record.lsn;
    }
    assert_eq!(durable.next_lsn, last + 1);
    if let Some(found) = &durable.snapshot {
        let _ = replay::state::<Snapshot>(found);
    }
    let _ = replay::fold((), &durable.records, |(), _, _: &Record| {});
});
