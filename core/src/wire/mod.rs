//! What goes over the wire: frames, codec, messages.

pub mod codec;
pub mod frame;
mod message;
pub mod v1_0;
pub mod version;

pub use message::*;
