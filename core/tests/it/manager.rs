//! The manager from outside: inputs in, effects out.

mod claims;
mod cluster;
mod directed;
mod drain;
mod failover;
mod fleet;
mod histories;
mod parts;
mod rig;
mod scheduling;
