//! What an executor asks for in all: VUs, time, items, shards.

use std::time::Duration;

use super::model::Executor;
use super::schedule::Schedule;
use super::share::{PartShare, Share};
use super::time::PlanTime;

/// VUs of a closed loop that one core serves well.
const VUS_PER_CORE: u64 = 32;
/// Arrivals per second that one core serves well.
const RATE_PER_CORE: u128 = 5_000;
const SECOND_NANOS: u128 = 1_000_000_000;

impl Executor {
    /// VUs over all shards; for an open loop the cap on open iterations.
    pub const fn vus(&self) -> u32 {
        match *self {
            Self::ConstantVus { vus, .. }
            | Self::PerVuIterations { vus, .. }
            | Self::SharedIterations { vus, .. }
            | Self::ConstantArrivalRate { max_vus: vus, .. } => vus,
        }
    }

    /// For how long iterations may start.
    pub const fn planned_duration(&self) -> Duration {
        match *self {
            Self::ConstantVus { duration, .. } | Self::ConstantArrivalRate { duration, .. } => {
                duration
            }
            Self::PerVuIterations { max_duration, .. }
            | Self::SharedIterations { max_duration, .. } => max_duration,
        }
    }

    /// Iterations over all shards; `None` if only time ends them. Saturating.
    pub fn planned_items(&self) -> Option<u64> {
        match *self {
            Self::ConstantVus { .. } => None,
            Self::PerVuIterations { vus, iterations, .. } => {
                Some(iterations.saturating_mul(u64::from(vus)))
            }
            Self::SharedIterations { iterations, .. } => Some(iterations),
            Self::ConstantArrivalRate { .. } => self.schedule().map(|s| s.total()),
        }
    }

    /// VUs times planned seconds, rounded up and saturating: how much of a fleet the workflow
    /// takes, at most.
    pub fn vu_seconds(&self) -> u64 {
        let nanos = self.planned_duration().as_nanos().saturating_mul(u128::from(self.vus()));
        u64::try_from(nanos.div_ceil(SECOND_NANOS)).unwrap_or(u64::MAX)
    }

    /// When arrivals are due; `None` for closed loops.
    pub fn schedule(&self) -> Option<Schedule> {
        match *self {
            Self::ConstantArrivalRate { rate, duration, .. } => Some(Schedule::new(rate, duration)),
            Self::ConstantVus { .. }
            | Self::PerVuIterations { .. }
            | Self::SharedIterations { .. } => None,
        }
    }

    /// How many local items a share has, from item 0; `None` if only time ends them.
    pub fn local_items(&self, share: &Share) -> Option<u64> {
        match *self {
            Self::ConstantVus { .. } => None,
            Self::PerVuIterations { iterations, .. } => Some(iterations),
            Self::SharedIterations { .. } | Self::ConstantArrivalRate { .. } => {
                self.planned_items().map(|all| share.stripe.count_below(all))
            }
        }
    }

    /// How many local items of a share are due strictly before `until`. Closed loops have no
    /// schedule: zero.
    pub fn local_items_due_by(&self, share: &Share, until: PlanTime) -> u64 {
        self.schedule().map_or(0, |s| share.stripe.count_below(s.due_by(until)))
    }

    /// How many shards to split a part into, given how many workers have a free core and how many
    /// cores are free in all: one per such worker, more if the load needs it, never more than there
    /// are cores, VUs or items; at least 1.
    pub fn shards_wanted(&self, part: &PartShare, workers_free: u32, cores_free: u32) -> u16 {
        let demanded = self.cores_demanded(part).max(u64::from(workers_free));
        let wanted = demanded.min(u64::from(cores_free));
        u16::try_from(wanted).unwrap_or(u16::MAX).clamp(1, part.shards_max(self))
    }

    fn cores_demanded(&self, part: &PartShare) -> u64 {
        match *self {
            Self::ConstantVus { .. }
            | Self::PerVuIterations { .. }
            | Self::SharedIterations { .. } => u64::from(part.vus).div_ceil(VUS_PER_CORE),
            Self::ConstantArrivalRate { rate, .. } => {
                let served = RATE_PER_CORE.saturating_mul(rate.unit.as_nanos().max(1));
                let served = served.saturating_mul(u128::from(part.lane.period.max(1)));
                let offered = SECOND_NANOS.saturating_mul(u128::from(rate.count));
                let offered = offered.saturating_mul(u128::from(part.lane.width));
                u64::try_from(offered.div_ceil(served)).unwrap_or(u64::MAX)
            }
        }
    }
}
