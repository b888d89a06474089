//! How a directory becomes a node's: founding a group, joining one, taking a lost disk's place; and
//! what stands in it. All of this happens while the node does not run.
//!
//! Inputs: a node's directory and whose it is to be. Outputs: its identity, with a random disk id,
//! and its first record. A directory is given a node once; one that holds records is never changed
//! here.
//!
//! Does not do: talk to other nodes. A node that joins asks its peers once it runs.

use std::path::Path;

use hyperscale_core::consensus::Message as GroupMessage;
use hyperscale_core::consensus::{ConsensusConfig, Entry, Group, GroupRecord, Member, Membership};
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{DiskId, GroupId, LogIndex, Lsn, Term};
use hyperscale_core::journal::{Record, RecoverError, Recovered};
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::wire::Message;
use serde::Serialize;

use crate::boot;
use crate::store::{Disk, Expect, Owner, StoreError};
use crate::transport::RoleName;

/// How a node comes to its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Founding {
    /// It is the first, and forms the group.
    Init,
    /// It joins a group that there is.
    Join,
    /// It joins in the place of a disk that is lost.
    Replace(DiskId),
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Founded {
    /// The disk that the directory is from here on.
    pub disk: DiskId,
    /// The group that was formed.
    pub group: Option<GroupId>,
}

/// What a directory says of its node and its group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The disk.
    pub disk: DiskId,
    /// A process uses it; what it writes meanwhile may be missing here.
    pub running: bool,
    /// The group; `None` while the node has not been let into one.
    pub group: Option<GroupId>,
    /// Its first record asks to join, in the place of this disk if there is one.
    pub joins: Option<Option<DiskId>>,
    /// The term.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<DiskId>,
    /// The members by its newest entry that names them.
    pub membership: Membership,
    /// The last entry of its log.
    pub last: LogIndex,
}

/// Why a directory cannot be read as a node's.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// Its files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its records do not make a node of this role.
    #[error("the journal cannot be replayed: {0}")]
    Recover(#[from] RecoverError),
}

/// Makes `dir`, which must be empty, the disk of `owner`.
///
/// # Errors
/// [`StoreError`]: the directory holds something or is in use, and nothing was changed; or it
/// cannot be written, and the same may be tried again.
pub fn found(dir: &Path, owner: Owner, how: Founding) -> Result<Founded, StoreError> {
    let mut disk = Disk::open(dir, owner, Expect::Blank(DiskId::new(boot::entropy())))?;
    let (group, record) = match how {
        Founding::Init => {
            let group = GroupId::new(boot::entropy());
            let membership = Membership::of_one(Member { node: owner.node, disk: disk.id });
            (Some(group), Record::Formed { group, membership })
        }
        Founding::Join => (None, Record::Joining { replaces: None }),
        Founding::Replace(lost) => (None, Record::Joining { replaces: Some(lost) }),
    };
    disk.journal.append(disk.recovered.last.next(), &record)?;
    disk.journal.close()?;
    Ok(Founded { disk: disk.id, group })
}

/// What `dir` says of `owner`; `None` if it holds no node's state.
///
/// # Errors
/// [`StandingError`]; nothing was changed.
pub fn standing(dir: &Path, owner: Owner) -> Result<Option<Standing>, StandingError> {
    let Some((disk, recovered)) = Disk::look(dir, owner)? else { return Ok(None) };
    if recovered.last == Lsn::new(0) {
        return Ok(None);
    }
    let me = Member { node: owner.node, disk };
    let mut standing = match owner.role {
        RoleName::Gate => fold::<GateCommand>(me, &recovered, Record::of_gates)?,
        RoleName::Manager | RoleName::Worker => {
            fold::<ManagerCommand>(me, &recovered, Record::of_managers)?
        }
    };
    standing.running = Disk::is_used(dir)?;
    Ok(Some(standing))
}

fn fold<C: Clone + Serialize>(
    me: Member,
    recovered: &Recovered,
    as_group: impl Fn(&Record) -> Option<GroupRecord<'_, C>>,
) -> Result<Standing, RecoverError>
where
    Record: From<Entry<C>>,
    Message: From<GroupMessage<C>>,
{
    let boot = hyperscale_core::ids::Boot { disk: me.disk, ..boot::draw() };
    let mut group: Group<C> = Group::new(me.node, ConsensusConfig::default(), boot);
    if let Some((_, snapshot)) = &recovered.snapshot {
        group.replay_snapshot(snapshot.head.clone());
    }
    let mut joins = None;
    for (lsn, record) in &recovered.records {
        if let Record::Joining { replaces } = record {
            joins = Some(*replaces);
        }
        let record = as_group(record).ok_or(RecoverError::ForeignRecord {
            lsn: *lsn,
            found: "foreign",
            role: "node of another role",
        })?;
        group.replay(*lsn, record)?;
    }
    Ok(Standing {
        disk: me.disk,
        running: false,
        group: Some(group.id()).filter(|id| *id != GroupId::default()),
        joins,
        term: group.term(),
        vote: group.vote(),
        membership: group.membership().clone(),
        last: group.last(),
    })
}

#[cfg(test)]
mod tests {
    use hyperscale_core::ids::{ClusterId, NodeId};

    use super::*;

    fn owner(role: RoleName, node: u64) -> Owner {
        Owner { cluster: ClusterId::new(1), role, node: NodeId::new(node) }
    }

    #[test]
    fn a_founder_is_the_only_voter_of_a_random_group() {
        let dir = tempfile::tempdir().expect("a folder");
        let gate = owner(RoleName::Gate, 1);
        assert_eq!(standing(dir.path(), gate).expect("read"), None);
        let founded = found(dir.path(), gate, Founding::Init).expect("founded");
        let found = standing(dir.path(), gate).expect("read").expect("formed");
        assert_eq!((found.disk, found.group), (founded.disk, founded.group));
        assert!(founded.group.is_some() && !found.running);
        let me = Member { node: gate.node, disk: founded.disk };
        assert_eq!(found.membership, Membership::of_one(me));
        assert_eq!((found.term, found.last), (Term::new(0), LogIndex::new(0)));
    }

    #[test]
    fn one_that_joins_knows_no_group_and_whose_place_it_takes() {
        for (how, replaces) in
            [(Founding::Join, None), (Founding::Replace(DiskId::new(7)), Some(DiskId::new(7)))]
        {
            let dir = tempfile::tempdir().expect("a folder");
            let manager = owner(RoleName::Manager, 2);
            assert_eq!(found(dir.path(), manager, how).expect("written").group, None);
            let found = standing(dir.path(), manager).expect("read").expect("written");
            assert_eq!((found.group, found.joins), (None, Some(replaces)));
            assert!(found.membership.voters.is_empty());
        }
    }

    #[test]
    fn a_directory_is_given_a_node_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let (gate, other) = (owner(RoleName::Gate, 1), owner(RoleName::Gate, 2));
        let first = found(dir.path(), gate, Founding::Init).expect("founded");
        let error = found(dir.path(), gate, Founding::Join).expect_err("twice").to_string();
        assert!(error.contains(&first.disk.to_string()) && error.contains("not empty"), "{error}");
        let error = found(dir.path(), other, Founding::Join).expect_err("foreign").to_string();
        assert!(error.contains("gate n1") && error.contains("gate n2"), "{error}");
        let unchanged = standing(dir.path(), gate).expect("read").expect("formed");
        assert_eq!((unchanged.disk, unchanged.group), (first.disk, first.group));
        let stranger = tempfile::tempdir().expect("a folder");
        std::fs::write(stranger.path().join("letter.txt"), "x").expect("written");
        let error = found(stranger.path(), gate, Founding::Init).expect_err("not ours");
        assert!(error.to_string().contains("letter.txt"), "{error}");
        assert_eq!(std::fs::read_dir(stranger.path()).expect("read").count(), 1);
    }

    #[test]
    fn a_directory_in_use_is_refused_and_can_be_looked_at() {
        let dir = tempfile::tempdir().expect("a folder");
        let gate = owner(RoleName::Gate, 1);
        found(dir.path(), gate, Founding::Init).expect("founded");
        let used = Disk::open(dir.path(), gate, Expect::Formed).expect("opened");
        let error = found(dir.path(), gate, Founding::Join).expect_err("in use");
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        assert!(standing(dir.path(), gate).expect("read").expect("formed").running);
        drop(used);
    }

    #[test]
    fn what_an_interrupted_start_left_may_be_founded_but_not_started() {
        let dir = tempfile::tempdir().expect("a folder");
        let gate = owner(RoleName::Gate, 1);
        let blank = Disk::open(dir.path(), gate, Expect::Blank(DiskId::new(5))).expect("opened");
        drop(blank);
        let error = Disk::open(dir.path(), gate, Expect::Formed).expect_err("no record");
        assert!(matches!(error, StoreError::Unformed { .. }), "{error}");
        let founded = found(dir.path(), gate, Founding::Init).expect("founded");
        assert_eq!(founded.disk, DiskId::new(5));
        let empty = dir.path().join("empty");
        let error = Disk::open(&empty, gate, Expect::Formed).expect_err("nothing there");
        assert!(matches!(error, StoreError::Unformed { .. }) && !empty.exists(), "{error}");
    }
}
