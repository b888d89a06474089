//! The load engine: HTTP/1.1 requests, sent at the pace that the core decides.
//!
//! One current-thread executor per core owns its connections, its read buffer and its totals, so
//! that nothing is shared on the way of a request. `engine` is the outside; `execute` and `run`
//! carry out one run, `user` one virtual user, `flow` what it does, `meter` what was measured.
//! Below them, `template` holds requests serialised once, `response` parses without copying,
//! `connection` carries one exchange at a time, `deadline` times them out, `target` is where they
//! go.

mod alarm;
mod capture;
pub mod connection;
pub mod deadline;
pub mod draw;
mod engine;
mod execute;
mod flow;
mod meter;
pub mod response;
mod run;
pub mod target;
pub mod template;
mod user;
mod watch;

pub use engine::Engine;
