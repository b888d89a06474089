//! Judging a destination by what was heard of it: pure pieces that the roles put together.
//!
//! `class` names how well a datacenter is; `damper` turns evidence of the moment into a class that
//! does not flap; `correlation` tells many destinations that fail together from one that fails;
//! `breaker` stops asking whoever does not answer; `latency` is a window of measured round trips;
//! `overload` judges a node by what it measures of itself.
//! `signals` judges workers by liveness, readiness and progress.
//! Time is the caller's `Instant`; everything is integers and bounded. Does not do: send anything,
//! read a clock, decide where work goes.

mod breaker;
mod class;
mod config;
mod correlation;
mod damper;
mod latency;
mod overload;
pub mod signals;

pub use breaker::{Breaker, Circuit};
pub use class::HealthClass;
pub use config::HealthConfig;
pub use correlation::correlated;
pub use damper::{Damper, Moved};
pub use latency::Latency;
pub use overload::{Detector, Level};
