//! The local journal.
