//! The bytes of a journal segment.
//!
//! ```text
//! header   magic "HYSJ" | version u16 | zero u16 | cluster u64 | node u64 | disk u64
//!          | sequence u64 | first lsn u64 | crc u32
//! record   length u32 | crc u32 | lsn u64 | durable u64 | payload
//! ```
//! All numbers little-endian, all checksums CRC-32C. The header's covers the header, a record's
//! covers the disk and sequence of its segment and everything of the record but itself: bytes left
//! by another segment, or put into a payload by someone who does not know the disk id, are no
//! record here. The layout of the header never changes, so that a version is always readable.
//!
//! Lsns start at 1 and have no gaps. `durable` is the newest lsn known durable when the record was
//! encoded; it lets recovery tell damage to a durable record from a torn tail (see
//! [`scan`](super::scan)).

use core::fmt;

use super::error::Fault;
use crate::crc::{crc32c, crc32c_append};
use crate::fixed::{take, take_u16, take_u32, take_u64};

/// The first four bytes of a segment.
pub const MAGIC: [u8; 4] = *b"HYSJ";
/// The format version of segments and snapshots.
pub const VERSION: u16 = 1;
/// Bytes of a segment's header.
pub const HEADER_LEN: usize = 52;
/// Bytes of a record before its payload.
pub const RECORD_HEADER_LEN: usize = 24;
/// The longest payload of a record, in bytes.
pub const RECORD_MAX: usize = crate::limits::RECORD_MAX;

const _: () = assert!(RECORD_MAX <= u32::MAX as usize);

/// Whose journal it is. A disk id belongs to one node and one disk, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: u64,
    /// The node.
    pub node: u64,
    /// The disk, drawn when it was formatted.
    pub disk: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, node, disk } = self;
        write!(f, "cluster {cluster:016x} node {node:016x} disk {disk:016x}")
    }
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose segment it is.
    pub identity: Identity,
    /// Counts the segments of a disk.
    pub sequence: u64,
    /// The lsn of the first record.
    pub first_lsn: u64,
}

/// A file as the driver read it.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name, for errors.
    pub name: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
}

/// A payload above [`RECORD_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {len} bytes where {RECORD_MAX} are allowed")]
pub struct RecordTooLarge {
    /// The payload's length, in bytes.
    pub len: usize,
}

/// The file name of a segment; names sort as sequences do.
#[must_use]
pub fn file_name(sequence: u64) -> String {
    format!("{sequence:020}.journal")
}

/// Appends the bytes of `header` to `out`.
pub fn write_header(header: &Header, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend([0, 0]);
    let Identity { cluster, node, disk } = header.identity;
    for word in [cluster, node, disk, header.sequence, header.first_lsn] {
        out.extend(word.to_le_bytes());
    }
    let crc = crc32c(out.get(start..).unwrap_or_default());
    out.extend(crc.to_le_bytes());
}

/// Appends the record `lsn` of the segment that `header` opens to `out`.
///
/// `durable` is the newest lsn known durable, below `lsn`; one that is too low only makes
/// recovery more willing to call damage a torn tail.
///
/// # Errors
/// [`RecordTooLarge`]; `out` is unchanged.
pub fn write_record(
    header: &Header,
    lsn: u64,
    durable: u64,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), RecordTooLarge> {
    if payload.len() > RECORD_MAX {
        return Err(RecordTooLarge { len: payload.len() });
    }
    let fields =
        Fields { len: payload.len() as u32, lsn, durable: durable.min(lsn.saturating_sub(1)) };
    out.reserve(RECORD_HEADER_LEN.saturating_add(payload.len()));
    out.extend(fields.len.to_le_bytes());
    out.extend(fields.crc(salt(header), payload).to_le_bytes());
    out.extend(fields.lsn.to_le_bytes());
    out.extend(fields.durable.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// What the checksum of every record of a segment starts with.
pub(super) fn salt(header: &Header) -> u32 {
    let disk = crc32c(&header.identity.disk.to_le_bytes());
    crc32c_append(disk, &header.sequence.to_le_bytes())
}

/// The first lsn of the segment whose header is at the front of `bytes`; `None` if it is damaged.
pub fn first_lsn(bytes: &[u8]) -> Option<u64> {
    parse_header(bytes).ok().map(|header| header.first_lsn)
}

/// The header at the front of `bytes`.
pub(super) fn parse_header(bytes: &[u8]) -> Result<Header, Fault> {
    let (version, header) = parse_header_fields(bytes).ok_or(Fault::Header)?;
    if version != VERSION {
        return Err(Fault::Version { found: version, ours: VERSION });
    }
    Ok(header)
}

fn parse_header_fields(bytes: &[u8]) -> Option<(u16, Header)> {
    let checked = bytes.get(..HEADER_LEN.checked_sub(4)?)?;
    let mut rest = bytes;
    let magic = take::<4>(&mut rest)?;
    let version = take_u16(&mut rest)?;
    let _reserved = take_u16(&mut rest)?;
    let identity = take_identity(&mut rest)?;
    let sequence = take_u64(&mut rest)?;
    let first_lsn = take_u64(&mut rest)?;
    let intact = take_u32(&mut rest)? == crc32c(checked) && magic == MAGIC;
    intact.then_some((version, Header { identity, sequence, first_lsn }))
}

pub(super) fn take_identity(bytes: &mut &[u8]) -> Option<Identity> {
    let cluster = take_u64(bytes)?;
    let node = take_u64(bytes)?;
    Some(Identity { cluster, node, disk: take_u64(bytes)? })
}

/// A record's header and the bytes that would be its payload, unchecked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    fields: Fields,
    crc: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Candidate<'a> {
    /// What stands at the front of `bytes`, if its length can be true.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let len = take_u32(&mut rest)?;
        let crc = take_u32(&mut rest)?;
        let lsn = take_u64(&mut rest)?;
        let durable = take_u64(&mut rest)?;
        if len as usize > RECORD_MAX || durable >= lsn {
            return None;
        }
        let payload = rest.get(..len as usize)?;
        Some(Self { fields: Fields { len, lsn, durable }, crc, payload })
    }

    pub(super) fn is_intact(&self, salt: u32) -> bool {
        self.fields.crc(salt, self.payload) == self.crc
    }

    pub(super) fn lsn(&self) -> u64 {
        self.fields.lsn
    }

    pub(super) fn durable(&self) -> u64 {
        self.fields.durable
    }

    /// Bytes of the whole record.
    pub(super) fn len(&self) -> usize {
        RECORD_HEADER_LEN.saturating_add(self.payload.len())
    }
}

#[derive(Clone, Copy, Debug)]
struct Fields {
    len: u32,
    lsn: u64,
    durable: u64,
}

impl Fields {
    fn crc(&self, salt: u32, payload: &[u8]) -> u32 {
        let mut crc = crc32c_append(salt, &self.len.to_le_bytes());
        crc = crc32c_append(crc, &self.lsn.to_le_bytes());
        crc = crc32c_append(crc, &self.durable.to_le_bytes());
        crc32c_append(crc, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { identity: Identity { cluster: 1, node: 2, disk: 3 }, sequence: 4, first_lsn: 5 };

    #[test]
    fn header_layout_is_stable_and_reads_back() {
        let mut bytes = vec![];
        write_header(&HEADER, &mut bytes);
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(bytes[..8], *b"HYSJ\x01\x00\x00\x00");
        for (at, word) in [(8, 1), (16, 2), (24, 3), (32, 4), (40, 5)] {
            assert_eq!(bytes[at..at + 8], u64::to_le_bytes(word));
        }
        assert_eq!(parse_header(&bytes), Ok(HEADER));
        for end in 0..HEADER_LEN {
            assert_eq!(parse_header(&bytes[..end]), Err(Fault::Header));
        }
        for bit in 0..HEADER_LEN * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse_header(&damaged), Err(Fault::Header));
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut bytes = vec![];
        write_header(&HEADER, &mut bytes);
        bytes[4] = 9;
        let crc = crc32c(&bytes[..HEADER_LEN - 4]).to_le_bytes();
        bytes[HEADER_LEN - 4..].copy_from_slice(&crc);
        assert_eq!(parse_header(&bytes), Err(Fault::Version { found: 9, ours: VERSION }));
    }

    #[test]
    fn record_layout_is_stable_and_belongs_to_its_segment() {
        let mut bytes = vec![];
        write_record(&HEADER, 7, 6, b"payload", &mut bytes).unwrap();
        assert_eq!(bytes[..4], 7_u32.to_le_bytes());
        let salted = [3_u64.to_le_bytes(), 4_u64.to_le_bytes()].concat();
        let checked = [&salted, &bytes[..4], &bytes[8..]].concat();
        assert_eq!(bytes[4..8], crc32c(&checked).to_le_bytes());
        assert_eq!(bytes[8..16], 7_u64.to_le_bytes());
        assert_eq!(bytes[16..24], 6_u64.to_le_bytes());
        assert_eq!(bytes[24..], *b"payload");
        let record = Candidate::parse(&bytes).unwrap();
        assert!(record.is_intact(salt(&HEADER)));
        assert_eq!((record.lsn(), record.durable(), record.len()), (7, 6, bytes.len()));
        let mut other = HEADER;
        other.sequence += 1;
        assert!(!record.is_intact(salt(&other)));
        other = HEADER;
        other.identity.disk += 1;
        assert!(!record.is_intact(salt(&other)));
    }

    #[test]
    fn a_record_above_the_cap_is_refused_and_writes_nothing() {
        let mut out = vec![1];
        let refused = write_record(&HEADER, 1, 0, &vec![0; RECORD_MAX + 1], &mut out);
        assert_eq!(refused, Err(RecordTooLarge { len: RECORD_MAX + 1 }));
        assert_eq!(out, [1]);
    }

    #[test]
    fn names_sort_as_sequences_do() {
        assert!(file_name(9) < file_name(10));
        assert_eq!(file_name(7).len(), file_name(u64::MAX).len());
    }
}
