//! Plain data of the gate.

mod command;
pub(super) mod job;
mod part;
mod session;

pub use command::{CancelCause, GateCommand, PartEnd};
pub use job::{Cancel, Job, Next, Owner, Stopped};
pub use part::{Duty, Part};
pub use session::Session;
