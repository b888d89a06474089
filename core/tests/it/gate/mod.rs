//! The gate as the world sees it: inputs in, effects out, restarts from durable bytes.

mod calls;
mod cancel;
mod datacenters;
mod fences;
mod group;
mod owners;
mod parts;
mod random;
mod restart;
mod routing;
mod timeouts;
mod turns;
mod watch;
mod windows;
mod world;
