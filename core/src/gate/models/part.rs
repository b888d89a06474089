//! A job's share in a datacenter, as committed.

use serde::{Deserialize, Serialize};

use super::command::PartEnd;
use super::job::Cancel;
use crate::ids::LogIndex;
use crate::report::PartResult;

/// A job's share in a datacenter.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Part {
    /// The datacenter's name; empty while any may take it and none was asked.
    pub datacenter: String,
    /// The placing entry, once placed: the offer's fence.
    pub offer: Option<LogIndex>,
    /// The beginning entry: from here on the part never moves.
    pub begun: Option<LogIndex>,
    /// How it is over.
    pub end: Option<PartEnd>,
    /// Its result; moves into the job's when that ends.
    pub result: Option<Box<PartResult>>,
}

/// What a part needs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// A datacenter.
    Place,
    /// An answer to the offer with this fence.
    Offer(LogIndex),
    /// An answer to the begin with this fence, then a result.
    Begin(LogIndex),
    /// Its end, by the cancel with this fence.
    Cancel(LogIndex),
    /// Nothing, ever.
    Nothing,
}

impl Part {
    /// What it needs next, given the cancel of its job.
    pub fn duty(&self, cancel: Option<&Cancel>) -> Duty {
        match (self.offer, cancel) {
            _ if self.end.is_some() => Duty::Nothing,
            (None, None) => Duty::Place,
            (None, Some(_)) => Duty::Nothing,
            (Some(_), Some(cancel)) => Duty::Cancel(cancel.at),
            (Some(offer), None) => self.begun.map_or(Duty::Offer(offer), Duty::Begin),
        }
    }

    /// Whether it ran and its datacenter did not say how it ended.
    pub fn is_missing(&self) -> bool {
        self.begun.is_some() && self.end == Some(PartEnd::TimedOut)
    }

    /// Its result, if it reported one.
    pub fn reported(&self) -> Option<&PartResult> {
        self.result.as_deref().filter(|_| self.end == Some(PartEnd::Reported))
    }
}
