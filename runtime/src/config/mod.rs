//! Node configuration: one TOML file per node. Unknown fields, wrong types and values out of range
//! are refused with their position. Times are in milliseconds and say so in their names.

mod error;
mod gate;
mod judgement;
mod manager;
mod shared;
mod worker;

pub use error::{FileError, Place};
pub use gate::{DatacenterFile, GateFile, GatePeerFile};
pub use judgement::{HealthFile, MembershipFile};
pub use manager::ManagerFile;
pub use shared::{ConsensusFile, LeaseFile, PeerFile};
pub use worker::{CoresFile, WorkerFile};

use std::path::Path;

use hyperscale_core::config::ConfigError;
use serde::de::DeserializeOwned;

use crate::host::Host;

/// A node's file.
pub trait NodeFile: DeserializeOwned {
    /// What its role is configured with.
    type Config;

    /// The role's checked configuration.
    ///
    /// # Errors
    /// The first value out of range.
    fn checked(&self) -> Result<Self::Config, ConfigError>;
}

/// The file of a node that keeps its state on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VoterFile {
    /// A gate's.
    Gate(GateFile),
    /// A manager's.
    Manager(ManagerFile),
}

/// Reads and checks a configuration file.
///
/// # Errors
/// [`FileError`].
pub fn read<F: NodeFile>(path: &Path) -> Result<F, FileError> {
    parse(path, &text(path)?)
}

/// Reads and checks the file of a gate or a manager, whichever it is.
///
/// # Errors
/// [`FileError`].
pub fn read_voter(path: &Path) -> Result<VoterFile, FileError> {
    let text = text(path)?;
    let keys: toml::Table = toml::from_str(&text)
        .map_err(|error| FileError::Parse { path: path.to_owned(), error: Box::new(error) })?;
    if keys.contains_key("datacenter") {
        return parse(path, &text).map(VoterFile::Manager);
    }
    if keys.contains_key("api") {
        return parse(path, &text).map(VoterFile::Gate);
    }
    Err(FileError::Stateless { path: path.to_owned() })
}

fn text(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(|error| FileError::Read { path: path.to_owned(), error })
}

fn parse<F: NodeFile>(path: &Path, text: &str) -> Result<F, FileError> {
    let path = || path.to_owned();
    let file: F = toml::from_str(text)
        .map_err(|error| FileError::Parse { path: path(), error: Box::new(error) })?;
    file.checked().map_err(|error| FileError::Range {
        path: path(),
        place: Place::of(error.field, text),
        error,
    })?;
    Ok(file)
}

/// Cores this process may use; knows cgroups and affinity.
pub fn available_cores() -> u16 {
    Host::default().allowance().cores
}

#[cfg(test)]
mod tests;
