//! The gate: takes jobs from clients and routes their parts to datacenters.

mod ledger;
pub mod models;

pub use ledger::GateLedger;
pub use models::GateCommand;
