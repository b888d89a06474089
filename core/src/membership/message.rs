//! What members say to each other: claims about lives, and the exchanges of a probe.
//!
//! Nothing here rests on a record: a lost, late or repeated message costs time, not safety. A
//! message with the most updates is shorter than a datagram.

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::effect::Volatile;
use crate::ids::{BootId, NodeId};
use crate::limits::SWIM_UPDATES_MAX;

/// What a member is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum MemberRole {
    /// Takes jobs; gates are members among themselves.
    Gate,
    /// Schedules a datacenter; a member with the workers there.
    Manager,
    /// Generates load; a member with the managers of its datacenter.
    Worker,
}

impl MemberRole {
    /// Whether both may be members of one table.
    pub const fn shares_table_with(self, other: MemberRole) -> bool {
        matches!(self, MemberRole::Gate) == matches!(other, MemberRole::Gate)
    }
}

/// Where a member stands. Of two claims about one incarnation the later of these holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Standing {
    /// Heard of, never reached: never suspected, never dead.
    #[default]
    Unconfirmed,
    /// Reached.
    Alive,
    /// Did not answer; may refute it.
    Suspect,
    /// Did not refute it.
    Dead,
    /// Said goodbye.
    Left,
}

impl Standing {
    /// All, in the order in which a later one holds against an earlier one.
    pub const ALL: [Standing; 5] =
        [Standing::Unconfirmed, Standing::Alive, Standing::Suspect, Standing::Dead, Standing::Left];

    /// Its name, as operators see it.
    pub const fn name(self) -> &'static str {
        match self {
            Standing::Unconfirmed => "unconfirmed",
            Standing::Alive => "alive",
            Standing::Suspect => "suspect",
            Standing::Dead => "dead",
            Standing::Left => "left",
        }
    }
}

/// A claim about one life of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Update {
    /// The node.
    pub node: NodeId,
    /// What it is.
    pub role: MemberRole,
    /// The life; 0 if none was ever heard of.
    pub boot: BootId,
    /// Raised by the node alone, to refute what is said of it.
    pub incarnation: u64,
    /// The claim.
    pub standing: Standing,
    /// Who makes it. Independent accusers shorten a suspicion.
    pub by: NodeId,
}

/// What a message asks or answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// Are you there?
    Ping {
        /// Echoed by the answer.
        seq: u64,
    },
    /// I am.
    Ack {
        /// Of the ping.
        seq: u64,
    },
    /// Ask this member for me.
    Ask {
        /// Echoed by the answer.
        seq: u64,
        /// Who is asked for.
        target: NodeId,
    },
    /// It answered.
    Relayed {
        /// Of the `Ask`.
        seq: u64,
        /// Who answered.
        target: NodeId,
    },
    /// I am here, it did not answer me.
    Nack {
        /// Of the `Ask`.
        seq: u64,
        /// Who did not.
        target: NodeId,
    },
    /// Nothing but the updates.
    News,
}

/// One datagram between members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// What the sender says of itself.
    pub sender: Update,
    /// What it asks or answers.
    pub kind: Kind,
    /// What it has heard of others.
    pub updates: BoundedVec<Update, SWIM_UPDATES_MAX>,
}

impl Volatile for Message {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SWIM_BYTES_MAX;
    use crate::wire::{self, codec};

    #[test]
    fn the_longest_message_fits_a_datagram() {
        let update = Update {
            node: NodeId::new(u64::MAX),
            role: MemberRole::Worker,
            boot: BootId::new(u64::MAX),
            incarnation: u64::MAX,
            standing: Standing::Left,
            by: NodeId::new(u64::MAX),
        };
        let mut updates = BoundedVec::new();
        while updates.push(update).is_ok() {}
        let kind = Kind::Nack { seq: u64::MAX, target: NodeId::new(u64::MAX) };
        let message = wire::Message::Swim(Message { sender: update, kind, updates });
        let length = codec::length(&message);
        assert!(length <= SWIM_BYTES_MAX, "{length}");
    }
}
