//! Collections with a cap in their type or their constructor.
//!
//! What crosses the wire or the journal is held in [`BoundedVec`], [`BoundedString`] and
//! [`BoundedMap`]: they decode element by element, never allocate from a length prefix, and refuse
//! whatever is above the cap. [`BoundedQueue`] is a queue inside a node. Hitting a cap hands the
//! element back and changes nothing.

mod map;
mod queue;
mod string;
mod vec;

pub use map::BoundedMap;
pub use queue::BoundedQueue;
pub use string::BoundedString;
pub use vec::BoundedVec;

/// More elements (bytes, for a string) than the cap allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} elements where at most {max} are allowed")]
pub struct TooMany {
    /// How many there were.
    pub found: usize,
    /// The cap.
    pub max: usize,
}

#[cfg(test)]
mod tests;
