//! Plain data of the gate.

mod command;

pub use command::GateCommand;
