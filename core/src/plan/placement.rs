//! What a plan asks of the datacenters that the gate chooses for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::limits;

/// Wishes about where parts go that any datacenter may take.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Placement {
    /// Datacenters that go before others that are as well, the first before the second.
    pub prefer: BoundedVec<String, { limits::DATACENTERS_MAX }>,
    /// Datacenters whose measured round trip from the gate is longer are left out.
    pub max_rtt: Option<Duration>,
}

impl Placement {
    /// The place of a datacenter among the preferred ones.
    pub fn rank(&self, datacenter: &str) -> Option<u16> {
        let found = self.prefer.iter().position(|name| name == datacenter)?;
        u16::try_from(found).ok()
    }
}
