//! Shares: how a workflow is split over shards, exactly. VUs by largest remainder, items by stripes.
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
