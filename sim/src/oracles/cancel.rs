//! P4: a committed cancel wins over completion, and the load ends in bounded time.

use std::collections::BTreeMap;

use hyperscale_core::api::Refusal;
use hyperscale_core::gate::{GateCommand, GateLedger};
use hyperscale_core::ids::{JobId, LogIndex};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::report::JobStatus;

use super::{Oracle, Seen, View, Wants, broken};

/// After a cancel is committed the job never completes; after the end is committed a cancel changes
/// nothing and says so. What a gate decided as the owner it no longer was is neither
/// (owner-single judges that it changes nothing).
#[derive(Debug, Default)]
pub(super) struct CancelBeats {
    ledger: GateLedger,
    cancels: BTreeMap<JobId, LogIndex>,
    ends: BTreeMap<JobId, LogIndex>,
    judged: u64,
}

impl Oracle for CancelBeats {
    fn inv(&self) -> Inv {
        Inv::CancelBeats
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::LOOKED).and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { chosen, .. } => {
                let Record::Gate(entry) = &chosen.record else { return Ok(()) };
                let Some(command) = entry.command() else { return Ok(()) };
                let owned = command.acts_under().is_none_or(|(job, fence)| {
                    self.ledger.job(job).is_some_and(|job| job.owner.fence == fence)
                });
                let _ = self.ledger.apply(entry.index, command);
                match command {
                    GateCommand::Cancel { job, workflow: None, .. } if owned => {
                        self.cancels.entry(*job).or_insert(chosen.index);
                    }
                    GateCommand::EndJob { job, .. } if owned => {
                        let ended = self.ledger.job(*job).filter(|j| j.ended == Some(chosen.index));
                        let completed = ended.is_some_and(|j| j.status == JobStatus::Completed);
                        if completed && self.cancels.contains_key(job) {
                            return broken(self.inv(), format!("{job:?} ends after its cancel"));
                        }
                        self.ends.entry(*job).or_insert(chosen.index);
                    }
                    _ => {}
                }
            }
            Seen::Looked | Seen::Over => self.compare(view)?,
            _ => {}
        }
        Ok(())
    }
}

impl CancelBeats {
    fn compare(&mut self, view: &View<'_>) -> Result<(), Violation> {
        for (id, job) in view.gates().flat_map(|(_, gate)| gate.jobs()) {
            let Some(cancel) = self.cancels.get(&id) else { continue };
            let first = self.ends.get(&id).is_none_or(|end| cancel < end);
            self.judged += 1;
            if first && job.status == JobStatus::Completed {
                return broken(self.inv(), format!("{id:?} completed after its cancel"));
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
    /// By datacenter and job.
    committed: BTreeMap<(u16, JobId), u64>,
    judged: u64,
}

impl Oracle for CancelBounded {
    fn inv(&self) -> Inv {
        Inv::CancelBounded
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::LOOKED).and(Wants::OVER)
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => {
                if let Record::Manager(entry) = &chosen.record
                    && let Some(ManagerCommand::Cancel { part, workflow: None, .. }) =
                        entry.command()
                    && let Some(datacenter) = group.datacenter()
                {
                    self.committed.entry((datacenter, part.job)).or_insert(view.now);
                }
            }
            Seen::Looked | Seen::Over => self.compare(view)?,
            _ => {}
        }
        Ok(())
    }
}

impl CancelBounded {
    fn compare(&mut self, view: &View<'_>) -> Result<(), Violation> {
        let lease = view.case.lease;
        let bound = lease.ttl.as_nanos() * 1_000_000 / u128::from(1_000_000 - lease.drift_ppm);
        let bound = bound as u64 + 1_000;
        for run in &view.truth.runs {
            let Some(cancelled) = self.committed.get(&(run.datacenter, run.run.shard.job)) else {
                continue;
            };
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
