//! How patiently destinations are judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// The spans and counts of the judgement. The defaults are those of production; a simulation draws
/// shorter ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealthConfig {
    /// Every manager is probed so often.
    pub probe_every: Duration,
    /// The newest answered probe is older: the datacenter is suspected.
    pub suspect_after: Duration,
    /// The newest answered probe is older: it is unreachable.
    pub unreachable_after: Duration,
    /// A datacenter of which a minority was ever heard is given so long to show a quorum.
    pub initialising_for: Duration,
    /// A reported failure must last so long before it counts.
    pub failure_lasts: Duration,
    /// A recovering datacenter stays so long on every step.
    pub recovery_step: Duration,
    /// So many failures within `flap_window` are flapping.
    pub flaps: u32,
    /// See `flaps`.
    pub flap_window: Duration,
    /// A flapping datacenter stays degraded until it was well for so long.
    pub flap_hold: Duration,
    /// Silences that began within this of each other are one event.
    pub correlated_within: Duration,
    /// Such an event counts as the network's for so long.
    pub correlated_hold: Duration,
    /// So many unanswered messages in a row open a circuit.
    pub circuit_failures: u32,
    /// An open circuit admits a trial after this; doubles with every failed trial.
    pub circuit_open: Duration,
    /// The place that was chosen last is kept at least so long.
    pub route_hold: Duration,
    /// A datacenter that did not take a part scores twice as high for so long.
    pub cool_down: Duration,
    /// A full datacenter is left for another full one only if its wait is longer than this.
    pub spill_wait: Duration,
    /// And if the other's round trip is longer by no more than this.
    pub spill_rtt: Duration,
    /// What was reported or measured longer ago is not relied on.
    pub stale_after: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            probe_every: s(1),
            suspect_after: s(3),
            unreachable_after: s(10),
            initialising_for: s(30),
            failure_lasts: s(5),
            recovery_step: s(10),
            flaps: 3,
            flap_window: s(120),
            flap_hold: s(60),
            correlated_within: s(30),
            correlated_hold: s(60),
            circuit_failures: 3,
            circuit_open: s(10),
            route_hold: s(30),
            cool_down: s(60),
            spill_wait: s(60),
            spill_rtt: Duration::from_millis(100),
            stale_after: s(30),
        }
    }
}

impl HealthConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first field out of range.
    pub fn check(self) -> Result<Self, ConfigError> {
        let ms = Duration::from_millis;
        let refuse = |field, value: Duration, range| {
            Err(ConfigError { field, value: format!("{value:?}"), range })
        };
        if self.probe_every < ms(50) || self.probe_every > ms(60_000) {
            return refuse("health.probe_every", self.probe_every, "50 ms to 60 s");
        }
        if self.suspect_after < self.probe_every.saturating_mul(2) {
            let range = "at least twice probe_every_ms";
            return refuse("health.suspect_after", self.suspect_after, range);
        }
        if self.unreachable_after < self.suspect_after {
            let range = "at least suspect_after_ms";
            return refuse("health.unreachable_after", self.unreachable_after, range);
        }
        let counts =
            [("health.flaps", self.flaps), ("health.circuit_failures", self.circuit_failures)];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((field, _)) => {
                Err(ConfigError { field, value: "0".to_owned(), range: "at least 1" })
            }
            None => Ok(self),
        }
    }
}
