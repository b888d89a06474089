//! The production binaries on 127.0.0.1, with an independent target server that checks what reaches
//! it: killed, stopped and restarted while a plan runs. Real-time figures are printed, never
//! asserted.
//!
//! Run with `cargo test --release -p hyperscale --features cluster-tests --test cluster --
//! --test-threads=1`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod harness;
mod plans;
mod target;

mod bad_input;
mod gate_lost;
mod manager_lost;
mod nginx;
mod worker_lost;
