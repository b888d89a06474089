//! The local journal: its byte format and its recovery. No file is opened here; a driver reads
//! and writes the bytes.
//!
//! What the driver owes, and what recovery leans on:
//! 1. A segment's header, and its directory entry, are durable before its first record is written.
//! 2. A segment is durable as a whole before the next one is created. The last is never deleted.
//! 3. The journal is durable up to a snapshot's lsn before the snapshot is renamed into place, and
//!    the snapshot is durable, directory included, before a segment that it covers is deleted.
//! 4. A torn tail is cut off (a file torn at offset 0 is deleted), and that is made durable,
//!    before anything is written. Each boot opens a new segment at `next_sequence`, `next_lsn`.

pub mod error;
mod record;
pub mod recover;
pub mod replay;
pub mod scan;
pub mod segment;
pub mod snapshot;

pub use record::{LedgerSnapshot, Record, RecoverError, Recovered, Snapshot};
