//! Who is in a group.

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::ids::{DiskId, NodeId};
use crate::limits::{LEARNERS_MAX, VOTERS_MAX};

/// A disk of a node: what votes and acknowledges. A node that lost its disk is another member.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Member {
    /// Where it is reached.
    pub node: NodeId,
    /// Who it is.
    pub disk: DiskId,
}

/// The configured members of a group. Quorums are counted over `voters`, whoever lives.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Membership {
    /// Those who vote and acknowledge.
    pub voters: BoundedVec<Member, VOTERS_MAX>,
    /// Those who receive the log and do not count.
    pub learners: BoundedVec<Member, LEARNERS_MAX>,
}

impl Membership {
    /// A group of one.
    pub fn of_one(member: Member) -> Self {
        let mut voters = BoundedVec::new();
        let _ = voters.push(member);
        Self { voters, learners: BoundedVec::new() }
    }

    /// Voters that make a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether this disk votes.
    pub fn is_voter(&self, disk: DiskId) -> bool {
        self.voters.iter().any(|member| member.disk == disk)
    }

    /// Voters and learners.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.voters.iter().chain(self.learners.iter()).copied()
    }
}
