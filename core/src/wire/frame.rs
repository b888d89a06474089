//! Frames on a byte stream between nodes.
//!
//! ```text
//! magic "HYS1" | major u16 | minor u16 | class u8 | zero u8 | length u32 | crc u32 | payload
//! ```
//! All numbers little-endian. `crc` is the CRC-32C of everything between magic and crc, then of
//! the payload, so that no flipped bit can change a class or a length unseen. The layout of the
//! header never changes; a payload is read only when the major versions are equal, whatever the
//! minor. Nothing here reads or writes a socket. A stream that gave an error stays refused: its
//! frame boundaries are lost, so the connection must be closed.

use super::version::{VERSION, Version};
use crate::crc::{crc32c, crc32c_append};
use crate::fixed::{take, take_u16, take_u32};

/// The first four bytes of every frame.
pub const MAGIC: [u8; 4] = *b"HYS1";
/// Bytes before the payload.
pub const HEADER_LEN: usize = 18;
/// The longest payload, in bytes.
pub const FRAME_MAX: usize = 8 << 20;
/// Spare room that an idle reader may keep, in bytes.
const IDLE_CAPACITY: usize = 256 << 10;

const _: () = assert!(FRAME_MAX <= u32::MAX as usize && FRAME_MAX <= super::codec::MAX);

/// One received frame; the payload is borrowed from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The minor version in whose form the payload is.
    pub minor: u16,
    /// The traffic class that the sender gave it.
    pub class: u8,
    /// What it carries.
    pub payload: &'a [u8],
}

/// Why a frame was not written, or a stream is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stream does not speak this protocol.
    #[error("a frame starts with {found:02x?}, not with {MAGIC:02x?}")]
    BadMagic {
        /// What stood in its place.
        found: [u8; 4],
    },
    /// The other side has another major version.
    #[error("protocol version {found} cannot talk to {ours}")]
    Version {
        /// The other side's version.
        found: Version,
        /// Our version.
        ours: Version,
    },
    /// The payload is longer than [`FRAME_MAX`].
    #[error("a payload of {len} bytes where {max} are allowed")]
    TooLarge {
        /// Its length, in bytes.
        len: u64,
        /// The bound, in bytes.
        max: u64,
    },
    /// The bytes are not those that were sent.
    #[error("the checksum does not match")]
    Checksum,
}

/// Appends one frame to `out`, whose payload is in the form of our minor.
///
/// # Errors
/// [`FrameError::TooLarge`]; `out` is unchanged.
pub fn encode_frame(class: u8, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    encode_frame_of(VERSION.minor, class, payload, out)
}

/// Appends one frame to `out`, whose payload is in the form of `minor`.
///
/// # Errors
/// [`FrameError::TooLarge`]; `out` is unchanged.
pub fn encode_frame_of(
    minor: u16,
    class: u8,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    if payload.len() > FRAME_MAX {
        return Err(too_large(payload.len() as u64));
    }
    out.reserve(HEADER_LEN.saturating_add(payload.len()));
    out.extend(MAGIC);
    let fields = fields(Version { minor, ..VERSION }, class, payload.len() as u32);
    out.extend(fields);
    out.extend(crc32c_append(crc32c(&fields), payload).to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// Turns received bytes, however they were cut, back into frames.
///
/// Take every frame after each push: what is held is then less than one frame and one push. The
/// buffer grows with the bytes received, never with a length that was only announced.
#[derive(Clone, Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that belong to frames already returned.
    used: usize,
    failed: Option<FrameError>,
}

impl FrameReader {
    /// At the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), used: 0, failed: None }
    }

    /// Takes received bytes; drops them once the stream is refused.
    pub fn push(&mut self, received: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.used >= self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(IDLE_CAPACITY);
        } else if self.used > 0 {
            self.buffer.drain(..self.used);
        }
        self.used = 0;
        self.buffer.extend_from_slice(received);
    }

    /// The next whole frame, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// What is wrong with the stream, at this and every later call.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match parse(self.buffer.get(self.used..).unwrap_or_default()) {
            Ok(None) => Ok(None),
            Ok(Some((frame, len))) => {
                self.used = self.used.saturating_add(len);
                Ok(Some(frame))
            }
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// Bytes of an unfinished frame that are held.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len().saturating_sub(self.used)
    }
}

/// The first frame of `bytes` and its whole length, or `None` if it is not all there.
fn parse(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let mut rest = bytes;
    let Some(found) = take(&mut rest) else { return Ok(None) };
    if found != MAGIC {
        return Err(FrameError::BadMagic { found });
    }
    let Some(header) = Header::parse(rest) else { return Ok(None) };
    if header.version.major != VERSION.major {
        return Err(FrameError::Version { found: header.version, ours: VERSION });
    }
    let len = header.len as usize;
    if len > FRAME_MAX {
        return Err(too_large(u64::from(header.len)));
    }
    let end = HEADER_LEN.saturating_add(len);
    let Some(payload) = bytes.get(HEADER_LEN..end) else { return Ok(None) };
    let checked = fields(header.version, header.class, header.len);
    // Compared whole, so that a flipped bit in the reserved byte counts too.
    if !rest.starts_with(&checked) || crc32c_append(crc32c(&checked), payload) != header.crc {
        return Err(FrameError::Checksum);
    }
    Ok(Some((Frame { minor: header.version.minor, class: header.class, payload }, end)))
}

struct Header {
    version: Version,
    class: u8,
    len: u32,
    crc: u32,
}

impl Header {
    /// Reads what follows the magic.
    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let version = Version { major: take_u16(&mut bytes)?, minor: take_u16(&mut bytes)? };
        let [class, _reserved] = take(&mut bytes)?;
        Some(Self { version, class, len: take_u32(&mut bytes)?, crc: take_u32(&mut bytes)? })
    }
}

/// The checked part of the header.
fn fields(version: Version, class: u8, len: u32) -> [u8; 10] {
    let [a, b] = version.major.to_le_bytes();
    let [c, d] = version.minor.to_le_bytes();
    let [e, f, g, h] = len.to_le_bytes();
    [a, b, c, d, class, 0, e, f, g, h]
}

fn too_large(len: u64) -> FrameError {
    FrameError::TooLarge { len, max: FRAME_MAX as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(class: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_frame(class, payload, &mut out).unwrap();
        out
    }

    fn refused(bytes: &[u8]) -> FrameError {
        let mut reader = FrameReader::new();
        reader.push(bytes);
        let error = reader.next_frame().unwrap_err();
        reader.push(&one(1, b"fine"));
        assert_eq!(reader.next_frame(), Err(error), "a refused stream stays refused");
        error
    }

    #[test]
    fn layout_is_stable() {
        let bytes = one(3, b"123456789");
        assert_eq!(bytes[..14], *b"HYS1\x01\x00\x01\x00\x03\x00\x09\x00\x00\x00");
        let checked = crc32c(b"\x01\x00\x01\x00\x03\x00\x09\x00\x00\x00123456789");
        assert_eq!(bytes[14..18], checked.to_le_bytes());
        assert_eq!(bytes[18..], *b"123456789");
    }

    #[test]
    fn byte_by_byte_gives_the_frame_only_at_its_end() {
        let bytes = one(3, b"payload");
        let mut reader = FrameReader::new();
        for byte in &bytes[..bytes.len() - 1] {
            reader.push(&[*byte]);
            assert_eq!(reader.next_frame(), Ok(None));
        }
        reader.push(&bytes[bytes.len() - 1..]);
        let frame = Frame { minor: VERSION.minor, class: 3, payload: b"payload" };
        assert_eq!(reader.next_frame(), Ok(Some(frame)));
        assert_eq!(reader.next_frame(), Ok(None));
        assert_eq!(reader.pending(), 0);
    }

    #[test]
    fn another_protocol_is_told_at_its_fourth_byte() {
        assert_eq!(refused(b"GET "), FrameError::BadMagic { found: *b"GET " });
    }

    #[test]
    fn majors_must_match_and_minors_need_not() {
        let mut bytes = one(0, b"");
        bytes[4] = 2;
        let found = Version { major: 2, ..VERSION };
        assert_eq!(refused(&bytes), FrameError::Version { found, ours: VERSION });

        let newer = fields(Version { major: 1, minor: 7 }, 0, 0);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(newer);
        bytes.extend(crc32c(&newer).to_le_bytes());
        let mut reader = FrameReader::new();
        reader.push(&bytes);
        assert_eq!(reader.next_frame().unwrap().unwrap().minor, 7);
    }

    #[test]
    fn size_is_checked_when_writing_and_before_the_payload_is_awaited() {
        let mut out = vec![1];
        let long = vec![0; FRAME_MAX + 1];
        let error = FrameError::TooLarge { len: FRAME_MAX as u64 + 1, max: FRAME_MAX as u64 };
        assert_eq!(encode_frame(0, &long, &mut out), Err(error));
        assert_eq!(out, [1]);
        let mut bytes = one(0, b"");
        bytes[10..14].copy_from_slice(&(FRAME_MAX as u32 + 1).to_le_bytes());
        assert_eq!(refused(&bytes[..18]), error);
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let bytes = one(0, &vec![7; FRAME_MAX]);
        let mut reader = FrameReader::new();
        reader.push(&bytes[..100]);
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.buffer.capacity() < 1_000);
        reader.push(&bytes[100..]);
        assert_eq!(reader.next_frame().unwrap().unwrap().payload.len(), FRAME_MAX);
        reader.push(&one(1, b"small"));
        assert!(reader.buffer.capacity() <= IDLE_CAPACITY, "a long frame's room is given back");
        assert_eq!(reader.next_frame().unwrap().unwrap().payload, b"small");
    }

    #[test]
    fn damage_is_told() {
        let bytes = one(3, b"payload");
        for at in [6, 8, 9, 14, 18, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(refused(&damaged), FrameError::Checksum, "byte {at}");
        }
    }
}
