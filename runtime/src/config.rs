//! Node configuration: one TOML file per node. Unknown fields, wrong types and values out of range
//! are refused with their position. Times are in milliseconds and say so in their names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperscale_core::config::{self, ConfigError, LeaseConfig};
use hyperscale_core::ids::{ClusterId, NodeId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::transport::Dial;

/// Why a configuration file is refused; nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The text is not what is expected there.
    #[error("{path}: {error}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        error: Box<toml::de::Error>,
    },
    /// A value is out of range.
    #[error("{path}: {error}")]
    Range {
        /// The file.
        path: PathBuf,
        /// Which, and what it may be.
        error: ConfigError,
    },
}

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
    /// The datacenters jobs may run in, in order of preference.
    pub datacenters: Vec<DatacenterFile>,
    /// How long after a plan's end its result is waited for.
    #[serde(default = "result_grace_ms")]
    pub result_grace_ms: u64,
    /// An offer that nobody answered by then goes to another datacenter, or fails its job.
    #[serde(default = "accept_within_ms")]
    pub accept_within_ms: u64,
    /// The parts of a job in several datacenters start so long after they were begun.
    #[serde(default = "start_in_ms")]
    pub start_in_ms: u64,
    /// Journal entries between snapshots.
    #[serde(default = "checkpoint_entries")]
    pub checkpoint_entries: u64,
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

/// A peer in a file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerFile {
    /// Its number.
    pub node: u64,
    /// `host:port`.
    pub addr: String,
}

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
    /// Where gates and workers connect.
    pub listen: SocketAddr,
    /// How long a worker may go on without hearing from its manager.
    #[serde(default)]
    pub lease: LeaseFile,
    /// Load starts so long after every worker is ready.
    #[serde(default = "start_delay_ms")]
    pub start_delay_ms: u64,
    /// A lost shard waits so long for a spare core, then the load shrinks.
    #[serde(default = "replace_wait_ms")]
    pub replace_wait_ms: u64,
    /// A workflow waits so long for its first free core, then fails.
    #[serde(default = "cores_wait_ms")]
    pub cores_wait_ms: u64,
    /// Journal entries between snapshots.
    #[serde(default = "checkpoint_entries")]
    pub checkpoint_entries: u64,
}

/// A worker's file.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerFile {
    /// The cluster's number.
    pub cluster: u64,
    /// This node's number.
    pub node: u64,
    /// Runs it executes at the same time; every available core by default.
    pub cores: Option<u16>,
    /// Every manager of its datacenter.
    pub managers: Vec<PeerFile>,
    /// The same as its managers'.
    #[serde(default)]
    pub lease: LeaseFile,
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

impl Default for LeaseFile {
    fn default() -> Self {
        let LeaseConfig { ttl, drift_ppm } = LeaseConfig::default();
        Self { ttl_ms: ttl.as_millis() as u64, drift_ppm }
    }
}

fn result_grace_ms() -> u64 {
    60_000
}

fn accept_within_ms() -> u64 {
    30_000
}

fn start_in_ms() -> u64 {
    2_000
}

fn start_delay_ms() -> u64 {
    100
}

fn replace_wait_ms() -> u64 {
    10_000
}

fn cores_wait_ms() -> u64 {
    60_000
}

fn checkpoint_entries() -> u64 {
    10_000
}

/// Reads a configuration file.
///
/// # Errors
/// [`FileError`].
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| FileError::Read { path: path.to_owned(), error })?;
    toml::from_str(&text)
        .map_err(|error| FileError::Parse { path: path.to_owned(), error: Box::new(error) })
}

impl PeerFile {
    /// As something to connect to.
    pub fn dial(&self) -> Dial {
        Dial { node: NodeId::new(self.node), addr: self.addr.clone() }
    }
}

impl LeaseFile {
    fn checked(self) -> Result<LeaseConfig, ConfigError> {
        let ttl = Duration::from_millis(self.ttl_ms);
        LeaseConfig { ttl, drift_ppm: self.drift_ppm }.check()
    }
}

impl GateFile {
    /// The gate's checked configuration.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn checked(&self) -> Result<config::GateConfig, ConfigError> {
        if self.datacenters.is_empty() {
            return Err(empty("datacenters"));
        }
        let datacenters = self.datacenters.iter().map(DatacenterFile::checked);
        Ok(config::GateConfig {
            accept_within: Duration::from_millis(self.accept_within_ms),
            start_in: Duration::from_millis(self.start_in_ms),
            result_grace: Duration::from_millis(self.result_grace_ms),
            checkpoint_entries: self.checkpoint_entries.max(1),
            ..config::GateConfig::new(
                NodeId::new(self.node),
                datacenters.collect::<Result<_, _>>()?,
            )
        })
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        ClusterId::new(self.cluster)
    }
}

impl DatacenterFile {
    fn checked(&self) -> Result<config::DatacenterConfig, ConfigError> {
        if self.managers.is_empty() {
            return Err(empty("datacenters.managers"));
        }
        let managers = self.managers.iter().map(|peer| NodeId::new(peer.node)).collect();
        Ok(config::DatacenterConfig { name: self.name.clone(), managers })
    }
}

impl ManagerFile {
    /// The manager's checked configuration.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn checked(&self) -> Result<config::ManagerConfig, ConfigError> {
        Ok(config::ManagerConfig {
            lease: self.lease.checked()?,
            start_delay: Duration::from_millis(self.start_delay_ms),
            replace_wait: Duration::from_millis(self.replace_wait_ms),
            cores_wait: Duration::from_millis(self.cores_wait_ms),
            checkpoint_entries: self.checkpoint_entries.max(1),
            ..config::ManagerConfig::new(NodeId::new(self.node), self.datacenter.clone())
        })
    }
}

impl WorkerFile {
    /// The worker's checked configuration.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn checked(&self) -> Result<config::WorkerConfig, ConfigError> {
        if self.managers.is_empty() {
            return Err(empty("managers"));
        }
        if self.cores == Some(0) {
            return Err(ConfigError { field: "cores", value: "0".to_owned(), range: "1..=512" });
        }
        let managers = self.managers.iter().map(|peer| NodeId::new(peer.node)).collect();
        let cores = self.cores.unwrap_or_else(available_cores);
        Ok(config::WorkerConfig {
            lease: self.lease.checked()?,
            ..config::WorkerConfig::new(NodeId::new(self.node), cores, managers)
        })
    }
}

/// Cores this process may use; knows cgroups and affinity.
pub fn available_cores() -> u16 {
    std::thread::available_parallelism()
        .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX))
}

fn empty(field: &'static str) -> ConfigError {
    ConfigError { field, value: "empty".to_owned(), range: "at least one" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_named_with_its_position() {
        let text = "cluster = 1\nnode = 2\nmanagers = []\nlaese = 3\n";
        let error = toml::from_str::<WorkerFile>(text).unwrap_err().to_string();
        assert!(error.contains("line 4") && error.contains("laese"), "{error}");
        assert!(error.contains("lease"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let text = "cluster = 1\nnode = 2\nmanagers = [{node = 1, addr = \"a:1\"}]\n\
                    lease = {ttl_ms = 1}\n";
        let error = toml::from_str::<WorkerFile>(text).unwrap().checked().unwrap_err();
        assert_eq!(error.to_string(), "lease.ttl: 1ms is out of range, must be 100ms..=300s");
        let text = "cluster = 1\nnode = 2\nmanagers = []\n";
        let error = toml::from_str::<WorkerFile>(text).unwrap().checked().unwrap_err();
        assert_eq!(error.field, "managers");
    }
}
