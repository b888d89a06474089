//! A worker's file.

use std::fmt;
use std::path::PathBuf;

use hyperscale_core::config::{ConfigError, WorkerConfig};
use hyperscale_core::ids::NodeId;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use super::judgement::MembershipFile;
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
    /// The environment; nodes of another do not talk to it.
    #[serde(default = "shared::environment")]
    pub environment: String,
    /// Runs it executes at the same time: a number, or `auto` for every available core.
    #[serde(default)]
    pub cores: CoresFile,
    /// Every manager of its datacenter.
    pub managers: Vec<PeerFile>,
    /// The same as its managers'.
    #[serde(default)]
    pub lease: LeaseFile,
    /// The same as its managers'.
    #[serde(default)]
    pub membership: MembershipFile,
    /// How long a worker that was asked to leave may take.
    #[serde(default = "shared::drain_timeout_ms")]
    pub drain_timeout_ms: u64,
    /// Record every input into this file.
    pub record: Option<PathBuf>,
    /// Write what happens into this file, one JSON object a line.
    pub event_log: Option<PathBuf>,
}

/// Cores in a worker's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CoresFile {
    /// Every one that affinity and control groups allow.
    #[default]
    Auto,
    /// So many.
    Count(u16),
}

impl<'de> Deserialize<'de> for CoresFile {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Cores;
        impl Visitor<'_> for Cores {
            type Value = CoresFile;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of cores or \"auto\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<CoresFile, E> {
                match text {
                    "auto" => Ok(CoresFile::Auto),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
            fn visit_i64<E: Error>(self, count: i64) -> Result<CoresFile, E> {
                u16::try_from(count)
                    .map(CoresFile::Count)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(count), &self))
            }
        }
        source.deserialize_any(Cores)
    }
}

impl NodeFile for WorkerFile {
    type Config = WorkerConfig;

    fn checked(&self) -> Result<WorkerConfig, ConfigError> {
        if self.managers.is_empty() {
            return Err(shared::empty("managers"));
        }
        if self.cores == CoresFile::Count(0) {
            return Err(ConfigError { field: "cores", value: "0".to_owned(), range: "1..=512" });
        }
        let managers = self.managers.iter().map(|peer| NodeId::new(peer.node)).collect();
        let cores = match self.cores {
            CoresFile::Auto => available_cores(),
            CoresFile::Count(count) => count,
        };
        Ok(WorkerConfig {
            lease: self.lease.checked()?,
            membership: self.membership.checked()?,
            ..WorkerConfig::new(NodeId::new(self.node), cores, managers)
        })
    }
}
