//! The bytes of a snapshot file: a state that stands for every record up to an lsn.
//!
//! ```text
//! magic "HYSS" | version u16 | zero u16 | cluster u64 | node u64 | disk u64
//! | upto lsn u64 | length u64 | crc of the payload u32 | crc of all before u32 | payload
//! ```
//! All numbers little-endian, checksums CRC-32C. The file is written whole under another name and
//! renamed when it is durable, so that it is never torn: any damage is refused.

use super::error::{Fault, JournalError};
use super::segment::{File, Identity, VERSION, take_identity};
use crate::crc::crc32c;
use crate::fixed::{take, take_u16, take_u32, take_u64};

/// The first four bytes of a snapshot.
pub const MAGIC: [u8; 4] = *b"HYSS";
/// Bytes before the payload.
pub const HEADER_LEN: usize = 56;

/// An intact snapshot, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// The last lsn that it covers.
    pub upto: u64,
    /// The file that holds it.
    pub file: &'a str,
    /// The state.
    pub payload: &'a [u8],
}

/// The file name of a snapshot; names sort as lsns do.
#[must_use]
pub fn file_name(upto: u64) -> String {
    format!("{upto:020}.snapshot")
}

/// Appends the snapshot file of `payload`, which covers the lsns up to `upto`, to `out`.
pub fn write_snapshot(identity: &Identity, upto: u64, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.reserve(HEADER_LEN.saturating_add(payload.len()));
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend([0, 0]);
    let Identity { cluster, node, disk } = *identity;
    for word in [cluster, node, disk, upto, payload.len() as u64] {
        out.extend(word.to_le_bytes());
    }
    out.extend(crc32c(payload).to_le_bytes());
    let crc = crc32c(out.get(start..).unwrap_or_default());
    out.extend(crc.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Reads a snapshot file.
///
/// # Errors
/// What is wrong with it, at offset 0 for the header, else where the payload starts.
pub fn read_snapshot<'a>(
    identity: &Identity,
    file: &File<'a>,
) -> Result<Snapshot<'a>, JournalError> {
    let parsed = parse_header(file.bytes).ok_or(Fault::Header);
    let header = parsed.map_err(|fault| fault.at(file.name, 0))?;
    if header.version != VERSION {
        return Err(Fault::Version { found: header.version, ours: VERSION }.at(file.name, 0));
    }
    if header.identity != *identity {
        let fault = Fault::Identity { found: header.identity, expected: *identity };
        return Err(fault.at(file.name, 0));
    }
    let payload = file.bytes.get(HEADER_LEN..).unwrap_or_default();
    if payload.len() as u64 != header.len || crc32c(payload) != header.payload_crc {
        return Err(Fault::Snapshot.at(file.name, HEADER_LEN));
    }
    Ok(Snapshot { upto: header.upto, file: file.name, payload })
}

struct Header {
    version: u16,
    identity: Identity,
    upto: u64,
    len: u64,
    payload_crc: u32,
}

fn parse_header(bytes: &[u8]) -> Option<Header> {
    let checked = bytes.get(..HEADER_LEN.checked_sub(4)?)?;
    let mut rest = bytes;
    let magic = take::<4>(&mut rest)?;
    let version = take_u16(&mut rest)?;
    let _reserved = take_u16(&mut rest)?;
    let identity = take_identity(&mut rest)?;
    let upto = take_u64(&mut rest)?;
    let len = take_u64(&mut rest)?;
    let payload_crc = take_u32(&mut rest)?;
    let intact = take_u32(&mut rest)? == crc32c(checked) && magic == MAGIC;
    intact.then_some(Header { version, identity, upto, len, payload_crc })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { cluster: 1, node: 2, disk: 3 };

    fn bytes() -> Vec<u8> {
        let mut bytes = vec![];
        write_snapshot(&IDENTITY, 9, b"state", &mut bytes);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Snapshot<'_>, JournalError> {
        read_snapshot(&IDENTITY, &File { name: "s", bytes })
    }

    #[test]
    fn reads_back_what_was_written() {
        let bytes = bytes();
        assert_eq!(read(&bytes), Ok(Snapshot { upto: 9, file: "s", payload: b"state" }));
        assert_eq!(bytes[..8], *b"HYSS\x01\x00\x00\x00");
        assert_eq!(bytes[32..40], 9_u64.to_le_bytes());
        assert_eq!(bytes[HEADER_LEN..], *b"state");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused_with_its_offset() {
        let bytes = bytes();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let in_header = bit / 8 < HEADER_LEN;
            let (fault, offset) =
                if in_header { (Fault::Header, 0) } else { (Fault::Snapshot, HEADER_LEN) };
            assert_eq!(read(&damaged), Err(fault.at("s", offset)));
        }
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(read(&longer), Err(Fault::Snapshot.at("s", HEADER_LEN)));
    }

    #[test]
    fn another_disk_is_refused() {
        let bytes = bytes();
        let expected = Identity { disk: 4, ..IDENTITY };
        let refused = read_snapshot(&expected, &File { name: "s", bytes: &bytes });
        assert_eq!(refused, Err(Fault::Identity { found: IDENTITY, expected }.at("s", 0)));
    }
}
