//! What can happen to a group, and what it tells its role.

use super::Message;
use crate::ids::{LogIndex, Lsn, NodeId, Term};
use crate::journal::LedgerSnapshot;

/// What can happen to a group.
#[derive(Clone, PartialEq, Debug)]
pub enum Input<C> {
    /// The node runs. Sent once, with the first input of a boot.
    Start,
    /// A deadline passed.
    Wake,
    /// The journal is durable up to here.
    Durable(Lsn),
    /// A member, or one that wants to be, says something.
    Received {
        /// The node it came from.
        from: NodeId,
        /// What it says.
        msg: Box<Message<C>>,
    },
    /// A decision of the leader: into the log at `Group::next_index`, or nowhere. It is gone when
    /// leadership is lost before it is committed; dropped if `Group::leads` does not hold.
    Propose(C),
    /// A command of any member, numbered `Group::next_seq`: it is committed once, whoever leads,
    /// if this boot lives to see a quorum. Dropped without a number if `Group::has_room` does not
    /// hold.
    Submit(C),
    /// Everything committed before this is wanted: answered by `Event::Readable`, or never.
    Read(u64),
    /// The ledger as of `Group::committed`, for `Event::LedgerWanted`: the role gives it when it
    /// has applied every event.
    Ledger(Box<LedgerSnapshot>),
    /// Hand leadership to another voter. `Event::StoodDown` follows at once if there is one that
    /// was heard of late; otherwise nothing happens.
    Transfer,
}

/// What a group tells its role.
#[derive(Clone, PartialEq, Debug)]
pub enum Event<C> {
    /// An entry of this node's term is committed: it may confirm, read and answer.
    Led {
        /// The term.
        term: Term,
    },
    /// This node leads no more: whatever it decided as leader and is not committed is void.
    StoodDown,
    /// Somebody else leads, or nobody is known to.
    Followed {
        /// Who.
        leader: Option<NodeId>,
    },
    /// A command is committed: apply it.
    Committed {
        /// Its place; a fence if it grants something.
        index: LogIndex,
        /// What to apply.
        command: C,
        /// Its number, if this boot submitted it.
        seq: Option<u64>,
    },
    /// A snapshot replaces the ledger. Submissions up to `Group::settled_seq` are in it. The role
    /// takes a snapshot (`Group::snapshot`) next, so that the pieces leave the journal.
    Installed {
        /// The last entry it contains.
        index: LogIndex,
        /// The ledger.
        ledger: Box<LedgerSnapshot>,
    },
    /// Everything that was committed before the read is applied.
    Readable {
        /// The read.
        ticket: u64,
    },
    /// A member is so far behind that it needs the ledger: give it with `Input::Ledger`.
    LedgerWanted,
}
