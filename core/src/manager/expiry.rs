//! Offers that were accepted and are never begun: after `begin_within` the acceptance is given up,
//! by an entry, so that the room is free and the gate may place the part anew.
//!
//! A begin that finds its offer given up is refused. One that names an offer that is not known any
//! more is first made void by an entry and refused when it comes again: were the offer to arrive
//! after that, late and doubled, neither would do anything.
//!
//! Invariant: part-placed-once.

use super::Manager;
use super::models::{ManagerCommand, Part};
use crate::ids::JobId;
use crate::machine::{Cx, Wake};
use crate::time::Instant;
use crate::timers::Timers;

/// Why a begin or an offer is refused for good.
pub(super) const EXPIRED: &str = "the offer was not begun in time";

/// Acceptances that wait to be begun. Volatile: a new leader waits anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Expiry(Timers<JobId>);

impl Expiry {
    /// The part does not wait any more.
    pub(super) fn forget(&mut self, job: JobId) {
        self.0.cancel(&job);
    }

    /// When the next is given up.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.0.next().map(|(at, _)| Wake { at, why: "a part was never begun" })
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn watch(&mut self, part: &Part, at: Instant) {
        if part.begun || part.cancelled {
            self.0.cancel(&part.id.job);
        } else {
            self.0.set(part.id.job, at);
        }
    }
}

impl Manager {
    /// A part was accepted, begun or cancelled, or this life leads.
    pub(super) fn watch_part(&mut self, cx: &Cx<'_>, job: JobId) {
        let Some(part) = self.ledger.of_job(job) else { return };
        self.gate_loss.watch(cx.now(), part);
        self.timeouts.watch(cx.now(), part);
        self.expiry.watch(part, cx.now().after(self.config.begin_within));
    }

    /// Gives up what was not begun in time.
    pub(super) fn on_expiries(&mut self, cx: &mut Cx<'_>) {
        while let Some(job) = self.expiry.0.pop_due(cx.now()) {
            let Some(part) = self.ledger.of_job(job).filter(|part| !part.begun) else { continue };
            let (part, offer) = (part.id, part.offer);
            self.propose(cx, ManagerCommand::Expire { part, offer });
        }
    }
}
