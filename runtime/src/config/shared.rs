//! What the files of several roles have in common.

use std::collections::BTreeSet;
use std::time::Duration;

use hyperscale_core::config::{ConfigError, LeaseConfig};
use hyperscale_core::consensus::ConsensusConfig;
use hyperscale_core::ids::NodeId;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::discovery::Target;
use crate::node::DEFAULT_ENVIRONMENT;
use crate::transport::Dial;

/// Plan time is slewed by 5 % at most: a fast and a slow clock, each off by more than this, would
/// part faster than that. `(1 + d) / (1 - d) <= 1.05`.
const DRIFT_PPM_MAX: u32 = 24_000;
/// Other members that a node may be configured with.
const PEERS_MAX: usize = 16;

/// A peer in a file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerFile {
    /// Its number.
    pub node: u64,
    /// `host:port`, `dns://host:port` or `srv://_service._proto.name`.
    #[serde(deserialize_with = "addr")]
    pub addr: String,
}

/// Confirmations in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseFile {
    /// How long a confirmation lasts.
    pub ttl_ms: u64,
    /// How far a clock's rate may be off, parts per million.
    pub drift_ppm: u32,
}

/// A group's timers in a file; every member has the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsensusFile {
    /// How often a leader is heard.
    pub heartbeat_ms: u64,
    /// A voter that heard a leader votes for nobody for so long.
    pub silence_ms: u64,
    /// A voter that heard no leader for a drawn time from here on
    pub election_min_ms: u64,
    /// up to here stands for election.
    pub election_max_ms: u64,
    /// How far a clock's rate may be off, parts per million.
    pub drift_ppm: u32,
}

impl Default for LeaseFile {
    fn default() -> Self {
        let LeaseConfig { ttl, drift_ppm } = LeaseConfig::default();
        Self { ttl_ms: ttl.as_millis() as u64, drift_ppm }
    }
}

impl Default for ConsensusFile {
    fn default() -> Self {
        let of = ConsensusConfig::default();
        Self {
            heartbeat_ms: of.heartbeat.as_millis() as u64,
            silence_ms: of.silence.as_millis() as u64,
            election_min_ms: of.election_min.as_millis() as u64,
            election_max_ms: of.election_max.as_millis() as u64,
            drift_ppm: of.drift_ppm,
        }
    }
}

impl PeerFile {
    /// As something to connect to.
    pub fn dial(&self) -> Dial {
        Dial { node: NodeId::new(self.node), addr: self.addr.clone() }
    }
}

impl LeaseFile {
    pub(super) fn checked(self) -> Result<LeaseConfig, ConfigError> {
        if self.drift_ppm > DRIFT_PPM_MAX {
            return Err(ConfigError {
                field: "lease.drift_ppm",
                value: self.drift_ppm.to_string(),
                range: "0..=24000: plan time is slewed by 5 % at most",
            });
        }
        let ttl = Duration::from_millis(self.ttl_ms);
        LeaseConfig { ttl, drift_ppm: self.drift_ppm }.check()
    }
}

impl ConsensusFile {
    /// The checked timers of a group whose other members are `peers`.
    pub(super) fn checked(self, peers: Vec<NodeId>) -> Result<ConsensusConfig, ConfigError> {
        let config = ConsensusConfig {
            peers,
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            silence: Duration::from_millis(self.silence_ms),
            election_min: Duration::from_millis(self.election_min_ms),
            election_max: Duration::from_millis(self.election_max_ms),
            drift_ppm: self.drift_ppm,
            ..ConsensusConfig::default()
        };
        config.check()?;
        Ok(config)
    }
}

/// The other nodes of a list in which `me` may stand as well.
pub(super) fn others(
    me: u64,
    peers: impl IntoIterator<Item = u64>,
) -> Result<Vec<NodeId>, ConfigError> {
    let refuse = |value, range| Err(ConfigError { field: "peers", value, range });
    let mut seen = BTreeSet::new();
    for node in peers {
        if !seen.insert(node) {
            return refuse(format!("node {node} twice"), "every node once");
        }
    }
    seen.remove(&me);
    if seen.len() > PEERS_MAX {
        return refuse(seen.len().to_string(), "0..=16 other nodes");
    }
    Ok(seen.into_iter().map(NodeId::new).collect())
}

pub(super) fn empty(field: &'static str) -> ConfigError {
    ConfigError { field, value: "empty".to_owned(), range: "at least one" }
}

/// An address that can be dialled.
pub(super) fn addr<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    let text = String::deserialize(source)?;
    text.parse::<Target>().map_err(D::Error::custom)?;
    Ok(text)
}

pub(super) fn environment() -> String {
    DEFAULT_ENVIRONMENT.to_owned()
}

pub(super) fn accept_within_ms() -> u64 {
    30_000
}

pub(super) fn start_in_ms() -> u64 {
    2_000
}

pub(super) fn result_grace_ms() -> u64 {
    60_000
}

pub(super) fn start_delay_ms() -> u64 {
    100
}

pub(super) fn replace_wait_ms() -> u64 {
    10_000
}

pub(super) fn cores_wait_ms() -> u64 {
    60_000
}

pub(super) fn stuck_after_ms() -> u64 {
    120_000
}

pub(super) fn gate_silence_ms() -> u64 {
    300_000
}

pub(super) fn reports_per_second() -> u32 {
    5_000
}

pub(super) fn session_ttl_ms() -> u64 {
    2_000
}

pub(super) fn drain_timeout_ms() -> u64 {
    30_000
}

pub(super) fn checkpoint_entries() -> u64 {
    10_000
}
