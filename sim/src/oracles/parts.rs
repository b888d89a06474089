//! part-placed-once: the load of a part is issued in one datacenter, ever.

use std::collections::BTreeMap;

use hyperscale_core::ids::{JobId, PartId};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;

use super::{Oracle, Seen, View, Wants, broken};

/// The part of a job that each datacenter has begun.
#[derive(Debug, Default)]
pub(super) struct PartPlacedOnce {
    begun: BTreeMap<(u16, JobId), PartId>,
    judged: u64,
}

impl Oracle for PartPlacedOnce {
    fn inv(&self) -> Inv {
        Inv::PartPlacedOnce
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => {
                if let Record::Manager(entry) = &chosen.record
                    && let Some(ManagerCommand::Begin { part, .. }) = entry.command()
                    && let Some(datacenter) = group.datacenter()
                {
                    let begun = *self.begun.entry((datacenter, part.job)).or_insert(*part);
                    if begun != *part {
                        let what = format!("datacenter {datacenter} has {begun:?} and {part:?}");
                        return broken(self.inv(), what);
                    }
                }
                Ok(())
            }
            Seen::Over => self.compare(view),
            _ => Ok(()),
        }
    }
}

impl PartPlacedOnce {
    fn compare(&mut self, view: &View<'_>) -> Result<(), Violation> {
        let mut placed: BTreeMap<PartId, u16> = BTreeMap::new();
        for run in view.truth.runs.iter().filter(|run| run.issued > 0) {
            let job = run.run.shard.job;
            let Some(part) = self.begun.get(&(run.datacenter, job)) else {
                return broken(self.inv(), format!("{:?} issued and no part was begun", run.run));
            };
            let first = *placed.entry(*part).or_insert(run.datacenter);
            if first != run.datacenter {
                let what = format!("{part:?} issued in datacenters {first} and {}", run.datacenter);
                return broken(self.inv(), what);
            }
        }
        self.judged += placed.len() as u64;
        Ok(())
    }
}
