//! Integration tests of the runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod load;
mod local;
