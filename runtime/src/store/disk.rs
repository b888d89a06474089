//! Opening a node's directory: lock, identity, recovery.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use hyperscale_core::ids::{ClusterId, DiskId, Lsn, NodeId};
use hyperscale_core::journal::recover::recover;
use hyperscale_core::journal::replay;
use hyperscale_core::journal::segment::{self, Identity};
use hyperscale_core::journal::{Record, Recovered, Snapshot};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::journal::Journal;
use crate::transport::RoleName;

const IDENTITY: &str = "identity.json";

/// Whose disk it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterId,
    /// The role.
    pub role: RoleName,
    /// The node.
    pub node: NodeId,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of cluster {}", self.role, self.node, self.cluster)
    }
}

/// A node's open directory.
#[derive(Debug)]
pub struct Disk {
    /// Which one it is; 0 without one.
    pub id: DiskId,
    /// What it held.
    pub recovered: Recovered,
    /// Where further records go.
    pub journal: Journal,
}

#[derive(Serialize, Deserialize)]
struct IdentityFile {
    owner: Owner,
    disk: DiskId,
}

impl Disk {
    /// Opens `dir`, creating it for `owner` if it is new; `fresh` becomes the disk id then.
    ///
    /// # Errors
    /// [`StoreError`]; a torn tail is not an error, it is cut off.
    pub fn open(dir: &Path, owner: Owner, fresh: DiskId) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
        let lock = lock(dir)?;
        let identity = identity(dir, owner, fresh)?;
        let segments = read(dir, "journal")?;
        let snapshots = read(dir, "snapshot")?;
        let durable = recover(&identity, &borrow(&snapshots), &borrow(&segments))?;
        if let Some(damage) = &durable.passed_over {
            tracing::warn!(%damage, "a damaged snapshot was passed over");
        }
        let last = Lsn::new(durable.next_lsn.saturating_sub(1));
        let snapshot = match &durable.snapshot {
            Some(found) => Some((Lsn::new(found.upto), replay::state::<Snapshot>(found)?)),
            None => None,
        };
        let records = replay::fold(Vec::new(), &durable.records, |list, lsn, record: &Record| {
            list.push((Lsn::new(lsn), record.clone()));
        })?;
        if let Some(torn) = &durable.torn_at {
            tracing::info!(file = torn.file, offset = torn.offset, "a torn tail is cut off");
            cut(dir, torn.file, torn.offset)?;
        }
        let header = segment::Header {
            identity,
            sequence: durable.next_sequence,
            first_lsn: durable.next_lsn,
        };
        let journal = Journal::open(dir, header, lock)?;
        let id = DiskId::new(identity.disk);
        Ok(Self { id, recovered: Recovered { snapshot, records, last }, journal })
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(StoreError::Io { path, error }),
    }
}

fn identity(dir: &Path, owner: Owner, fresh: DiskId) -> Result<Identity, StoreError> {
    let path = dir.join(IDENTITY);
    let disk = match fs::read(&path) {
        Ok(bytes) => {
            let found: IdentityFile = serde_json::from_slice(&bytes).map_err(|error| {
                StoreError::Identity { path: path.clone(), detail: error.to_string() }
            })?;
            if found.owner != owner {
                return Err(StoreError::Foreign {
                    path: dir.to_owned(),
                    found: found.owner.to_string(),
                    expected: owner.to_string(),
                });
            }
            found.disk
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = serde_json::to_vec(&IdentityFile { owner, disk: fresh })
                .map_err(|error| StoreError::io(&path)(error.into()))?;
            write_whole(dir, IDENTITY, &text)?;
            fresh
        }
        Err(error) => return Err(StoreError::Io { path, error }),
    };
    Ok(Identity { cluster: owner.cluster.get(), node: owner.node.get(), disk: disk.get() })
}

fn read(dir: &Path, extension: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(StoreError::io(dir))? {
        let path = entry.map_err(StoreError::io(dir))?.path();
        let matches = path.extension().is_some_and(|found| found == extension);
        if let (true, Some(name)) = (matches, path.file_name().and_then(|name| name.to_str())) {
            let bytes = fs::read(&path).map_err(StoreError::io(&path))?;
            files.push((name.to_owned(), bytes));
        }
    }
    files.sort();
    Ok(files)
}

fn borrow(files: &[(String, Vec<u8>)]) -> Vec<segment::File<'_>> {
    files.iter().map(|(name, bytes)| segment::File { name, bytes }).collect()
}

fn cut(dir: &Path, name: &str, len: u64) -> Result<(), StoreError> {
    let path = dir.join(name);
    if len == 0 {
        fs::remove_file(&path).map_err(StoreError::io(&path))?;
        return sync_dir(dir);
    }
    let file = OpenOptions::new().write(true).open(&path).map_err(StoreError::io(&path))?;
    file.set_len(len).and_then(|()| file.sync_all()).map_err(StoreError::io(&path))
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let path: PathBuf = dir.join(name);
    let part = dir.join(format!("{name}.part"));
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, &path));
    written.map_err(StoreError::io(&path))?;
    sync_dir(dir)
}

/// Makes created, renamed and removed names durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|handle| handle.sync_all()).map_err(StoreError::io(dir))
}
