//! The runtime: drives the core's machines with tokio, files and sockets, and generates the load.

pub mod api;
pub mod boot;
pub mod calls;
pub mod clock;
pub mod config;
pub mod demo;
pub mod discovery;
pub mod driver;
pub mod events;
pub mod formation;
pub mod host;
pub mod load;
pub mod local;
pub mod node;
pub mod plan_text;
pub mod record;
pub mod store;
pub mod summary;
pub mod transport;
