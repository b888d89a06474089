//! What nodes append and act on, written into the annals and shown to the oracles.

use hyperscale_core::consensus::{Member, Payload};
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{LogIndex, Lsn};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;

use super::World;
use crate::annals::{Chosen, installs};
use crate::case::host_of;
use crate::layout::Group;
use crate::oracles::Seen;

impl World {
    /// A step's appends enter the annals before anything of the step reaches the world.
    pub(super) fn on_appends(&mut self, host: u16, effects: &[Effect]) {
        for effect in effects {
            let Effect::Append { lsn, record } = effect else { continue };
            self.tally.installs += u64::from(installs(record).is_some());
            if let Err(violation) = self.annals.on_append(self.now, host, *lsn, record) {
                self.fail(violation, Some(host));
            }
        }
    }

    /// A node acts on everything up to `acts_on`; before the step it had appended up to `before`.
    pub(super) fn on_commits(&mut self, host: u16, before: Lsn, acts_on: LogIndex) {
        let place = usize::from(host);
        let Some(group) = self.case.layout.group_of(host) else { return };
        let acted = self.acted[place];
        if acts_on <= acted {
            return;
        }
        self.acted[place] = acts_on;
        let known = self.annals.chosen(group).min(acts_on);
        for index in acted.get() + 1..=known.get() {
            if let Err(violation) = self.annals.compare(host, LogIndex::new(index)) {
                return self.fail(violation, Some(host));
            }
        }
        while self.annals.chosen(group) < acts_on && self.failure.is_none() {
            let hosts = &self.hosts;
            let durable = |member: Member| {
                let host = host_of(member.node);
                let disk = &hosts.get(usize::from(host))?.disk;
                let is_it = disk.identity.disk == member.disk.get();
                is_it.then(|| (host, disk.durable()))
            };
            match self.annals.choose(host, before, durable) {
                Ok(Some(chosen)) => self.on_chosen(group, &chosen),
                Ok(None) => return,
                Err(violation) => self.fail(violation, Some(host)),
            }
        }
        if let Some(node) = &self.hosts[place].node {
            self.edges.on_applied(host, node, acts_on == acted.next());
        }
        self.observe(Seen::Applied { host, index: acts_on });
    }

    /// A node leads its group.
    pub(super) fn on_leads(&mut self, host: u16) {
        let Some(group) = self.case.layout.group_of(host) else { return };
        let leader = &mut self.leaders[usize::from(group.0)];
        let before = leader.replace(host);
        if before.is_some_and(|before| before != host) {
            match group.datacenter() {
                None => self.tally.failovers.0 += 1,
                Some(_) => self.tally.failovers.1 += 1,
            }
            self.trace(host, || format!("leads {group:?} after {before:?}"));
        }
    }

    fn on_chosen(&mut self, group: Group, chosen: &Chosen) {
        if let Record::Manager(entry) = &chosen.record
            && let Some(ManagerCommand::Started { part, workflow }) = entry.command()
            && let Some(datacenter) = group.datacenter()
        {
            self.truth.on_started(datacenter, (part.job, *workflow), chosen.appended);
        }
        if let Record::Gate(entry) = &chosen.record
            && let Some(GateCommand::Own { .. }) = entry.command()
        {
            self.tally.moves += 1;
        }
        if let Record::Gate(entry) = &chosen.record
            && let Some(GateCommand::EndJob { job, .. }) = entry.command()
            && self.truth.datacenters_of(*job) > 1
        {
            self.tally.spread += 1;
        }
        if names_members(&chosen.record) {
            self.tally.changes += 1;
        }
        self.observe(Seen::Committed { group, chosen });
    }
}

/// Whether it is an entry that changes who is in the group.
fn names_members(record: &Record) -> bool {
    match record {
        Record::Gate(entry) => matches!(entry.payload, Payload::Membership(_)),
        Record::Manager(entry) => matches!(entry.payload, Payload::Membership(_)),
        _ => false,
    }
}
