//! What travels between nodes: frames, and the encoding of what they carry.

pub mod codec;
pub mod frame;
