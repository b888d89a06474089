//! Messages between nodes: in-process queues or TCP, and datagrams between members. May lose,
//! never corrupts; the machines assume nothing better.
//!
//! A node dials the peers in its configuration (workers their managers, gates their managers and
//! the other gates, managers the others of their datacenter); whoever was dialled answers over the
//! same connection unless it dialled one itself. A connection opens with a greeting both ways:
//! another cluster, an unexpected role, datacenter or node, or another major version is refused
//! with both values, on both sides. A connection on which nothing sent is acknowledged for ten
//! seconds is taken down and dialled again: a link that heals is used at once.

mod greeting;
mod link;
mod outbox;
mod peers;
mod tcp;
mod udp;

pub use greeting::{Greeting, GreetingError, Hello, RoleName};
pub use peers::Peers;
pub use tcp::{Dial, Listener, dial, listen};
pub use udp::{Datagrams, Receiver};
