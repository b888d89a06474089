//! Metrics by name and kind.

use super::model::{Metric, ThresholdStat};

/// What a metric's samples are, hence which values it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// Times in milliseconds: all but `rate`.
    Trend,
    /// Shares: `rate`.
    Rate,
    /// Sums: `count`, and `rate` per second.
    Counter,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 17] = [
        Self::HttpReqs,
        Self::HttpReqFailed,
        Self::HttpReqDuration,
        Self::HttpReqLatency,
        Self::HttpReqBlocked,
        Self::HttpReqConnecting,
        Self::HttpReqSending,
        Self::HttpReqWaiting,
        Self::HttpReqReceiving,
        Self::Iterations,
        Self::IterationDuration,
        Self::IterationStartLag,
        Self::DroppedIterations,
        Self::DataSent,
        Self::DataReceived,
        Self::Checks,
        Self::Coverage,
    ];

    /// Its name in plans and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HttpReqs => "http_reqs",
            Self::HttpReqFailed => "http_req_failed",
            Self::HttpReqDuration => "http_req_duration",
            Self::HttpReqLatency => "http_req_latency",
            Self::HttpReqBlocked => "http_req_blocked",
            Self::HttpReqConnecting => "http_req_connecting",
            Self::HttpReqSending => "http_req_sending",
            Self::HttpReqWaiting => "http_req_waiting",
            Self::HttpReqReceiving => "http_req_receiving",
            Self::Iterations => "iterations",
            Self::IterationDuration => "iteration_duration",
            Self::IterationStartLag => "iteration_start_lag",
            Self::DroppedIterations => "dropped_iterations",
            Self::DataSent => "data_sent",
            Self::DataReceived => "data_received",
            Self::Checks => "checks",
            Self::Coverage => "coverage",
        }
    }

    /// The metric of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// What its samples are.
    pub const fn kind(self) -> MetricKind {
        match self {
            Self::HttpReqDuration
            | Self::HttpReqLatency
            | Self::HttpReqBlocked
            | Self::HttpReqConnecting
            | Self::HttpReqSending
            | Self::HttpReqWaiting
            | Self::HttpReqReceiving
            | Self::IterationDuration
            | Self::IterationStartLag => MetricKind::Trend,
            Self::HttpReqFailed | Self::Checks | Self::Coverage => MetricKind::Rate,
            Self::HttpReqs
            | Self::Iterations
            | Self::DroppedIterations
            | Self::DataSent
            | Self::DataReceived => MetricKind::Counter,
        }
    }

    /// Whether its samples belong to steps, so that a threshold may select one.
    pub const fn is_per_step(self) -> bool {
        match self {
            Self::Iterations
            | Self::IterationDuration
            | Self::IterationStartLag
            | Self::DroppedIterations
            | Self::Coverage => false,
            Self::HttpReqs
            | Self::HttpReqFailed
            | Self::HttpReqDuration
            | Self::HttpReqLatency
            | Self::HttpReqBlocked
            | Self::HttpReqConnecting
            | Self::HttpReqSending
            | Self::HttpReqWaiting
            | Self::HttpReqReceiving
            | Self::DataSent
            | Self::DataReceived
            | Self::Checks => true,
        }
    }

    /// Whether it has this value.
    pub const fn has(self, stat: ThresholdStat) -> bool {
        match self.kind() {
            MetricKind::Trend => !matches!(stat, ThresholdStat::Rate),
            MetricKind::Rate => matches!(stat, ThresholdStat::Rate),
            MetricKind::Counter => matches!(stat, ThresholdStat::Count | ThresholdStat::Rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_lead_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
        }
        assert_eq!(Metric::from_name("http_req_durations"), None);
    }

    #[test]
    fn kinds_have_their_values() {
        assert!(Metric::HttpReqDuration.has(ThresholdStat::Percentile(95_000)));
        assert!(!Metric::HttpReqDuration.has(ThresholdStat::Rate));
        assert!(Metric::Checks.has(ThresholdStat::Rate));
        assert!(!Metric::Checks.has(ThresholdStat::Count));
        assert!(Metric::HttpReqs.has(ThresholdStat::Count));
        assert!(!Metric::HttpReqs.has(ThresholdStat::Avg));
    }
}
