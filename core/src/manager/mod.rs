//! The manager: schedules the workflows of a datacenter's parts on its workers.

mod ledger;
pub mod models;

pub use ledger::ManagerLedger;
pub use models::{ManagerCommand, RunOutcome};
