//! What is special about a case beside its faults. Most cases have nothing special; a few are made
//! for states that a short case with few jobs hardly comes to.

use std::time::Duration;

use hyperscale_core::plan::{Datacenters, Plan};

use crate::faults::Class;
use crate::layout::Layout;
use crate::plans;
use crate::streams::{Cursor, Stream, Streams};

/// The manner of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Nothing special.
    Usual,
    /// Many small jobs that may run anywhere, one after the other.
    Crowd,
    /// The first job runs for more seconds than windows are kept one by one.
    Long,
    /// The first job has a short timeout, and every gate is cut off when it comes.
    Forsaken,
    /// Every engine hangs while the first job runs.
    Frozen,
}

impl Manner {
    /// What a seed draws.
    pub fn of(streams: Streams, layout: Layout) -> Self {
        let several = layout.datacenters().len() > 1;
        match streams.draw(Stream::Client, 1 << 34, 0).below(1_000) {
            _ if Class::is_sparse(streams) => Self::Usual,
            0..60 if several => Self::Crowd,
            60..75 => Self::Long,
            75..100 => Self::Forsaken,
            100..135 => Self::Frozen,
            _ => Self::Usual,
        }
    }

    /// What the first job runs, where the manner says so.
    pub fn first_plan(self, streams: Streams) -> Option<Plan> {
        let mut cursor = streams.cursor(Stream::Client, (1 << 34) + 1);
        match self {
            Self::Usual | Self::Crowd => None,
            Self::Long => Some(plans::steady(cursor.within(2, 6), cursor.within(75, 90))),
            Self::Forsaken => {
                let mut plan = plans::steady(cursor.within(5, 40), 15);
                plan.timeout = Some(Duration::from_millis(cursor.within(3_000, 5_000)));
                Some(plan)
            }
            Self::Frozen => Some(plans::steady(cursor.within(10, 40), 20)),
        }
    }

    /// How many jobs there are beside the usual ones.
    pub fn more_jobs(self) -> u64 {
        match self {
            Self::Usual | Self::Long => 0,
            // The first job comes to nothing: one that may still complete.
            Self::Forsaken | Self::Frozen => 1,
            Self::Crowd => 5,
        }
    }
}

/// A job of a crowd.
pub fn small(cursor: &mut Cursor) -> Plan {
    let mut plan = plans::steady(cursor.within(4, 20), cursor.within(1, 3));
    plan.datacenters = Datacenters::Any(1);
    plan
}
