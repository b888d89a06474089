//! Shares: how a workflow is split over shards, exactly. VUs by largest remainder, items by
//! stripes.
//!
//! An *item* is what the pacer issues. Its meaning depends on the executor:
//!
//! | executor | global item | local item | shares |
//! |---|---|---|---|
//! | constant-arrival-rate | arrival i | k-th arrival of the stripe | stripe |
//! | shared-iterations | iteration i | k-th iteration of the stripe | stripe |
//! | per-vu-iterations | (VU, i) | round i: every VU of the share does its i-th iteration | VUs |
//! | constant-vus | (VU, i) | round i | VUs |

use serde::{Deserialize, Serialize};

use super::model::Executor;

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

/// The global items `start + k * stride` for k = 0, 1, …; `start < stride`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stripe {
    /// The first item.
    pub start: u64,
    /// The distance to the next; the number of shards.
    pub stride: u64,
}

impl Stripe {
    /// The global item of a local one; saturating.
    pub const fn global(&self, local: u64) -> u64 {
        self.start.saturating_add(local.saturating_mul(self.stride))
    }

    /// How many of its items are below `end`, which is how many local items lie in `0..end`.
    pub const fn count_below(&self, end: u64) -> u64 {
        if self.stride == 0 { 0 } else { end.saturating_sub(self.start).div_ceil(self.stride) }
    }
}

/// Splits a workflow over `shards` shards. The VUs add up exactly and differ by at most one, the
/// first shards have one more; every global item is in exactly one stripe. `shards` is clamped so
/// that every shard has a VU and, where the items are counted, an item; at least one share comes
/// back.
pub fn shares(executor: &Executor, shards: u16) -> Vec<Share> {
    let shards = u32::from(shards.min(executor.shards_max()).max(1));
    let base = executor.vus().checked_div(shards).unwrap_or(0);
    let more = executor.vus().checked_rem(shards).unwrap_or(0);
    let share = |shard: u32| Share {
        vu_first: base.saturating_mul(shard).saturating_add(shard.min(more)),
        vus: base.saturating_add(u32::from(shard < more)),
        stripe: Stripe { start: u64::from(shard), stride: u64::from(shards) },
    };
    (0..shards).map(share).collect()
}
