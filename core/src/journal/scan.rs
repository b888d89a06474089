//! Reads segments back into records.
//!
//! Every segment must be ours, sequences and lsns must follow each other, every record must be
//! intact. Only the last segment may end in bytes that are no record, and only if they can be the
//! rest of a write that was never durable:
//!
//! - **Header.** A header that is damaged is torn if nothing but zeros follows it, because a
//!   header is durable before the first record is written.
//! - **Record.** Let the record due be `e`. Bytes that are not an intact record are torn unless
//!   somewhere behind them, at any byte, stands an intact record of this segment that says
//!   `durable >= e`: it was written after `e` was durable. An intact record behind them that does
//!   not say so was part of the same lost write, whose blocks reached the disk out of order.
//!
//! Everything else is damage and refused with file and offset; so is an intact record with any
//! other lsn than the one due. Damage to the records of the last write before a stop cannot be
//! told from a torn write and is taken for one. The search for a proof reads each byte once and
//! checks no more than [`PROOF_FACTOR`] times the bytes searched; beyond that it is undecided, and
//! refused.

use super::error::{Fault, JournalError};
use super::segment::{
    Candidate, File, HEADER_LEN, Header, Identity, RECORD_HEADER_LEN, parse_header, salt,
};

/// Bytes that the search for a proof may checksum, per byte searched.
pub const PROOF_FACTOR: usize = 16;

/// An intact record, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord<'a> {
    /// Its lsn.
    pub lsn: u64,
    /// The segment that holds it.
    pub file: &'a str,
    /// Where it starts there, in bytes.
    pub offset: u64,
    /// What was appended.
    pub payload: &'a [u8],
}

/// Where the last segment stops being a journal. At offset 0 the file holds nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn<'a> {
    /// The last segment.
    pub file: &'a str,
    /// The length to which it must be cut, in bytes.
    pub offset: u64,
}

/// What segments hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan<'a> {
    /// The records in the order of their lsns.
    pub records: Vec<StoredRecord<'a>>,
    /// The first lsn of the first segment; `None` without a segment that was begun.
    pub first_lsn: Option<u64>,
    /// The lsn that follows the last record.
    pub next_lsn: u64,
    /// The sequence that follows the last segment that was begun.
    pub next_sequence: u64,
    /// The tail to be cut off.
    pub torn_at: Option<Torn<'a>>,
}

/// Reads `segments`, given in the order of their names.
///
/// The first may start at any lsn: whether what is before it is covered by a snapshot is for
/// [`recover`](super::recover) to judge.
///
/// # Errors
/// The first damage, with file and offset.
pub fn scan<'a>(identity: &Identity, segments: &[File<'a>]) -> Result<Scan<'a>, JournalError> {
    let mut scan = Scan { next_lsn: 1, next_sequence: 1, ..Scan::default() };
    let Some((last, earlier)) = segments.split_last() else { return Ok(scan) };
    for file in earlier {
        let header = scan.on_header(identity, file, parse_header(file.bytes))?;
        if let Some(offset) = scan.on_records(&header, file)? {
            return Err(Fault::Record { expected: scan.next_lsn }.at(file.name, offset));
        }
    }
    let parsed = parse_header(last.bytes);
    if parsed == Err(Fault::Header) && is_zero(tail(last, HEADER_LEN)) {
        scan.torn_at = Some(Torn { file: last.name, offset: 0 });
        return Ok(scan);
    }
    let header = scan.on_header(identity, last, parsed)?;
    if let Some(offset) = scan.on_records(&header, last)? {
        refuse_durable(&header, scan.next_lsn, tail(last, offset))
            .map_err(|fault| fault.at(last.name, offset))?;
        scan.torn_at = Some(Torn { file: last.name, offset: offset as u64 });
    }
    Ok(scan)
}

impl<'a> Scan<'a> {
    fn on_header(
        &mut self,
        identity: &Identity,
        file: &File<'a>,
        parsed: Result<Header, Fault>,
    ) -> Result<Header, JournalError> {
        let header = parsed.map_err(|fault| fault.at(file.name, 0))?;
        let fault = if header.identity != *identity {
            Fault::Identity { found: header.identity, expected: *identity }
        } else if self.first_lsn.is_none() {
            self.first_lsn = Some(header.first_lsn);
            self.next_lsn = header.first_lsn;
            self.next_sequence = header.sequence.saturating_add(1);
            return Ok(header);
        } else if header.sequence != self.next_sequence {
            Fault::Sequence { found: header.sequence, expected: self.next_sequence }
        } else if header.first_lsn != self.next_lsn {
            Fault::Gap { found: header.first_lsn, expected: self.next_lsn }
        } else {
            self.next_sequence = self.next_sequence.saturating_add(1);
            return Ok(header);
        };
        Err(fault.at(file.name, 0))
    }

    /// Takes the records of `file`; where it stopped, if that is not the end.
    fn on_records(
        &mut self,
        header: &Header,
        file: &File<'a>,
    ) -> Result<Option<usize>, JournalError> {
        let salt = salt(header);
        let mut offset = HEADER_LEN;
        loop {
            let rest = tail(file, offset);
            if rest.is_empty() {
                return Ok(None);
            }
            let record = Candidate::parse(rest).filter(|record| record.is_intact(salt));
            let Some(record) = record else { return Ok(Some(offset)) };
            if record.lsn() != self.next_lsn {
                let fault = Fault::Gap { found: record.lsn(), expected: self.next_lsn };
                return Err(fault.at(file.name, offset));
            }
            self.records.push(StoredRecord {
                lsn: record.lsn(),
                file: file.name,
                offset: offset as u64,
                payload: record.payload,
            });
            self.next_lsn = self.next_lsn.saturating_add(1);
            offset = offset.saturating_add(record.len());
        }
    }
}

/// Refuses when something in `rest`, which starts with a damaged record that should have the lsn
/// `expected`, proves that this record was durable.
fn refuse_durable(header: &Header, expected: u64, rest: &[u8]) -> Result<(), Fault> {
    let salt = salt(header);
    let possible = (rest.len() / RECORD_HEADER_LEN) as u64;
    let newest = expected.saturating_add(possible);
    let mut budget = rest.len().saturating_mul(PROOF_FACTOR);
    let mut behind = rest;
    while let Some((_, after)) = behind.split_first() {
        behind = after;
        let Some(candidate) = Candidate::parse(behind) else { continue };
        if candidate.durable() < expected || candidate.lsn() > newest {
            continue;
        }
        let Some(left) = budget.checked_sub(candidate.len()) else {
            return Err(Fault::Undecided { expected });
        };
        budget = left;
        if candidate.is_intact(salt) {
            return Err(Fault::Record { expected });
        }
    }
    Ok(())
}

fn tail<'a>(file: &File<'a>, from: usize) -> &'a [u8] {
    file.bytes.get(from..).unwrap_or_default()
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
