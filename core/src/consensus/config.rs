//! How patient a group is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::ids::NodeId;
use crate::limits::{BATCH_BYTES_MAX, CHUNK_BYTES_MAX, RETAINED_MAX};

/// Timers of a group; the same on every member. The defaults keep a run going over the loss of a
/// leader within one datacenter; a group over several datacenters takes longer ones.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConsensusConfig {
    /// The other nodes that are or will be members.
    pub peers: Vec<NodeId>,
    /// How often a leader is heard.
    pub heartbeat: Duration,
    /// A voter that heard a leader votes for nobody for so long on its own clock.
    pub silence: Duration,
    /// A voter that heard no leader for a drawn time from here on
    pub election_min: Duration,
    /// up to here stands for election.
    pub election_max: Duration,
    /// How far a clock's rate may be from true time, parts per million.
    pub drift_ppm: u32,
    /// Bytes of entries in one message.
    pub batch_bytes: usize,
    /// Messages with entries that are unanswered at a time, per member.
    pub in_flight_max: usize,
    /// Bytes of a snapshot in one message.
    pub chunk_bytes: usize,
    /// Committed entries kept in memory for members that lag; one that lags further gets a
    /// snapshot.
    pub retained_entries: usize,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            heartbeat: Duration::from_millis(50),
            silence: Duration::from_millis(400),
            election_min: Duration::from_millis(450),
            election_max: Duration::from_millis(900),
            drift_ppm: 10_000,
            batch_bytes: 1 << 20,
            in_flight_max: 8,
            chunk_bytes: 256 << 10,
            retained_entries: 4096,
        }
    }
}

impl ConsensusConfig {
    /// How long a leader's lease lasts on its own clock, from the send of a round that a majority
    /// answered: `silence x (1 - drift) / (1 + drift)`, rounded down.
    pub fn lease(&self) -> Duration {
        let drift = u128::from(self.drift_ppm);
        let slow = self.silence.as_nanos().saturating_mul(1_000_000_u128.saturating_sub(drift));
        let nanos = slow.checked_div(1_000_000_u128.saturating_add(drift)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// The first field out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, value: Duration, range| {
            Err(ConfigError { field, value: format!("{value:?}"), range })
        };
        if self.heartbeat < Duration::from_millis(5) {
            return refuse("consensus.heartbeat", self.heartbeat, "5ms or more");
        }
        if self.silence < self.heartbeat.saturating_mul(3) {
            return refuse("consensus.silence", self.silence, "3 heartbeats or more");
        }
        if self.election_min < self.silence {
            return refuse("consensus.election_min", self.election_min, "silence or more");
        }
        if self.election_max <= self.election_min {
            return refuse("consensus.election_max", self.election_max, "above election_min");
        }
        if self.drift_ppm > 200_000 {
            return Err(ConfigError {
                field: "consensus.drift_ppm",
                value: self.drift_ppm.to_string(),
                range: "0..=200000",
            });
        }
        let sizes = [
            ("consensus.batch_bytes", self.batch_bytes, BATCH_BYTES_MAX, "1..=4194304"),
            ("consensus.in_flight_max", self.in_flight_max, 256, "1..=256"),
            ("consensus.chunk_bytes", self.chunk_bytes, CHUNK_BYTES_MAX, "1..=1048576"),
            ("consensus.retained_entries", self.retained_entries, RETAINED_MAX, "1..=65536"),
        ];
        for (field, value, max, range) in sizes {
            if value == 0 || value > max {
                return Err(ConfigError { field, value: value.to_string(), range });
            }
        }
        Ok(())
    }
}
