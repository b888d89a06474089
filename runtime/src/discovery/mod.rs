//! Discovery: where peers are today.
//!
//! A peer is known by its node id and said to be at an address, a name or a service. A name may
//! have many addresses, of which one is the peer: whoever greets as another node is not it, and the
//! next address is tried. Which one comes first is core's `discovery::Chooser`.

#[cfg(test)]
pub(crate) mod fake;
mod names;
mod target;

pub use names::{NameError, Names};
pub use target::{Target, TargetError};
