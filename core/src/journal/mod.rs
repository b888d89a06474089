//! The local journal: records, snapshots, their byte format and recovery.

mod record;

pub use record::{LedgerSnapshot, Record, RecoverError, Recovered, Snapshot};
