//! What a node writes to its journal: hard state and log entries. A flat sum; variants are
//! append-only.

use serde::{Deserialize, Serialize};

use crate::consensus::Entry;
use crate::gate::GateCommand;
use crate::gate::GateLedger;
use crate::ids::LogIndex;
use crate::ids::{GroupId, Lsn, Term};
use crate::manager::ManagerCommand;
use crate::manager::ManagerLedger;

/// A journal record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A group was formed. The first record of a gate's or manager's disk.
    Formed {
        /// Its random id.
        group: GroupId,
    },
    /// The node is in this term.
    Termed {
        /// The term.
        term: Term,
    },
    /// An entry of the gates' log.
    Gate(Entry<GateCommand>),
    /// An entry of a datacenter's log.
    Manager(Entry<ManagerCommand>),
}

impl From<Entry<GateCommand>> for Record {
    fn from(entry: Entry<GateCommand>) -> Self {
        Self::Gate(entry)
    }
}

impl From<Entry<ManagerCommand>> for Record {
    fn from(entry: Entry<ManagerCommand>) -> Self {
        Self::Manager(entry)
    }
}

/// A node's whole durable state up to a record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The group the node is in.
    pub group: GroupId,
    /// Its term.
    pub term: Term,
    /// The last applied entry.
    pub index: LogIndex,
    /// The ledger at that entry.
    pub ledger: LedgerSnapshot,
}

/// A ledger in a snapshot.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum LedgerSnapshot {
    /// The gates'.
    Gate(Box<GateLedger>),
    /// A datacenter's.
    Manager(Box<ManagerLedger>),
}

/// What a disk gave back.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recovered {
    /// The newest usable snapshot and the last record it contains.
    pub snapshot: Option<(Lsn, Snapshot)>,
    /// Every record after it, in order.
    pub records: Vec<(Lsn, Record)>,
    /// The newest record on disk; 0 on an empty one.
    pub last: Lsn,
}

/// Why a role could not be built from its disk. Nothing was written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecoverError {
    /// The disk holds another role's records.
    #[error("the journal holds a {found} record at {lsn:?}; this node is a {role}")]
    ForeignRecord {
        /// Where.
        lsn: Lsn,
        /// What was found.
        found: &'static str,
        /// What this node is.
        role: &'static str,
    },
    /// Log entries are not consecutive.
    #[error("log entry {found:?} at {lsn:?} follows entry {last:?}")]
    LogGap {
        /// Where.
        lsn: Lsn,
        /// The entry before.
        last: LogIndex,
        /// The entry found.
        found: LogIndex,
    },
}
