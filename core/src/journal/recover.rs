//! Puts snapshots and segments together into what a node restarts from.
//!
//! The newest intact snapshot counts, and the records behind it. Segments that it covers whole are
//! not read: their deletion may have been under way. A damaged snapshot is passed over only if an
//! intact one, or the beginning of the journal, is followed by every record up to the end of the
//! journal; otherwise its damage is the error.

use super::error::{Fault, JournalError};
use super::scan::{Scan, StoredRecord, Torn, scan};
use super::segment::{File, Identity, parse_header};
use super::snapshot::{Snapshot, read_snapshot};

/// What a disk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable<'a> {
    /// The state to start from; without one, the initial state.
    pub snapshot: Option<Snapshot<'a>>,
    /// Every record behind it, in order.
    pub records: Vec<StoredRecord<'a>>,
    /// The lsn of the next record.
    pub next_lsn: u64,
    /// The sequence of the next segment.
    pub next_sequence: u64,
    /// A tail that must be cut off before anything is written.
    pub torn_at: Option<Torn<'a>>,
    /// A damaged snapshot that was passed over, for the operator.
    pub passed_over: Option<JournalError>,
}

/// Reads a disk: all its snapshot files, and all its segments in the order of their names. A disk
/// without files gives an empty journal.
///
/// # Errors
/// The damage that makes the disk unusable, with file and offset.
pub fn recover<'a>(
    identity: &Identity,
    snapshots: &[File<'a>],
    segments: &[File<'a>],
) -> Result<Durable<'a>, JournalError> {
    let (snapshot, passed_over) = newest(identity, snapshots)?;
    let upto = snapshot.map_or(0, |snapshot| snapshot.upto);
    let segments = uncovered(segments, upto);
    let mut scan = scan(identity, segments)?;
    if let Some(fault) = break_after(upto, &scan, snapshots.is_empty(), passed_over.is_some()) {
        let first = segments.first().or(snapshots.first()).map_or("", |file| file.name);
        return Err(passed_over.unwrap_or_else(|| fault.at(first, 0)));
    }
    let next_lsn = scan.next_lsn.max(upto.saturating_add(1));
    scan.records.retain(|record| record.lsn > upto);
    let Scan { records, next_sequence, torn_at, .. } = scan;
    Ok(Durable { snapshot, records, next_lsn, next_sequence, torn_at, passed_over })
}

/// The newest intact snapshot, and the first damage found. A snapshot of another version or disk
/// is an error at once: passing over it would hide a mistake.
fn newest<'a>(
    identity: &Identity,
    files: &[File<'a>],
) -> Result<(Option<Snapshot<'a>>, Option<JournalError>), JournalError> {
    let mut newest: Option<Snapshot<'a>> = None;
    let mut damage = None;
    for file in files {
        match read_snapshot(identity, file) {
            Ok(found) if newest.is_none_or(|newest| newest.upto < found.upto) => {
                newest = Some(found);
            }
            Ok(_) => {}
            Err(error) if matches!(error.fault, Fault::Header | Fault::Snapshot) => {
                damage.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((newest, damage))
}

/// The segments from the last one on that starts at or before the first lsn not covered.
fn uncovered<'s, 'a>(segments: &'s [File<'a>], upto: u64) -> &'s [File<'a>] {
    let due = upto.saturating_add(1);
    let starts_covered =
        |file: &File<'_>| parse_header(file.bytes).is_ok_and(|header| header.first_lsn <= due);
    let from = segments.iter().rposition(starts_covered).unwrap_or(0);
    segments.get(from..).unwrap_or_default()
}

/// Why the records do not follow the snapshot, if they do not.
fn break_after(upto: u64, scan: &Scan<'_>, no_snapshots: bool, damage: bool) -> Option<Fault> {
    let due = upto.saturating_add(1);
    match scan.first_lsn {
        Some(first) if first > due => Some(Fault::Gap { found: first, expected: due }),
        // A checkpoint may delete every segment but one whose header is not durable yet. Beside
        // a damaged snapshot it does not show that nothing is missing.
        None if damage || (scan.torn_at.is_none() && !no_snapshots) => Some(Fault::Alone),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
