//! The production binaries with an independent target server that checks what reaches it: killed,
//! stopped, cut off and restarted while plans run. Real-time figures are printed, never asserted.
//!
//! Run with `cargo test --release -p hyperscale --features cluster-tests --test cluster --
//! --test-threads=1`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod api;
mod files;
mod harness;
mod network;
mod real;
mod target;

mod bad_input;
mod command_line;
mod nginx;
mod scenarios;
