//! How the groups of a case come to be: the first member founds its group, the others join.
//!
//! A group of one forms itself when it starts.

use hyperscale_core::consensus::{Member, Membership};
use hyperscale_core::ids::{DiskId, GroupId, Lsn};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;

use crate::annals::Annals;
use crate::case::{Case, node_id};
use crate::host::Host;
use crate::streams::{Stream, Streams};

/// Writes the first record of a member's disk.
///
/// # Errors
/// The disk could not be written.
pub(super) fn found(case: &Case, host: &mut Host, annals: &mut Annals) -> Result<(), Violation> {
    let Some(group) = case.layout.group_of(host.place) else { return Ok(()) };
    let members = case.layout.members(group);
    if members.len() < 2 {
        return Ok(());
    }
    let record = if host.place == members.start {
        let disk = DiskId::new(host.disk.identity.disk);
        let id = Streams::new(case.seed).bits(Stream::Boot, 1 << 40, u64::from(group.0));
        let membership = Membership::of_one(Member { node: node_id(host.place), disk });
        Record::Formed { group: GroupId::new(id), membership }
    } else {
        Record::Joining { replaces: None }
    };
    annals.on_append(0, host.place, Lsn::new(1), &record)?;
    host.disk.format(&record).map_err(|error| Violation::new(Inv::JournalTail, error))
}
