//! Plain data of the gate.

mod command;
pub(super) mod job;
mod session;

pub use command::{CancelCause, GateCommand, PartEnd};
pub use job::{Cancel, Duty, Job, Owner, Part};
pub use session::Session;
