//! The manager from outside: inputs in, effects out.

mod directed;
mod fleet;
mod histories;
mod parts;
mod rig;
