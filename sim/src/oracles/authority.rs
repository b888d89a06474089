//! lease-exclusive among leaders: while one member of a group has a leader's lease by its own
//! clock, no other has, whether it stands still or not.

use hyperscale_core::invariant::{Inv, Violation};

use super::{Oracle, Seen, View, Wants, broken};

/// Of the members of a group at most one leads by an unexpired lease at every true instant. Judged
/// when a member that has one takes a step, so that a lease that ended and comes back shows, too.
#[derive(Debug, Default)]
pub(super) struct LeaderLease {
    judged: u64,
}

impl Oracle for LeaderLease {
    fn inv(&self) -> Inv {
        Inv::LeaseExclusive
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Stepped { host } = seen else { return Ok(()) };
        let Some(group) = view.case.layout.group_of(*host) else { return Ok(()) };
        let members = view.case.layout.members(group);
        if members.len() < 2 || !leads(view, *host) {
            return Ok(());
        }
        self.judged += 1;
        match members.filter(|other| other != host).find(|other| leads(view, *other)) {
            Some(other) => {
                broken(self.inv(), format!("{group:?}: {host} and {other} have a leader's lease"))
            }
            None => Ok(()),
        }
    }
}

fn leads(view: &View<'_>, host: u16) -> bool {
    let place = &view.hosts[usize::from(host)];
    place.node.as_ref().is_some_and(|node| node.leads_at(place.local(view.now)))
}
