//! Plain data of the manager.

mod command;

pub use command::{ManagerCommand, RunOutcome};
