//! The group log behind a ledger: `propose -> committed(index, command)`.
//!
//! With one voter an entry is committed when it is durable. The shape is the one that replication
//! keeps: a new life takes a higher term, leads only once an entry of that term is committed, and
//! promises rest on committed entries.
//!
//! Inputs: `Start`, `Propose`, `Durable`. Events: `Led`, `Committed`. Does not do: elections,
//! replication (one voter).

mod group;

pub use group::{Entry, Event, Group, Input};
