//! P4: a committed cancel wins over completion, and the load ends in bounded time.

use std::collections::BTreeMap;

use hyperscale_core::api::Refusal;
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{JobId, Lsn};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::report::JobStatus;

use super::book::Book;
use super::{Oracle, Seen, View, Wants, broken};
use crate::faults::{GATE, MANAGER};

/// After a cancel is committed the job never completes; after the end is committed a cancel changes
/// nothing and says so.
#[derive(Debug, Default)]
pub(super) struct CancelBeats {
    cancels: Book<JobId>,
    ends: Book<JobId>,
    judged: u64,
}

impl Oracle for CancelBeats {
    fn inv(&self) -> Inv {
        Inv::CancelBeats
    }
    fn wants(&self) -> Wants {
        Wants::APPENDED.and(Wants::LIVES).and(Wants::LOOKED).and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Appended { lsn, record: Record::Gate(entry), .. } => match entry.command() {
                Some(GateCommand::Cancel { job, .. }) => self.cancels.write(*lsn, *job),
                Some(GateCommand::EndJob { job, .. }) => self.ends.write(*lsn, *job),
                _ => {}
            },
            Seen::Booted { host: GATE, last } => {
                self.cancels.cut(*last);
                self.ends.cut(*last);
            }
            Seen::Looked | Seen::Over => self.compare(view)?,
            _ => {}
        }
        Ok(())
    }
}

impl CancelBeats {
    fn compare(&mut self, view: &View<'_>) -> Result<(), Violation> {
        let host = &view.hosts[usize::from(GATE)];
        let Some(gate) = host.node.as_ref().and_then(|node| node.gate()) else { return Ok(()) };
        for (id, job) in gate.jobs() {
            let (cancel, end) = (self.cancels.at(&id), self.ends.at(&id));
            let first = match (cancel, end) {
                (Some(cancel), Some(end)) => cancel < end,
                (cancel, _) => cancel.is_some(),
            };
            if cancel.is_some_and(|lsn| lsn <= host.durable()) {
                self.judged += 1;
                if first && job.status == JobStatus::Completed {
                    return broken(self.inv(), format!("{id:?} completed after its cancel"));
                }
            }
        }
        for patron in view.patrons {
            let said = (patron.job, &patron.cancel, patron.terminal.last());
            if let (Some(job), Some(Err(Refusal::AlreadyEnded(heard))), Some(ended)) = said {
                self.judged += 1;
                if heard != ended {
                    return broken(self.inv(), format!("{job:?} was {heard:?}, then {ended:?}"));
                }
            }
        }
        Ok(())
    }
}

/// No request of a job leaves later than `ttl / (1 - drift)` after its cancel was committed in the
/// datacenter.
#[derive(Debug, Default)]
pub(super) struct CancelBounded {
    appended: Vec<(Lsn, JobId)>,
    committed: BTreeMap<JobId, u64>,
    judged: u64,
}

impl Oracle for CancelBounded {
    fn inv(&self) -> Inv {
        Inv::CancelBounded
    }
    fn wants(&self) -> Wants {
        Wants::APPENDED.and(Wants::DURABLE).and(Wants::LIVES).and(Wants::LOOKED).and(Wants::OVER)
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Appended { lsn, record: Record::Manager(entry), .. } => {
                if let Some(ManagerCommand::Cancel { part, workflow: None, .. }) = entry.command() {
                    self.appended.push((*lsn, part.job));
                }
            }
            Seen::Durable { host: MANAGER, lsn } => self.commit(*lsn, view.now),
            Seen::Booted { host: MANAGER, last } => {
                self.commit(*last, view.now);
                self.appended.clear();
            }
            Seen::Looked | Seen::Over => self.compare(view)?,
            _ => {}
        }
        Ok(())
    }
}

impl CancelBounded {
    fn commit(&mut self, durable: Lsn, now: u64) {
        for (_, job) in self.appended.iter().filter(|(lsn, _)| *lsn <= durable) {
            self.committed.entry(*job).or_insert(now);
        }
        self.appended.retain(|(lsn, _)| *lsn > durable);
    }

    fn compare(&mut self, view: &View<'_>) -> Result<(), Violation> {
        let lease = view.case.lease;
        let bound = lease.ttl.as_nanos() * 1_000_000 / u128::from(1_000_000 - lease.drift_ppm);
        let bound = bound as u64 + 1_000;
        for run in &view.truth.runs {
            let Some(cancelled) = self.committed.get(&run.run.shard.job) else { continue };
            self.judged += u64::from(run.license_end() > *cancelled);
            if run.last_request > cancelled + bound {
                return broken(
                    self.inv(),
                    format!(
                        "{:?} sent a request {} ms after its cancel was committed, at most {} ms",
                        run.run,
                        (run.last_request - cancelled) / 1_000_000,
                        bound / 1_000_000
                    ),
                );
            }
        }
        Ok(())
    }
}
