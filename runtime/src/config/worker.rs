//! A worker's file.

use std::path::PathBuf;

use hyperscale_core::config::{ConfigError, WorkerConfig};
use hyperscale_core::ids::NodeId;
use serde::Deserialize;

use super::shared::{self, LeaseFile, PeerFile};
use super::{NodeFile, available_cores};

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
    /// How long a worker that was asked to leave may take.
    #[serde(default = "shared::drain_timeout_ms")]
    pub drain_timeout_ms: u64,
    /// Record every input into this file.
    pub record: Option<PathBuf>,
}

impl NodeFile for WorkerFile {
    type Config = WorkerConfig;

    fn checked(&self) -> Result<WorkerConfig, ConfigError> {
        if self.managers.is_empty() {
            return Err(shared::empty("managers"));
        }
        if self.cores == Some(0) {
            return Err(ConfigError { field: "cores", value: "0".to_owned(), range: "1..=512" });
        }
        let managers = self.managers.iter().map(|peer| NodeId::new(peer.node)).collect();
        let cores = self.cores.unwrap_or_else(available_cores);
        Ok(WorkerConfig {
            lease: self.lease.checked()?,
            ..WorkerConfig::new(NodeId::new(self.node), cores, managers)
        })
    }
}
