//! Plans: the checked model, executors, arrival schedules, shares, pacing and thresholds. All pure.

mod model;
mod pace;
mod share;
mod slice;
mod time;

pub use model::*;
pub use pace::{Issue, Pace};
pub use share::{Share, Stripe};
pub use slice::Slice;
pub use time::PlanTime;
