//! The simulator: whole clusters of the real machines in one deterministic event loop.
//!
//! Nothing of a protocol is implemented here. The world (`world`) owns true time, the network, disks, clocks and load
//! engines; nodes are the core's own; oracles read ground truth and draw nothing.

#![forbid(unsafe_code)]

pub mod clock;
pub mod disk;
pub mod hash;
pub mod network;
pub mod queue;
pub mod streams;
