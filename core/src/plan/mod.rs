//! Plans: the checked model, executors, arrival schedules, shares, pacing and thresholds. All pure.

mod chain;
mod check;
mod cursor;
mod datacenters;
mod error;
mod executor;
mod expression;
mod metric;
mod model;
mod nearest;
mod pace;
mod placement;
mod priority;
pub mod raw;
mod schedule;
mod share;
mod slice;
pub mod threshold;
mod time;

pub use check::check;
pub use datacenters::{Datacenters, Site};
pub use error::{PathPart, PlanError};
pub use metric::MetricKind;
pub use model::*;
pub use nearest::nearest;
pub use pace::{Issue, Pace, Pacer};
pub use placement::Placement;
pub use priority::Priority;
pub use schedule::Schedule;
pub use share::{Lane, PartShare, Share, Stripe, shares};
pub use slice::Slice;
pub use time::PlanTime;
