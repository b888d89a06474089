//! A checked confirmation of one run.

use std::time::Duration;

use crate::plan::PlanTime;
use crate::time::Instant;

/// What a manager granted to a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::worker) struct Grant {
    /// When the heartbeat that it answers was sent, by this node's clock.
    pub(in crate::worker) sent: Instant,
    /// How long it lasts from there.
    pub(in crate::worker) ttl: Duration,
    /// Local items below this may be issued.
    pub(in crate::worker) ceiling: u64,
    /// The workflow's plan time when the confirmation was sent.
    pub(in crate::worker) plan_time: PlanTime,
}
