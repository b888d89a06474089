//! The load engine: HTTP/1.1 requests, sent at the pace that the core decides.
//!
//! One current-thread executor per core owns its connections, its read buffer and its totals, so
//! that nothing is shared on the way of a request. `template` holds requests serialised once,
//! `response` parses without copying, `connection` carries one exchange at a time, `deadline` times
//! them out, `target` is where they go.

pub mod connection;
pub mod deadline;
pub mod response;
pub mod target;
pub mod template;
