//! The manager from outside: inputs in, effects out.

mod claims;
mod directed;
mod drain;
mod fleet;
mod histories;
mod rig;
