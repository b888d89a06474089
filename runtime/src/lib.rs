//! The runtime: drives the core's machines with tokio, files and sockets, and generates the load.

pub mod boot;
pub mod calls;
pub mod clock;
pub mod config;
pub mod driver;
pub mod record;
pub mod store;
pub mod transport;
