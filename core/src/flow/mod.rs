//! How much is let through, and how often it is tried again.

pub mod retry;
