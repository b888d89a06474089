//! The group log behind a ledger: `propose -> committed(index, command)`.
//!
//! With one voter an entry is committed when it is durable. The shape is the one that replication
//! keeps: a new life takes a higher term, leads only once an entry of that term is committed, and
//! promises rest on committed entries.
//!
//! Inputs: `Start`, `Propose`, `Durable`. Events: `Led`, `Committed`. Does not do: elections,
//! replication (one voter).

mod config;
mod entry;
mod group;
mod head;
mod member;
mod message;

pub use config::ConsensusConfig;
pub use entry::{Entry, Origin, Payload};
pub use group::{Event, Group, GroupRecord, Input};
pub use head::Head;
pub use member::{Member, Membership};
pub use message::{Body, Message};
