//! Hyperscale's gates, managers and workers as synchronous sans-IO state machines.
//!
//! Inputs go in, effects come out; nothing here knows a socket, a file, a thread or the wall clock.
//! The runtime and the simulator drive the same machines. ARCHITECTURE.md is the map;
//! `INVARIANTS.md` in this crate the register of promises.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::float_arithmetic
)]

pub mod api;
pub mod bounded;
pub mod client;
pub mod config;
pub mod consensus;
pub mod crc;
pub mod digest;
pub mod discovery;
pub mod effect;
mod fixed;
pub mod flow;
pub mod gate;
pub mod health;
pub mod ids;
pub mod input;
pub mod invariant;
pub mod journal;
pub mod lease;
pub mod limits;
pub mod machine;
pub mod manager;
pub mod membership;
pub mod node;
pub mod plan;
pub mod report;
pub mod rng;
pub mod stat;
pub mod stats;
pub mod time;
pub mod timers;
pub mod wire;
pub mod worker;
