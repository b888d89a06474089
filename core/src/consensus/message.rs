//! What members of a group say to each other.

use serde::{Deserialize, Serialize};

use super::Member;
use crate::ids::{GroupId, Term};

/// A message within a group. One of another group, or to a disk that is not there any more, changes
/// nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Message<C> {
    /// The group; of a node that joins, any.
    pub group: GroupId,
    /// Who speaks.
    pub from: Member,
    /// The speaker's term.
    pub term: Term,
    /// What it says.
    pub body: Body<C>,
}

/// What a member says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Body<C> {
    /// Let me in.
    Join {
        /// The voter whose place it takes.
        replaces: Option<crate::ids::DiskId>,
    },
    /// Commands for the leader's log, in order.
    Forward {
        /// The boot of the sender's disk.
        boot: u64,
        /// The number of the first.
        first: u64,
        /// The commands.
        commands: Vec<C>,
    },
}
