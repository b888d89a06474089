//! Why durable bytes are refused, with the file and the offset for the operator.

use super::segment::Identity;
use crate::wire::codec::CodecError;

/// Damage, or a disk that is not this node's. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, byte {offset}: {fault}")]
pub struct JournalError {
    /// The file's name as the driver gave it.
    pub file: String,
    /// Where in the file the refused structure starts, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a file of the journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The header is cut off, is not one of ours, or fails its checksum.
    #[error("the header is damaged")]
    Header,
    /// The file was written by another format version.
    #[error("format version {found} where {ours} is known")]
    Version {
        /// The file's version.
        found: u16,
        /// The version known here.
        ours: u16,
    },
    /// The file belongs to another cluster, node or disk.
    #[error("the file belongs to {found}, this is {expected}")]
    Identity {
        /// Whose file it is.
        found: Identity,
        /// Who we are.
        expected: Identity,
    },
    /// A segment is missing, or stands twice.
    #[error("segment {found} stands where {expected} is due")]
    Sequence {
        /// The sequence in the header.
        found: u64,
        /// The sequence that follows the segment before.
        expected: u64,
    },
    /// Records are missing, or stand twice.
    #[error("lsn {found} stands where {expected} is due")]
    Gap {
        /// The lsn in the file.
        found: u64,
        /// The lsn that follows the record before.
        expected: u64,
    },
    /// A record that was durable is damaged.
    #[error("a durable record is damaged; the record due is lsn {expected}")]
    Record {
        /// The lsn that the damaged record should have.
        expected: u64,
    },
    /// A record is damaged and its surroundings are made so that the search for a proof that it
    /// was durable would take too long.
    #[error("a record is damaged, and whether it was durable cannot be decided; due is {expected}")]
    Undecided {
        /// The lsn that the damaged record should have.
        expected: u64,
    },
    /// The payload of a snapshot is cut off, too long, or fails its checksum.
    #[error("the snapshot is damaged")]
    Snapshot,
    /// There is a snapshot but no segment, which the driver never leaves behind.
    #[error("the snapshot stands without a segment")]
    Alone,
    /// The bytes are intact but do not decode.
    #[error("lsn {lsn} does not decode: {error}")]
    Decode {
        /// The record, or for a snapshot the last lsn it covers.
        lsn: u64,
        /// What the codec said.
        error: CodecError,
    },
}

impl Fault {
    /// The error for this fault at `offset` of `file`.
    pub(super) fn at(self, file: &str, offset: usize) -> JournalError {
        JournalError { file: file.to_owned(), offset: offset as u64, fault: self }
    }
}
