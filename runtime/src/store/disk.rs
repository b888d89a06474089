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
const LOCK: &str = "lock";

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

/// What a directory must hold to be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// A node's state, or nothing: then it becomes this disk.
    Any(DiskId),
    /// A node's state.
    Formed,
    /// Nothing, or what an interrupted start left: it becomes this disk.
    Blank(DiskId),
}

impl Expect {
    fn fresh(self) -> Option<DiskId> {
        match self {
            Self::Any(fresh) | Self::Blank(fresh) => Some(fresh),
            Self::Formed => None,
        }
    }
}

impl Disk {
    /// Opens `dir` for `owner`, if it holds what is expected.
    ///
    /// # Errors
    /// [`StoreError`]; a torn tail is not an error, it is cut off.
    pub fn open(dir: &Path, owner: Owner, expect: Expect) -> Result<Self, StoreError> {
        let unformed = || StoreError::Unformed { path: dir.to_owned() };
        match expect {
            Expect::Any(_) => {}
            Expect::Formed if known(dir, owner)?.is_none() => return Err(unformed()),
            Expect::Formed => {}
            Expect::Blank(_) => strangers(dir)?,
        }
        fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
        let lock = lock(dir)?;
        let disk = match (known(dir, owner)?, expect.fresh()) {
            (Some(disk), _) => disk,
            (None, Some(fresh)) => {
                let text = serde_json::to_vec(&IdentityFile { owner, disk: fresh })
                    .map_err(|error| StoreError::io(dir)(error.into()))?;
                write_whole(dir, IDENTITY, &text)?;
                fresh
            }
            (None, None) => return Err(unformed()),
        };
        let Contents { recovered, torn, header } = contents(dir, owner, disk)?;
        match (expect, recovered.last.get()) {
            (Expect::Formed, 0) => return Err(unformed()),
            (Expect::Blank(_), 1..) => {
                let detail = format!("it is disk {disk} of {owner}");
                return Err(StoreError::NotEmpty { path: dir.to_owned(), detail });
            }
            (Expect::Any(_) | Expect::Formed | Expect::Blank(_), _) => {}
        }
        if let Some((name, offset)) = torn {
            tracing::info!(file = name, offset, "a torn tail is cut off");
            cut(dir, &name, offset)?;
        }
        Ok(Self { id: disk, recovered, journal: Journal::open(dir, header, lock)? })
    }

    /// What a directory holds, without a change to it; `None` if it is no node's. While a process
    /// uses it, its newest records may be missing.
    ///
    /// # Errors
    /// As [`Disk::open`], but for a directory in use.
    pub fn look(dir: &Path, owner: Owner) -> Result<Option<(DiskId, Recovered)>, StoreError> {
        let Some(disk) = known(dir, owner)? else { return Ok(None) };
        Ok(Some((disk, contents(dir, owner, disk)?.recovered)))
    }

    /// Whether a process uses the directory.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn is_used(dir: &Path) -> Result<bool, StoreError> {
        match lock(dir) {
            Ok(_) => Ok(false),
            Err(StoreError::Locked { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

struct Contents {
    recovered: Recovered,
    /// The file with a torn tail, and where that begins.
    torn: Option<(String, u64)>,
    /// Of the segment to write next.
    header: segment::Header,
}

fn contents(dir: &Path, owner: Owner, disk: DiskId) -> Result<Contents, StoreError> {
    let (cluster, node) = (owner.cluster.get(), owner.node.get());
    let identity = Identity { cluster, node, disk: disk.get() };
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
    let header =
        segment::Header { identity, sequence: durable.next_sequence, first_lsn: durable.next_lsn };
    let torn = durable.torn_at.map(|torn| (torn.file.to_owned(), torn.offset));
    Ok(Contents { recovered: Recovered { snapshot, records, last }, torn, header })
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
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

/// The disk that `dir` is, if it is one.
fn known(dir: &Path, owner: Owner) -> Result<Option<DiskId>, StoreError> {
    let path = dir.join(IDENTITY);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::Io { path, error }),
    };
    let found: IdentityFile = serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Identity { path, detail: error.to_string() })?;
    if found.owner != owner {
        return Err(StoreError::Foreign {
            path: dir.to_owned(),
            found: found.owner.to_string(),
            expected: owner.to_string(),
        });
    }
    Ok(Some(found.disk))
}

/// Refuses a directory with something in it that no node writes.
fn strangers(dir: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::Io { path: dir.to_owned(), error }),
    };
    for entry in entries {
        let name = entry.map_err(StoreError::io(dir))?.file_name();
        let name = name.to_string_lossy();
        let stem = name.strip_suffix(".part").unwrap_or(&name);
        let ours = [LOCK, IDENTITY].contains(&stem)
            || [".journal", ".snapshot"].iter().any(|kind| stem.ends_with(kind));
        if !ours {
            let detail = format!("it holds {name:?}");
            return Err(StoreError::NotEmpty { path: dir.to_owned(), detail });
        }
    }
    Ok(())
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
