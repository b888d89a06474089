//! Plain data of the manager.

mod command;
mod key;
mod part;
mod shard;
mod workflow;

pub use command::{ManagerCommand, RunOutcome};
pub use key::WorkflowKey;
pub use part::{Buried, Part, Retry, Tombstone};
pub use shard::{Ended, Run, Shard};
pub use workflow::{StopCause, WorkflowState};
