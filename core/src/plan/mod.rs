//! Plans: the checked model, executors, arrival schedules, shares, pacing and thresholds. All pure.

mod cursor;
mod executor;
mod model;
mod pace;
mod schedule;
mod share;
mod slice;
mod time;

pub use model::*;
pub use pace::{Issue, Pace, Pacer};
pub use schedule::Schedule;
pub use share::{Share, Stripe, shares};
pub use slice::Slice;
pub use time::PlanTime;
