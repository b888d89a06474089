//! What goes over the wire: frames, codec, messages.

mod message;

pub use message::*;
