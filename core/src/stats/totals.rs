//! Totals: what a run has measured since it began. Cumulative, so that loss, duplication and
//! reordering of reports are harmless, and mergeable by addition, so that sums over runs are exact.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use crate::bounded::{BoundedMap, BoundedVec};
use crate::limits;

/// Cumulative totals of a run, or of many runs added up.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Iterations that ran to the end of their flow.
    pub iterations: u64,
    /// Iterations that were open when their run ended.
    pub interrupted: u64,
    /// Arrivals that were planned and not issued: late, no free VU, or parked.
    pub dropped: u64,
    /// Time from the start of an iteration to its end, microseconds.
    pub iteration_duration: Histogram,
    /// Time from an arrival's planned instant to its start, microseconds; open loop only.
    pub start_lag: Histogram,
    /// Per request step of the flow, in the order of the flow (think steps have none).
    pub steps: BoundedVec<StepTotals, { limits::STEPS_MAX }>,
    /// Histograms know a value to `2^coarse / 1024` of itself; 0 unless they had too many buckets.
    pub coarse: u8,
    /// Plan seconds in which the load generator watched itself; one each per run, so that sums are
    /// core-seconds. Seconds before this count, or of an older worker, are not known.
    pub watched: u64,
    /// Of those, the ones in which it was at its limit, so that what was measured in them tells of
    /// it rather than of the target.
    pub saturated: u64,
}

/// What one step has measured. A request counts when it ended: response, error or timeout.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StepTotals {
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed: an error class or an unexpected status or body.
    pub failed: u64,
    /// Requests open when their run ended; not in `requests`.
    pub interrupted: u64,
    /// By class; they sum to `failed`.
    pub errors: Errors,
    /// Checks (`expect`) that held.
    pub checks_passed: u64,
    /// Checks that did not.
    pub checks_failed: u64,
    /// Bytes written.
    pub sent: u64,
    /// Bytes read.
    pub received: u64,
    /// Responses by status code.
    pub statuses: BoundedMap<u16, u64, { limits::STATUSES_MAX }>,
    /// k6's: first byte sent to last byte received, microseconds.
    pub duration: Histogram,
    /// The arrival's planned instant to last byte; open loop's first request only, else empty.
    pub latency: Histogram,
    /// Waiting for a free connection.
    pub blocked: Histogram,
    /// TCP connect; only requests that opened a connection.
    pub connecting: Histogram,
    /// Writing the request.
    pub sending: Histogram,
    /// Last byte sent to first byte received.
    pub waiting: Histogram,
    /// First to last byte received.
    pub receiving: Histogram,
}

/// Failed requests by class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Errors {
    /// The connection was refused or could not be made.
    pub refused: u64,
    /// The connection broke.
    pub reset: u64,
    /// No complete response in time.
    pub timeout: u64,
    /// A response with an unexpected status.
    pub status: u64,
    /// A malformed response, an unexpected body or a capture that found nothing.
    pub body: u64,
}
