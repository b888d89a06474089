//! Groups of one to five members on a small deterministic network.

mod cluster;
mod directed;
mod golden;
mod holes;
mod host;
mod judge;
mod random;
