//! A node's disk: identity, lock, journal segments and snapshots in one directory.
//!
//! The byte format and recovery live in `hyperscale_core::journal`; this module does the files, and
//! owes what that module's documentation lists. Damage is refused with file and offset, and nothing
//! is written.

mod disk;
mod journal;

pub use disk::{Disk, Expect, Owner};
pub use journal::Journal;

use std::io;
use std::path::PathBuf;

use hyperscale_core::journal::error::JournalError;
use hyperscale_core::wire::codec::CodecError;

/// Why a disk cannot be used. Nothing was written unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed; what was written before it may be on disk.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process uses the directory.
    #[error("{path} is in use by another process")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds no node's state, and must not begin one by itself.
    #[error("{path} holds no state of a node")]
    Unformed {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds something already.
    #[error("{path} is not empty: {detail}; nothing was changed")]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// What.
        detail: String,
    },
    /// The directory belongs to another node.
    #[error("{path} belongs to {found}, this is {expected}")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Who asks.
        expected: String,
    },
    /// The identity file does not parse.
    #[error("{path} is damaged: {detail}")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The journal is damaged where a torn tail cannot explain it.
    #[error("the journal is damaged: {0}")]
    Damaged(#[from] JournalError),
    /// A record or snapshot is too large to write.
    #[error("a record cannot be written: {0}")]
    TooLarge(#[from] CodecError),
    /// The journal's thread is gone.
    #[error("the journal stopped")]
    Stopped,
}

impl StoreError {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}

#[cfg(test)]
mod tests;
