//! What members of a group say to each other.
//!
//! | body | from -> to | promises, and rests on | answered by |
//! |---|---|---|---|
//! | Join | new disk -> peers | nothing | Append of a leader that lets it in |
//! | Forward | member -> leader | its boot: the record of that | the commit |
//! | PreVote, PreVoted | voter <-> voter | nothing | PreVoted |
//! | Vote | candidate -> voter | its own vote: the ballot | Voted |
//! | Voted | voter -> candidate | a vote: the ballot | - |
//! | Append | leader -> member | its term: the ballot; not its entries | Appended, Rejected |
//! | Appended | member -> leader | entries up to `matched`: the record of that one | - |
//! | Rejected | member -> leader | its term: the ballot | Append |
//! | Chunk | leader -> member | its term: the ballot | Chunked, Appended |
//! | Chunked | member -> leader | pieces below `wanted`: the record of the last | Chunk |
//! | TransferNow | leader -> voter | that the leader's lease has ended for good | Vote to all |
//! | Read | member -> leader | its boot: the record of that | ReadAt, if the leader has its lease |
//! | ReadAt | leader -> member | everything committed before is at or below `index` | - |
//!
//! Every message names its sender's term and leaves only when the record of that term is durable.

use serde::{Deserialize, Serialize};

use super::{Chunk, Entry, Member, Position};
use crate::bounded::BoundedVec;
use crate::ids::{DiskId, GroupId, LogIndex, Term};
use crate::limits::{BATCH_ENTRIES_MAX, FORWARDED_MAX};

/// A message within a group. One of another group, or to a disk that is not there any more, changes
/// nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Message<C> {
    /// The group; of a node that joins, any.
    pub group: GroupId,
    /// Who speaks.
    pub from: Member,
    /// The disk that is spoken to; of a node that joins, 0: any.
    pub to: DiskId,
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
        replaces: Option<DiskId>,
    },
    /// Commands for the leader's log, in order.
    Forward {
        /// The boot of the sender's disk.
        boot: u64,
        /// The number of the first.
        first: u64,
        /// The commands.
        commands: BoundedVec<C, FORWARDED_MAX>,
    },
    /// Would you vote for me?
    PreVote {
        /// The term that the sender would stand in.
        wish: Term,
        /// The end of its log.
        last: Position,
    },
    /// Answers `PreVote`; binds nobody.
    PreVoted {
        /// The term asked about.
        wish: Term,
        /// Whether the sender would.
        granted: bool,
    },
    /// Vote for me in this message's term.
    Vote {
        /// The end of the sender's log.
        last: Position,
        /// The term whose leader has given up its lease for good and asked for this election:
        /// nobody owes it, or a leader before it, silence.
        handed: Option<Term>,
    },
    /// Answers `Vote` in the term of this message.
    Voted {
        /// Whether the sender's vote in this term is the receiver's.
        granted: bool,
    },
    /// I lead, and this follows in the log.
    Append {
        /// The leader's round: echoed, so that its lease can count from the send. 0: no answer is
        /// needed if it fits.
        round: u64,
        /// What the entries follow.
        prev: Position,
        /// The last committed entry.
        commit: LogIndex,
        /// The entries.
        entries: BoundedVec<Entry<C>, BATCH_ENTRIES_MAX>,
    },
    /// The sender's log is the leader's up to there, and that is durable.
    Appended {
        /// The round answered.
        round: u64,
        /// The last entry that is known to match and to be durable.
        matched: LogIndex,
    },
    /// The sender's log lacks or contradicts what the entries follow.
    Rejected {
        /// The round answered; 0 if it was one of an earlier term than the sender's.
        round: u64,
        /// What they should have followed.
        prev: LogIndex,
        /// The last position of the sender's log at which it may agree.
        hint: Position,
    },
    /// I lead, and this is a piece of a snapshot.
    Chunk {
        /// The leader's round.
        round: u64,
        /// The piece.
        chunk: Chunk,
    },
    /// Answers `Chunk`.
    Chunked {
        /// The round answered.
        round: u64,
        /// The last entry in the snapshot.
        index: LogIndex,
        /// The offset of the piece that is needed.
        wanted: u64,
    },
    /// Stand for election at once: my lease has ended for good.
    TransferNow,
    /// Up to where must be applied for a read that starts here?
    Read {
        /// The boot of the sender's disk.
        boot: u64,
        /// The newest read of that boot.
        number: u64,
    },
    /// Answers `Read`.
    ReadAt {
        /// The boot that asked.
        boot: u64,
        /// The newest read that this is about.
        number: u64,
        /// Up to there.
        index: LogIndex,
    },
}
