//! Plain data of the gate.

mod command;
pub(super) mod job;

pub use command::{CancelCause, GateCommand, PartEnd};
pub use job::{Cancel, Duty, Job, Part};
