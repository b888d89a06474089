//! What a member shows of its group, read-only.

use hyperscale_core::consensus::{Group, Member};
use hyperscale_core::ids::{DiskId, GroupId, LogIndex, NodeId, Term};
use hyperscale_core::time::Instant;

use crate::node::AnyNode;

/// A member's own view of its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupView {
    /// The group; 0 before it is known.
    pub group: GroupId,
    /// The node and its disk.
    pub me: Member,
    /// The current term.
    pub term: Term,
    /// Whom it voted for in it.
    pub vote: Option<DiskId>,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// It leads, and an entry of its term is committed.
    pub leads: bool,
    /// The last entry it acts on.
    pub committed: LogIndex,
    /// The last entry of its log.
    pub last: LogIndex,
    /// Members that count and members that do not.
    pub members: (usize, usize),
}

macro_rules! view {
    ($group:expr) => {{
        let group: &Group<_> = $group;
        let members = group.membership();
        GroupView {
            group: group.id(),
            me: group.me(),
            term: group.term(),
            vote: group.vote(),
            leader: group.leader(),
            leads: group.leads(),
            committed: group.committed(),
            last: group.last(),
            members: (members.voters.len(), members.learners.len()),
        }
    }};
}

impl AnyNode {
    /// Its group, if it is a member of one.
    pub fn group(&self) -> Option<GroupView> {
        match self {
            AnyNode::Gate(node) => Some(view!(node.role().group())),
            AnyNode::Manager(node) => Some(view!(node.role().group())),
            AnyNode::Worker(_) => None,
        }
    }

    /// Whether it leads its group.
    pub fn leads(&self) -> bool {
        match self {
            AnyNode::Gate(node) => node.role().group().leads(),
            AnyNode::Manager(node) => node.role().group().leads(),
            AnyNode::Worker(_) => false,
        }
    }

    /// Whether it leads its group by a lease that lasts at this instant of its own clock.
    pub fn leads_at(&self, now: Instant) -> bool {
        match self {
            AnyNode::Gate(node) => node.role().group().leads_at(now),
            AnyNode::Manager(node) => node.role().group().leads_at(now),
            AnyNode::Worker(_) => false,
        }
    }

    /// The last entry that it acts on; 0 for a worker.
    pub fn committed(&self) -> LogIndex {
        match self {
            AnyNode::Gate(node) => node.role().group().committed(),
            AnyNode::Manager(node) => node.role().group().committed(),
            AnyNode::Worker(_) => LogIndex::new(0),
        }
    }
}
