//! How well a node is, from what it measures of itself.

mod overload;

pub use overload::{Detector, Level};
