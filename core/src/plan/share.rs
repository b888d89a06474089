//! Shares: how a workflow is split over parts (one datacenter each) and those over shards,
//! exactly. VUs by largest remainder, items by lanes of a period and stripes of a lane.
//!
//! An *item* is what the pacer issues. Its meaning depends on the executor:
//!
//! | executor | global item | local item | shares |
//! |---|---|---|---|
//! | constant-arrival-rate | arrival i | k-th arrival of the stripe | stripe |
//! | shared-iterations | iteration i | k-th iteration of the stripe | stripe |
//! | per-vu-iterations | (VU, i) | round i: every VU of the share does its i-th iteration | VUs |
//! | constant-vus | (VU, i) | round i | VUs |
//!
//! Numbers are global throughout, so what an iteration sends does not depend on the split. Every
//! global VU and every global item is in exactly one shard of exactly one part (shares-exact).

use serde::{Deserialize, Serialize};

use super::model::Executor;
use crate::limits;

/// The share of one shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Share {
    /// The global number of the first VU.
    pub vu_first: u32,
    /// How many VUs; the shares of a workflow add up to its VUs (or `max_vus`).
    pub vus: u32,
    /// Which global items are this shard's.
    pub stripe: Stripe,
}

/// The items `start + k * stride` of a lane, for k = 0, 1, …; `start < stride`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stripe {
    /// The first, as the lane counts.
    pub start: u64,
    /// The distance to the next; the number of shards.
    pub stride: u64,
    /// The lane.
    pub of: Lane,
}

/// The global items i with `first <= i % period < first + width`, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lane {
    /// The first residue.
    pub first: u64,
    /// How many residues; above zero.
    pub width: u64,
    /// The modulus; at least `first + width`.
    pub period: u64,
}

/// The share of one part of a job in one workflow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartShare {
    /// The global number of the first VU.
    pub vu_first: u32,
    /// How many VUs; at least 1 where the workflow has one for each part.
    pub vus: u32,
    /// Which global items are this part's.
    pub lane: Lane,
}

impl Lane {
    /// Every item.
    pub const ALL: Self = Self { first: 0, width: 1, period: 1 };

    /// The global item of one of the lane; saturating.
    pub const fn global(&self, item: u64) -> u64 {
        if self.width == 0 {
            return u64::MAX;
        }
        let rounds = (item / self.width).saturating_mul(self.period);
        rounds.saturating_add(self.first).saturating_add(item % self.width)
    }

    /// How many items of the lane are below a global one.
    pub const fn count_below(&self, end: u64) -> u64 {
        if self.period == 0 {
            return 0;
        }
        let rest = (end % self.period).saturating_sub(self.first);
        let rest = if rest < self.width { rest } else { self.width };
        (end / self.period).saturating_mul(self.width).saturating_add(rest)
    }
}

impl Stripe {
    /// A stripe of all items.
    pub const fn plain(start: u64, stride: u64) -> Self {
        Self { start, stride, of: Lane::ALL }
    }

    /// The global item of a local one; saturating.
    pub const fn global(&self, local: u64) -> u64 {
        self.of.global(self.start.saturating_add(local.saturating_mul(self.stride)))
    }

    /// How many of its items are below `end`, which is how many local items lie in `0..end`.
    pub const fn count_below(&self, end: u64) -> u64 {
        if self.stride == 0 {
            return 0;
        }
        self.of.count_below(end).saturating_sub(self.start).div_ceil(self.stride)
    }
}

impl PartShare {
    /// Of the only part.
    pub const fn whole(executor: &Executor) -> Self {
        Self { vu_first: 0, vus: executor.vus(), lane: Lane::ALL }
    }

    /// Of the part at `place`, when there is one part per weight; `None` if there is no such part.
    pub fn of(executor: &Executor, weights: &[u32], place: usize) -> Option<Self> {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let width_of = |weight: u32| u64::from(weight.checked_div(divisor).unwrap_or(0));
        let vus = apportion(executor.vus(), weights);
        Some(Self {
            vu_first: vus.get(..place)?.iter().copied().fold(0, u32::saturating_add),
            vus: *vus.get(place)?,
            lane: Lane {
                first: weights.get(..place)?.iter().copied().map(width_of).sum(),
                width: width_of(*weights.get(place)?),
                period: weights.iter().copied().map(width_of).sum(),
            },
        })
    }

    /// How many items the part has; `None` if only time ends them.
    pub fn items(&self, executor: &Executor) -> Option<u64> {
        match *executor {
            Executor::ConstantVus { .. } => None,
            Executor::PerVuIterations { iterations, .. } => {
                Some(iterations.saturating_mul(u64::from(self.vus)))
            }
            Executor::SharedIterations { .. } | Executor::ConstantArrivalRate { .. } => {
                executor.planned_items().map(|all| self.lane.count_below(all))
            }
        }
    }

    /// The most shards that leave each of them a VU and, where the items are counted, an item; at
    /// least 1.
    pub fn shards_max(&self, executor: &Executor) -> u16 {
        let items = match executor {
            Executor::ConstantVus { .. } | Executor::PerVuIterations { .. } => u64::MAX,
            Executor::SharedIterations { .. } | Executor::ConstantArrivalRate { .. } => {
                self.items(executor).unwrap_or(u64::MAX)
            }
        };
        let most = items.min(u64::from(self.vus)).min(limits::SHARDS_MAX as u64).max(1);
        u16::try_from(most).unwrap_or(u16::MAX)
    }
}

/// Splits a part of a workflow over `shards` shards. The VUs add up exactly and differ by at most
/// one, the first shards have one more; every item of the part is in exactly one stripe. `shards`
/// is clamped so that every shard has a VU and, where the items are counted, an item; at least one
/// share comes back.
pub fn shares(executor: &Executor, part: &PartShare, shards: u16) -> Vec<Share> {
    let shards = u32::from(shards.min(part.shards_max(executor)).max(1));
    let base = part.vus.checked_div(shards).unwrap_or(0);
    let more = part.vus.checked_rem(shards).unwrap_or(0);
    let share = |shard: u32| Share {
        vu_first: part
            .vu_first
            .saturating_add(base.saturating_mul(shard))
            .saturating_add(shard.min(more)),
        vus: base.saturating_add(u32::from(shard < more)),
        stripe: Stripe { start: u64::from(shard), stride: u64::from(shards), of: part.lane },
    };
    (0..shards).map(share).collect()
}

/// `total` in proportion to the weights, by largest remainder, earlier ones first on a tie. One
/// that would come away empty gets one of the largest, as long as that leaves it more than one.
fn apportion(total: u32, weights: &[u32]) -> Vec<u32> {
    let sum = weights.iter().copied().map(u64::from).sum::<u64>().max(1);
    let quota = |weight: &u32| u64::from(total).saturating_mul(u64::from(*weight));
    let whole = |scaled: u64| u32::try_from(scaled.checked_div(sum).unwrap_or(0)).unwrap_or(total);
    let mut parts: Vec<u32> = weights.iter().map(|weight| whole(quota(weight))).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    let remainder =
        |at: usize| weights.get(at).map_or(0, |w| quota(w).checked_rem(sum).unwrap_or(0));
    by_remainder.sort_by_key(|at| std::cmp::Reverse(remainder(*at)));
    let given = parts.iter().copied().fold(0u32, u32::saturating_add);
    let left = usize::try_from(total.saturating_sub(given)).unwrap_or(usize::MAX);
    for at in by_remainder.into_iter().take(left) {
        if let Some(part) = parts.get_mut(at) {
            *part = part.saturating_add(1);
        }
    }
    while let Some(empty) = parts.iter().position(|part| *part == 0) {
        let Some(largest) = parts.iter_mut().rev().max_by_key(|part| **part).filter(|p| **p > 1)
        else {
            break;
        };
        *largest = largest.saturating_sub(1);
        if let Some(part) = parts.get_mut(empty) {
            *part = 1;
        }
    }
    parts
}

const fn gcd(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
