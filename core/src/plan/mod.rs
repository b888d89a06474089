//! Plans: the checked model, executors, arrival schedules, shares, pacing and thresholds. All pure.

mod error;
mod model;
mod nearest;
mod pace;
pub mod raw;
mod share;
mod slice;
mod time;

pub use error::{PathPart, PlanError};
pub use model::*;
pub use nearest::nearest;
pub use pace::{Issue, Pace};
pub use share::{Share, Stripe};
pub use slice::Slice;
pub use time::PlanTime;
