//! Plan time: the clock of a workflow. It starts at zero when the workflow's load starts and never
//! stops.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since a workflow's load started; negative before the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PlanTime(i64);

impl PlanTime {
    /// The start.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// As nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// So long after the start; saturating.
    pub fn at(since_start: Duration) -> Self {
        Self(i64::try_from(since_start.as_nanos()).unwrap_or(i64::MAX))
    }

    /// So much later; saturating.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(Self::at(span).0))
    }

    /// So much earlier; saturating.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(Self::at(span).0))
    }

    /// The span since an earlier plan time; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The span since the start; zero before it.
    pub fn elapsed(self) -> Duration {
        self.since(Self::ZERO)
    }

    /// Seconds since the start that have begun: whole ones and the one that goes on.
    pub fn seconds_begun(self) -> u32 {
        u32::try_from(self.elapsed().as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
    }

    /// Whole seconds since the start; zero before it.
    pub fn second(self) -> u32 {
        u32::try_from(self.elapsed().as_secs()).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for PlanTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}
