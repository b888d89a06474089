//! Plain data of the gate.

mod command;
pub(super) mod job;
mod part;

pub use command::{CancelCause, GateCommand, PartEnd};
pub use job::{Cancel, Job, Next, Stopped};
pub use part::{Duty, Part};
