//! Protocol core: pure state machines and the values they are built from.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    missing_docs
)]

pub mod bounded;
pub mod crc;
pub mod digest;
mod fixed;
pub mod journal;
pub mod rng;
pub mod time;
pub mod timers;
pub mod wire;
