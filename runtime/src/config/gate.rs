//! A gate's file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyperscale_core::config::{AdmissionConfig, ConfigError, DatacenterConfig, GateConfig};
use hyperscale_core::ids::NodeId;
use serde::Deserialize;

use super::NodeFile;
use super::judgement::{HealthFile, MembershipFile};
use super::shared::{self, ConsensusFile, PeerFile};
use crate::transport::Dial;

/// A gate's file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateFile {
    /// The cluster's number; the same in every node's file.
    pub cluster: u64,
    /// This node's number, unique in the cluster.
    pub node: u64,
    /// Where the journal is kept.
    pub state_dir: PathBuf,
    /// Where the HTTP API listens.
    pub api: SocketAddr,
    /// Where other gates connect; needed if there are any.
    pub listen: Option<SocketAddr>,
    /// Every gate of the cluster; this one may be among them.
    #[serde(default)]
    pub peers: Vec<GatePeerFile>,
    /// The datacenters jobs may run in, in order of preference.
    pub datacenters: Vec<DatacenterFile>,
    /// How long after a plan's end its result is waited for.
    #[serde(default = "shared::result_grace_ms")]
    pub result_grace_ms: u64,
    /// An offer that nobody answered by then goes to another datacenter, or fails its job.
    #[serde(default = "shared::accept_within_ms")]
    pub accept_within_ms: u64,
    /// The parts of a job in several datacenters start so long after they were begun.
    #[serde(default = "shared::start_in_ms")]
    pub start_in_ms: u64,
    /// A gate that its group has not heard for so long loses its jobs to another.
    #[serde(default = "shared::session_ttl_ms")]
    pub session_ttl_ms: u64,
    /// The group's timers; the same for every gate.
    #[serde(default)]
    pub consensus: ConsensusFile,
    /// Journal entries between snapshots.
    #[serde(default = "shared::checkpoint_entries")]
    pub checkpoint_entries: u64,
    /// How long a gate that was asked to leave may take.
    #[serde(default = "shared::drain_timeout_ms")]
    pub drain_timeout_ms: u64,
    /// Record every input into this file.
    pub record: Option<PathBuf>,
    /// The environment; nodes of another do not talk to it.
    #[serde(default = "shared::environment")]
    pub environment: String,
    /// Write what happens into this file, one JSON object a line.
    pub event_log: Option<PathBuf>,
    /// What the gate takes from clients; the same for every gate.
    #[serde(default)]
    pub admission: AdmissionFile,
    /// How it judges datacenters; the same for every gate.
    #[serde(default)]
    pub health: HealthFile,
    /// Probes and suspicions among the gates.
    #[serde(default)]
    pub membership: MembershipFile,
}

/// What a gate takes from clients.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionFile {
    /// Jobs that run at a time; further ones wait for their turn.
    pub jobs_running_max: u32,
    /// Submissions of one client in ten seconds; 0: as many as it likes.
    pub submissions_per_10s: u32,
    /// Questions of one client about jobs in ten seconds; 0: as many as it likes.
    pub questions_per_10s: u32,
    /// Lists of one client in ten seconds; 0: as many as it likes.
    pub lists_per_10s: u32,
    /// A job that waits is overtaken for so long by jobs that fit elsewhere.
    pub queue_patience_ms: u64,
    /// The memory that the gate may use; without it, what its control group or the machine has.
    pub memory_max_mb: Option<u64>,
}

impl Default for AdmissionFile {
    fn default() -> Self {
        let config = AdmissionConfig::default();
        Self {
            jobs_running_max: config.jobs_running_max,
            submissions_per_10s: config.submissions,
            questions_per_10s: config.questions,
            lists_per_10s: config.lists,
            queue_patience_ms: u64::try_from(config.queue_patience.as_millis()).unwrap_or(u64::MAX),
            memory_max_mb: None,
        }
    }
}

impl AdmissionFile {
    fn checked(&self) -> Result<AdmissionConfig, ConfigError> {
        if self.jobs_running_max == 0 {
            return Err(ConfigError {
                field: "jobs_running_max",
                value: "0".to_owned(),
                range: "at least 1",
            });
        }
        Ok(AdmissionConfig {
            jobs_running_max: self.jobs_running_max,
            submissions: self.submissions_per_10s,
            questions: self.questions_per_10s,
            lists: self.lists_per_10s,
            queue_patience: Duration::from_millis(self.queue_patience_ms),
        })
    }
}

/// A gate in a gate's file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePeerFile {
    /// Its number.
    pub node: u64,
    /// Where it listens for gates: `host:port`, `dns://host:port` or `srv://_service._proto.name`.
    #[serde(deserialize_with = "shared::addr")]
    pub addr: String,
    /// `host:port` of its HTTP API as clients reach it; without it they are not sent there.
    pub api: Option<String>,
}

/// A datacenter in a gate's file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatacenterFile {
    /// Its name.
    pub name: String,
    /// Its managers.
    pub managers: Vec<PeerFile>,
}

impl NodeFile for GateFile {
    type Config = GateConfig;

    fn checked(&self) -> Result<GateConfig, ConfigError> {
        if self.datacenters.is_empty() {
            return Err(shared::empty("datacenters"));
        }
        let peers = shared::others(self.node, self.peers.iter().map(|peer| peer.node))?;
        if !peers.is_empty() && self.listen.is_none() {
            return Err(ConfigError {
                field: "listen",
                value: "nothing".to_owned(),
                range: "an address where the peers connect",
            });
        }
        if !(100..=300_000).contains(&self.session_ttl_ms) {
            return Err(ConfigError {
                field: "session_ttl",
                value: format!("{} ms", self.session_ttl_ms),
                range: "100 ms to 300 s",
            });
        }
        let datacenters = self.datacenters.iter().map(DatacenterFile::checked);
        Ok(GateConfig {
            result_grace: Duration::from_millis(self.result_grace_ms),
            accept_within: Duration::from_millis(self.accept_within_ms),
            start_in: Duration::from_millis(self.start_in_ms),
            session_ttl: Duration::from_millis(self.session_ttl_ms),
            checkpoint_entries: self.checkpoint_entries.max(1),
            admission: self.admission.checked()?,
            health: self.health.checked()?,
            membership: self.membership.checked()?,
            consensus: self.consensus.checked(peers)?,
            ..GateConfig::new(NodeId::new(self.node), datacenters.collect::<Result<_, _>>()?)
        })
    }
}

impl GateFile {
    /// The other gates.
    pub fn dials(&self) -> Vec<Dial> {
        let others = self.peers.iter().filter(|peer| peer.node != self.node);
        others.map(|peer| Dial { node: NodeId::new(peer.node), addr: peer.addr.clone() }).collect()
    }

    /// The other gates' APIs, where they are configured.
    pub fn apis(&self) -> BTreeMap<NodeId, String> {
        let others = self.peers.iter().filter(|peer| peer.node != self.node);
        others.filter_map(|peer| Some((NodeId::new(peer.node), peer.api.clone()?))).collect()
    }
}

impl DatacenterFile {
    fn checked(&self) -> Result<DatacenterConfig, ConfigError> {
        if self.managers.is_empty() {
            return Err(shared::empty("datacenters.managers"));
        }
        let managers = self.managers.iter().map(|peer| NodeId::new(peer.node)).collect();
        Ok(DatacenterConfig { name: self.name.clone(), managers })
    }
}
