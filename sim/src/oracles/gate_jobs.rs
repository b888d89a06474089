//! P3 as clients and the gate's committed state show it: created once, never lost, one terminal
//! status.

use std::collections::BTreeMap;

use hyperscale_core::api::Refusal;
use hyperscale_core::ids::{JobId, LogIndex};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::report::JobStatus;

use super::{Oracle, Seen, View, Wants, broken};

/// One key makes at most one job; the same key with another plan is refused.
#[derive(Debug, Default)]
pub(super) struct JobOnce {
    judged: u64,
}

impl Oracle for JobOnce {
    fn inv(&self) -> Inv {
        Inv::JobOnce
    }
    fn wants(&self) -> Wants {
        Wants::LOOKED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, _: &Seen<'_>) -> Result<(), Violation> {
        let mut by_key: BTreeMap<&str, (JobId, &hyperscale_core::plan::Plan)> = BTreeMap::new();
        for patron in view.patrons {
            for job in &patron.acknowledged {
                self.judged += u64::from(patron.acknowledged.len() > 1);
                let (first, plan) =
                    *by_key.entry(&patron.spec.key).or_insert((*job, &patron.spec.plan));
                if first != *job {
                    let key = &patron.spec.key;
                    return broken(self.inv(), format!("{key} made {first:?} and {job:?}"));
                }
                if *plan != patron.spec.plan {
                    return broken(self.inv(), format!("{job:?} answers for two plans"));
                }
            }
            if let Some(Refusal::KeyReused(_)) = patron.refused {
                self.judged += 1;
            }
        }
        for (_, gate) in view.gates() {
            let mut keys = BTreeMap::new();
            for (id, job) in gate.jobs() {
                if let Some(other) = keys.insert(&job.key, id) {
                    return broken(self.inv(), format!("{id:?} and {other:?} have one key"));
                }
            }
        }
        Ok(())
    }
}

/// An acknowledged job exists in every later committed state.
#[derive(Debug, Default)]
pub(super) struct JobDurable {
    judged: u64,
}

impl Oracle for JobDurable {
    fn inv(&self) -> Inv {
        Inv::JobDurable
    }
    fn wants(&self) -> Wants {
        Wants::LIVES.and(Wants::LOOKED).and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, _: &Seen<'_>) -> Result<(), Violation> {
        for job in view.patrons.iter().flat_map(|patron| &patron.acknowledged) {
            // A gate that is behind the creation need not know of it.
            let created = LogIndex::new(job.get());
            for (_, gate) in view.gates().filter(|(acted, _)| *acted >= created) {
                self.judged += 1;
                if gate.ledger().job(*job).is_none() {
                    return broken(self.inv(), format!("{job:?} was acknowledged and is gone"));
                }
            }
        }
        Ok(())
    }
}

/// A job has at most one terminal status, and everyone sees the same one.
#[derive(Debug, Default)]
pub(super) struct JobTerminal {
    /// The status, and the last entry that the gate had acted on which first showed it.
    ended: BTreeMap<JobId, (JobStatus, LogIndex)>,
    judged: u64,
}

impl Oracle for JobTerminal {
    fn inv(&self) -> Inv {
        Inv::JobTerminal
    }
    fn wants(&self) -> Wants {
        Wants::APPLIED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        if let Seen::Applied { host, index } = seen
            && let Some(gate) = view.gate(*host)
        {
            for (id, job) in gate.jobs() {
                self.on_job(id, job.status, *index)?;
            }
        }
        if matches!(seen, Seen::Over) {
            for patron in view.patrons {
                let Some(job) = patron.job else { continue };
                let ended = self.ended.get(&job).map(|(status, _)| status);
                if let Some(heard) = patron.terminal.iter().find(|heard| Some(*heard) != ended) {
                    return broken(
                        self.inv(),
                        format!("a client heard {heard:?} of {job:?}, which is {ended:?}"),
                    );
                }
            }
        }
        Ok(())
    }
}

impl JobTerminal {
    fn on_job(&mut self, job: JobId, status: JobStatus, acted: LogIndex) -> Result<(), Violation> {
        match self.ended.get(&job) {
            // A gate that is further behind may still show it alive.
            Some((ended, at)) if *at <= acted || status.is_terminal() => {
                self.judged += 1;
                if *ended != status {
                    return broken(self.inv(), format!("{job:?} {ended:?}, then {status:?}"));
                }
            }
            None if status.is_terminal() => {
                self.ended.insert(job, (status, acted));
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}
