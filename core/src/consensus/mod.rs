//! A replicated log behind a ledger: Raft as a synchronous machine.
//!
//! `Propose` (a leader's decision) and `Submit` (any member's request) become entries; an entry is
//! committed when a majority of the configured voters holds it durably; `Committed` is what the
//! ledger applies. A leader is elected with pre-votes, persists its term and vote first, and knows
//! by its lease that nobody else leads. With one voter all of it happens with no network.
//!
//! Inputs: see [`Input`]. Events: see [`Event`]. Invariants: leader-per-term, vote-durable,
//! log-matching, persist-first, quorum-configured, recover-equal, bounded.
//!
//! | file | what |
//! |---|---|
//! | ballot, election | term, vote, silence; pre-votes and votes |
//! | log, recovery | entries in memory; what the journal folds to |
//! | leader, leading, replication, lease | a leader's term, its members' progress, its rounds |
//! | append | a member that is led |
//! | snapshot | the ledger for a member that lags |
//! | membership, transfer | who votes; handing over |
//! | forward, read | submissions and reads at any member |
//!
//! Does not do: apply commands, detect dead members, choose when to take snapshots.

mod append;
mod ballot;
mod command;
mod config;
mod election;
mod entry;
mod forward;
mod group;
mod head;
mod input;
mod leader;
mod leading;
mod lease;
mod log;
mod member;
mod membership;
mod message;
mod post;
mod read;
mod recovery;
mod replication;
mod snapshot;
mod transfer;

pub use command::Command;
pub use config::ConsensusConfig;
pub use entry::{Entry, Origin, Payload, Position};
pub use group::Group;
pub use head::Head;
pub use input::{Event, Input};
pub use member::{Member, Membership};
pub use message::{Body, Message};
pub use recovery::GroupRecord;
pub use snapshot::Chunk;
