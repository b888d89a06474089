//! A gate's file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyperscale_core::config::{ConfigError, DatacenterConfig, GateConfig};
use hyperscale_core::ids::NodeId;
use serde::Deserialize;

use super::NodeFile;
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
