//! What a gate hears of the datacenter when it probes: workers, cores, what waits, and when cores
//! that are taken will be free.
//!
//! A run's core is free at its workflow's planned end plus the graceful stop, by plan time; a run
//! that ends by its iterations may be earlier. Spans are rounded up to seconds, added up where they
//! are equal, and bounded: what is beyond counts to the last. Volatile, promises nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Manager;
use super::leases::Lease;
use super::models::WorkflowKey;
use crate::bounded::BoundedVec;
use crate::limits::RELEASES_MAX;
use crate::time::Instant;
use crate::wire::{Capacity, Probe, Release};

impl Manager {
    /// The answer to a probe.
    pub(super) fn capacity(&self, now: Instant, probe: Probe) -> Capacity {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let spare = self.registry.spare().map(|(_, _, spare)| u32::from(spare));
        let unbegun = self.ledger.parts().filter(|part| !part.begun && !part.cancelled).count();
        Capacity {
            probe: probe.number,
            term: self.group.term(),
            workers: count(self.registry.len()),
            leaving: count(self.registry.leaving()),
            cores: self.registry.cores(),
            free: spare.fold(0, u32::saturating_add),
            waiting: count(self.dispatch.waiting().saturating_add(unbegun)),
            draining: self.is_draining,
            releases: releases(self.leases.iter().map(|lease| self.remains(now, lease))),
        }
    }

    /// How long a run still holds its core.
    fn remains(&self, now: Instant, lease: &Lease) -> Duration {
        let key = WorkflowKey::of(lease.run.shard);
        let part = self.ledger.of_job(key.job);
        let stop = part.and_then(|part| part.planned(key.workflow));
        let stop = stop.map_or(Duration::ZERO, |workflow| workflow.graceful_stop);
        let planned = lease.executor.planned_duration().saturating_add(stop);
        let ran = self.leases.plan_time(key, now).map_or(Duration::ZERO, |at| at.elapsed());
        planned.saturating_sub(ran)
    }
}

fn releases(spans: impl Iterator<Item = Duration>) -> BoundedVec<Release, RELEASES_MAX> {
    let mut by_second: BTreeMap<u64, u32> = BTreeMap::new();
    for span in spans {
        let rounded = span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
        let cores = by_second.entry(rounded).or_insert(0);
        *cores = cores.saturating_add(1);
    }
    let mut list: BoundedVec<Release, RELEASES_MAX> = BoundedVec::new();
    for (second, cores) in by_second {
        let after = Duration::from_secs(second);
        if list.push(Release { after, cores }).is_err()
            && let Some(last) = list.last_mut()
        {
            *last = Release { after, cores: last.cores.saturating_add(cores) };
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_added_up_by_the_second_in_order_and_bounded() {
        let ms = |ms: u64| Duration::from_millis(ms);
        let list = releases([ms(2_500), ms(900), ms(3_000), ms(0)].into_iter());
        let told: Vec<_> = list.iter().map(|r| (r.after.as_secs(), r.cores)).collect();
        assert_eq!(told, [(0, 1), (1, 1), (3, 2)]);
        let many = releases((1..=40).map(Duration::from_secs));
        assert_eq!(many.len(), RELEASES_MAX);
        assert_eq!(many.last(), Some(&Release { after: ms(40_000), cores: 25 }));
        assert_eq!(many.iter().map(|release| release.cores).sum::<u32>(), 40);
    }
}
