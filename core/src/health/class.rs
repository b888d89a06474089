//! How well a datacenter is, from best to worst.

use serde::{Deserialize, Serialize};

/// How well a datacenter is. A full one is busy, never unhealthy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum HealthClass {
    /// Answers, and has a free core.
    Healthy,
    /// Answers, and every core is taken; or it recovers.
    Busy,
    /// Part of it does not answer, or most of it leaves, or its silence may be the network's.
    Degraded,
    /// Nothing is to be expected of it.
    #[default]
    Unhealthy,
}

impl HealthClass {
    /// The name people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Busy => "busy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// How much worse a destination of this class scores, thousandths.
    pub const fn severity(self) -> u64 {
        match self {
            Self::Healthy => 1_000,
            Self::Busy => 1_500,
            Self::Degraded | Self::Unhealthy => 3_000,
        }
    }

    /// Whether it is a failure, which must last before it counts.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Healthy | Self::Busy => false,
            Self::Degraded | Self::Unhealthy => true,
        }
    }
}
