//! Property tests of the public surface of the core.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod frame;
mod gate;
mod golden;
mod journal;
mod manager;
mod pacer;
mod plan_shares;
mod raft;
mod stats;
mod timers;
mod versions;
mod worker;
