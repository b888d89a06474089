//! The simulator: whole clusters of the real machines in one deterministic event loop.
//!
//! Nothing of a protocol is implemented here. The world (`world`) owns true time, the network,
//! disks, clocks and load engines; nodes are the core's own; oracles read ground truth and draw
//! nothing.

#![forbid(unsafe_code)]

pub mod annals;
pub mod card;
pub mod case;
pub mod clock;
pub mod disk;
pub mod edges;
pub mod engine;
pub mod faults;
pub mod hash;
pub mod history;
pub mod host;
pub mod jobs;
pub mod layout;
pub mod manner;
pub mod measure;
pub mod network;
pub mod node;
pub mod oracles;
pub mod patron;
pub mod plans;
pub mod queue;
pub mod reach;
pub mod scenario;
pub mod streams;
pub mod sweep;
pub mod tally;
pub mod truth;
pub mod view;
pub mod world;
