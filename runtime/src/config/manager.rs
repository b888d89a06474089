//! A manager's file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyperscale_core::config::{ConfigError, ManagerConfig};
use hyperscale_core::ids::NodeId;
use serde::Deserialize;

use super::NodeFile;
use super::judgement::MembershipFile;
use super::shared::{self, ConsensusFile, LeaseFile, PeerFile};
use crate::transport::Dial;

/// A manager's file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagerFile {
    /// The cluster's number.
    pub cluster: u64,
    /// This node's number.
    pub node: u64,
    /// The datacenter it schedules.
    pub datacenter: String,
    /// Where the journal is kept.
    pub state_dir: PathBuf,
    /// Where gates, workers and the other managers connect.
    pub listen: SocketAddr,
    /// Every manager of the datacenter; this one may be among them.
    #[serde(default)]
    pub peers: Vec<PeerFile>,
    /// How long a worker may go on without hearing from its manager.
    #[serde(default)]
    pub lease: LeaseFile,
    /// The group's timers; the same for every manager of the datacenter.
    #[serde(default)]
    pub consensus: ConsensusFile,
    /// Load starts so long after every worker is ready.
    #[serde(default = "shared::start_delay_ms")]
    pub start_delay_ms: u64,
    /// A lost shard waits so long for a spare core, then the load shrinks.
    #[serde(default = "shared::replace_wait_ms")]
    pub replace_wait_ms: u64,
    /// A workflow waits so long for its first free core, then fails.
    #[serde(default = "shared::cores_wait_ms")]
    pub cores_wait_ms: u64,
    /// A run that issues next to nothing of what is due for so long is given to another worker.
    #[serde(default = "shared::stuck_after_ms")]
    pub stuck_after_ms: u64,
    /// After every gate was silent for so long, the datacenter decides timeouts by itself.
    #[serde(default = "shared::gate_silence_ms")]
    pub gate_silence_ms: u64,
    /// Reports of runs that the manager takes; above, workers report less often.
    #[serde(default = "shared::reports_per_second")]
    pub reports_per_second: u32,
    /// Probes and suspicions among managers and workers; the same for all of the datacenter.
    #[serde(default)]
    pub membership: MembershipFile,
    /// Journal entries between snapshots.
    #[serde(default = "shared::checkpoint_entries")]
    pub checkpoint_entries: u64,
    /// How long a manager that was asked to leave may take.
    #[serde(default = "shared::drain_timeout_ms")]
    pub drain_timeout_ms: u64,
    /// Record every input into this file.
    pub record: Option<PathBuf>,
    /// The environment; nodes of another do not talk to it.
    #[serde(default = "shared::environment")]
    pub environment: String,
    /// Write what happens into this file, one JSON object a line.
    pub event_log: Option<PathBuf>,
}

impl NodeFile for ManagerFile {
    type Config = ManagerConfig;

    fn checked(&self) -> Result<ManagerConfig, ConfigError> {
        let peers = shared::others(self.node, self.peers.iter().map(|peer| peer.node))?;
        let at_least = |field, value: u64, least: u64, range| {
            let error = ConfigError { field, value: value.to_string(), range };
            if value < least { Err(error) } else { Ok(()) }
        };
        at_least("stuck_after", self.stuck_after_ms, 1_000, "at least 1000 ms")?;
        at_least("gate_silence", self.gate_silence_ms, 1_000, "at least 1000 ms")?;
        at_least("reports_per_second", u64::from(self.reports_per_second), 1, "at least 1")?;
        Ok(ManagerConfig {
            lease: self.lease.checked()?,
            consensus: self.consensus.checked(peers)?,
            start_delay: Duration::from_millis(self.start_delay_ms),
            replace_wait: Duration::from_millis(self.replace_wait_ms),
            cores_wait: Duration::from_millis(self.cores_wait_ms),
            stuck_after: Duration::from_millis(self.stuck_after_ms),
            gate_silence: Duration::from_millis(self.gate_silence_ms),
            reports_per_second: self.reports_per_second,
            membership: self.membership.checked()?,
            checkpoint_entries: self.checkpoint_entries.max(1),
            ..ManagerConfig::new(NodeId::new(self.node), self.datacenter.clone())
        })
    }
}

impl ManagerFile {
    /// The other managers of the datacenter.
    pub fn dials(&self) -> Vec<Dial> {
        self.peers.iter().filter(|peer| peer.node != self.node).map(PeerFile::dial).collect()
    }
}
