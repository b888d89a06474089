//! What goes over the wire: frames, codec, messages.

pub mod codec;
pub mod frame;
mod message;

pub use message::*;
