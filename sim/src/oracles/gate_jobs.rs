//! P3 as clients and the gate's committed state show it: created once, never lost, one terminal
//! status.

use std::collections::BTreeMap;

use hyperscale_core::api::Refusal;
use hyperscale_core::ids::JobId;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::report::JobStatus;

use super::{Oracle, Seen, View, Wants, broken};
use crate::faults::GATE;

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
        let Some(gate) = view.hosts[usize::from(GATE)].node.as_ref().and_then(|n| n.gate()) else {
            return Ok(());
        };
        let mut keys = BTreeMap::new();
        for (id, job) in gate.jobs() {
            if let Some(other) = keys.insert(job.key.clone(), id) {
                return broken(self.inv(), format!("{id:?} and {other:?} have one key"));
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
        let Some(gate) = view.hosts[usize::from(GATE)].node.as_ref().and_then(|n| n.gate()) else {
            return Ok(());
        };
        for job in view.patrons.iter().flat_map(|patron| &patron.acknowledged) {
            self.judged += 1;
            if gate.ledger().job(*job).is_none() {
                return broken(self.inv(), format!("{job:?} was acknowledged and is gone"));
            }
        }
        Ok(())
    }
}

/// A job has at most one terminal status, and everyone sees the same one.
#[derive(Debug, Default)]
pub(super) struct JobTerminal {
    ended: BTreeMap<JobId, JobStatus>,
    judged: u64,
}

impl Oracle for JobTerminal {
    fn inv(&self) -> Inv {
        Inv::JobTerminal
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        if let Seen::Stepped { host } = seen
            && *host != GATE
        {
            return Ok(());
        }
        let Some(gate) = view.hosts[usize::from(GATE)].node.as_ref().and_then(|n| n.gate()) else {
            return Ok(());
        };
        for (id, job) in gate.jobs() {
            if let Some(ended) = self.ended.get(&id) {
                self.judged += 1;
                if *ended != job.status {
                    return broken(self.inv(), format!("{id:?} {ended:?}, then {:?}", job.status));
                }
            } else if job.status.is_terminal() {
                self.ended.insert(id, job.status);
            }
        }
        if matches!(seen, Seen::Over) {
            for patron in view.patrons {
                let Some(job) = patron.job else { continue };
                let ended = self.ended.get(&job);
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
