//! What is known of a part between its placing and its acceptance: who was asked, for how long, and
//! since when nobody could be. Volatile.

use std::time::Duration;

use super::{Dispatch, Timer};
use crate::gate::models::Duty;
use crate::ids::{NodeId, PartId};
use crate::time::Instant;

/// An offered part that found no other datacenter looks for one again so much later.
const PLACE_AGAIN: Duration = Duration::from_secs(1);

impl Dispatch {
    /// A datacenter was found for a part.
    pub(in crate::gate) fn on_routed(&mut self, id: PartId) {
        if let Some(errand) = self.errand(id) {
            errand.unplaced = None;
        }
    }

    /// No datacenter was found for a part. Whether that has lasted too long.
    pub(in crate::gate) fn on_unplaceable(&mut self, now: Instant, id: PartId) -> bool {
        let accept_within = self.accept_within;
        let Some(errand) = self.errand(id) else { return false };
        let since = *errand.unplaced.get_or_insert(now);
        if matches!(errand.duty, Some(Duty::Offer(_))) {
            self.timers.set(Timer::Missing(id), now.after(PLACE_AGAIN));
        }
        now.since(since) >= accept_within
    }

    /// A part is offered. Who had the offer before and did not answer.
    pub(in crate::gate) fn on_offering(
        &mut self,
        now: Instant,
        id: PartId,
        to: NodeId,
        attempt: u32,
    ) -> Option<NodeId> {
        let errand = self.errand(id)?;
        let before = errand.asked.replace(to).filter(|_| attempt > 0 && !errand.accepted);
        if attempt == 0 {
            errand.offered = Some(now);
        }
        before
    }

    /// How long ago a part was offered that is not known to be accepted.
    pub(in crate::gate) fn offered_for(&mut self, now: Instant, id: PartId) -> Option<Duration> {
        let errand = self.errand(id).filter(|errand| !errand.accepted)?;
        errand.offered.take().map(|at| now.since(at))
    }
}
