//! What a node writes to its journal: hard state and log entries. A flat sum; variants are
//! append-only.

use serde::{Deserialize, Serialize};

use crate::consensus::{Chunk, Entry, GroupRecord, Head, Membership};
use crate::gate::GateCommand;
use crate::gate::GateLedger;
use crate::ids::LogIndex;
use crate::ids::{DiskId, GroupId, Lsn, Term};
use crate::manager::ManagerCommand;
use crate::manager::ManagerLedger;
use crate::wire::codec::CodecError;

/// A journal record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A group was formed. The first record of a disk that founded one.
    Formed {
        /// Its random id.
        group: GroupId,
        /// Its first members.
        membership: Membership,
    },
    /// The disk wants to join a group. The first record of a disk that did not found one.
    Joining {
        /// The voter whose place it takes.
        replaces: Option<DiskId>,
    },
    /// The node began a boot.
    Booted,
    /// The node is in this term and cast this vote in it.
    Ballot {
        /// The term.
        term: Term,
        /// Whom it voted for.
        vote: Option<DiskId>,
    },
    /// An entry of the gates' log.
    Gate(Entry<GateCommand>),
    /// An entry of a datacenter's log.
    Manager(Entry<ManagerCommand>),
    /// The disk that wanted to join was let into this group.
    Joined {
        /// The group.
        group: GroupId,
    },
    /// A piece of a snapshot from the leader. The last one puts the snapshot in the place of the
    /// log and the ledger.
    Chunk(Chunk),
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

impl Record {
    /// The record as one of the gates' group.
    pub fn of_gates(&self) -> Option<GroupRecord<'_, GateCommand>> {
        match self {
            Self::Gate(entry) => Some(GroupRecord::Entry(entry)),
            Self::Manager(_) => None,
            Self::Formed { .. }
            | Self::Joining { .. }
            | Self::Booted
            | Self::Ballot { .. }
            | Self::Joined { .. }
            | Self::Chunk(_) => self.of_any(),
        }
    }

    /// The record as one of a datacenter's group.
    pub fn of_managers(&self) -> Option<GroupRecord<'_, ManagerCommand>> {
        match self {
            Self::Manager(entry) => Some(GroupRecord::Entry(entry)),
            Self::Gate(_) => None,
            Self::Formed { .. }
            | Self::Joining { .. }
            | Self::Booted
            | Self::Ballot { .. }
            | Self::Joined { .. }
            | Self::Chunk(_) => self.of_any(),
        }
    }

    fn of_any<C>(&self) -> Option<GroupRecord<'_, C>> {
        match self {
            Self::Formed { group, membership } => {
                Some(GroupRecord::Formed { group: *group, membership })
            }
            Self::Joining { replaces } => Some(GroupRecord::Joining { replaces: *replaces }),
            Self::Booted => Some(GroupRecord::Booted),
            Self::Ballot { term, vote } => Some(GroupRecord::Ballot { term: *term, vote: *vote }),
            Self::Joined { group } => Some(GroupRecord::Joined { group: *group }),
            Self::Chunk(chunk) => Some(GroupRecord::Chunk(chunk)),
            Self::Gate(_) | Self::Manager(_) => None,
        }
    }
}

/// A node's whole durable state up to a record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The group at the last applied entry.
    pub head: Head,
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
    /// A snapshot from the leader that was written whole does not decode.
    #[error("the snapshot that ends at {lsn:?} does not decode: {error}")]
    Chunk {
        /// The record of its last piece.
        lsn: Lsn,
        /// What the codec said.
        error: CodecError,
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
