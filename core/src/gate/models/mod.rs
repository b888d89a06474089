//! Plain data of the gate.

mod command;
mod decision;
pub(super) mod job;
mod part;
mod session;
mod standing;

pub use command::{CancelCause, GateCommand, PartEnd};
pub use decision::{Candidate, Decided, Decision, Exclusion, Verdict, Why};
pub use job::{Cancel, Job, Next, Owner, Stopped, may_follow};
pub use part::{Duty, Part};
pub use session::Session;
pub use standing::{Reachability, Registration, Standing};
