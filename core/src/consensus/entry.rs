//! An entry of a group's log.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::ids::{DiskId, LogIndex, Term};

/// An entry of a group's log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry<C> {
    /// The term it was proposed in.
    pub term: Term,
    /// Its place.
    pub index: LogIndex,
    /// Who submitted it; `None` for what a leader proposed itself.
    pub origin: Option<Origin>,
    /// What it holds.
    pub payload: Payload<C>,
}

impl<C> Entry<C> {
    /// What it has for the ledger.
    pub fn command(&self) -> Option<&C> {
        match &self.payload {
            Payload::Command(command) => Some(command),
            Payload::Opened | Payload::Membership(_) => None,
        }
    }
}

/// A place in a log with the term of its entry. Of two logs, the one whose last position is higher
/// is newer.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Position {
    /// The term of the entry there.
    pub term: Term,
    /// The place.
    pub index: LogIndex,
}

/// What an entry holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Payload<C> {
    /// Opens a term.
    Opened,
    /// The members from this entry on, committed or not.
    Membership(Membership),
    /// Something for the ledger.
    Command(C),
}

/// Names a submission: one origin is applied at most once.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Origin {
    /// The disk of the node that submitted it.
    pub disk: DiskId,
    /// Counts the boots of that disk.
    pub boot: u64,
    /// Counts the submissions of that boot, from 1.
    pub seq: u64,
}
