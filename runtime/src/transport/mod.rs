//! Messages between nodes: in-process queues or TCP. May lose, never corrupts; the machines assume
//! nothing better.
//!
//! A node dials the peers in its configuration (workers their managers, gates their managers);
//! whoever was dialled answers over the same connection. A connection opens with a greeting both
//! ways: another cluster, an unexpected role or node, or another major version is refused with both
//! values, on both sides.

mod greeting;
mod link;
mod peers;
mod tcp;

pub use greeting::{Greeting, GreetingError, Hello, RoleName};
pub use peers::Peers;
pub use tcp::{Dial, Listener, dial, listen};
