//! What is under way for a job and its parts, and what `dispatch` wants done. Volatile data.

use super::models::{Duty, GateCommand};
use crate::ids::{JobId, NodeId, PartId, PartIx};
use crate::time::Instant;
use crate::wire::Message;

/// What a job needs from outside `dispatch`.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Wish {
    /// An untried datacenter for a part; without one, this entry.
    Place { part: PartId, otherwise: GateCommand },
    /// An entry for a job, or for one of its parts.
    Propose { job: JobId, part: Option<PartIx>, command: GateCommand },
    /// Its verdict.
    End(JobId),
    /// A message to a datacenter, resting on what is committed.
    Deliver { datacenter: String, attempt: u32, msg: Box<Message> },
}

/// What is under way for a job.
#[derive(Debug, Default)]
pub(super) struct Errand {
    /// The submission about the job as a whole that is not committed yet, by number.
    pub(super) in_flight: Option<u64>,
    /// When its parts are to start.
    pub(super) start_at: Option<Instant>,
    /// In the job's order.
    pub(super) parts: Vec<PartErrand>,
}

/// What is under way for a part.
#[derive(Debug, Default)]
pub(super) struct PartErrand {
    /// What was asked for last.
    pub(super) duty: Option<Duty>,
    /// The datacenter accepted the offer.
    pub(super) accepted: bool,
    /// Messages sent for this duty.
    pub(super) attempts: u32,
    /// When the datacenter was last heard to work on it.
    pub(super) heard: Option<Instant>,
    /// The submission about it that is not committed yet, by number.
    pub(super) in_flight: Option<u64>,
    /// Who was offered it last.
    pub(super) asked: Option<NodeId>,
    /// When it was offered first.
    pub(super) offered: Option<Instant>,
    /// Since when no datacenter was found for it.
    pub(super) unplaced: Option<Instant>,
}

impl Errand {
    /// Whether an entry about the job as a whole is in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether a datacenter is being chosen for a part.
    pub(super) fn is_placing(&self) -> bool {
        let placing = |part: &PartErrand| {
            part.is_busy() && matches!(part.duty, Some(Duty::Place | Duty::Offer(_)))
        };
        self.parts.iter().any(placing)
    }
}

impl PartErrand {
    /// Whether an entry about it is in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.is_some()
    }
}
