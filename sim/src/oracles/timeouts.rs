//! timeout-honest: nobody is timed out early, and where nothing is in the way nobody late.

use std::collections::BTreeMap;
use std::time::Duration;

use hyperscale_core::gate::GateCommand;
use hyperscale_core::gate::models::CancelCause;
use hyperscale_core::ids::JobId;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::{ManagerCommand, TIMED_OUT};

use super::{Oracle, Seen, View, Wants, broken};
use crate::annals::Chosen;
use crate::faults::Class;

/// Timeouts of jobs, by true time.
#[derive(Debug, Default)]
pub(super) struct TimeoutHonest {
    timeouts: BTreeMap<JobId, Duration>,
    /// When a job was begun, at the gates and in a datacenter.
    begun: BTreeMap<(Option<u16>, JobId), u64>,
    /// Jobs that are being ended.
    stopped: BTreeMap<JobId, u64>,
    judged: u64,
}

impl Oracle for TimeoutHonest {
    fn inv(&self) -> Inv {
        Inv::TimeoutHonest
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Committed { group, chosen } = seen else { return Ok(()) };
        match &chosen.record {
            Record::Gate(entry) => match entry.command() {
                Some(GateCommand::Create { plan, .. }) => {
                    let job = JobId::new(entry.index.get());
                    self.timeouts.extend(plan.timeout.map(|timeout| (job, timeout)));
                }
                Some(GateCommand::Begin { job, .. }) => {
                    self.begun.entry((None, *job)).or_insert(chosen.appended);
                }
                Some(GateCommand::Cancel { job, cause, workflow: None, .. }) => {
                    self.stopped.entry(*job).or_insert(chosen.appended);
                    if let CancelCause::TimedOut { .. } = cause {
                        return self.on_timed_out(view, (None, *job), chosen);
                    }
                }
                Some(GateCommand::EndJob { job, .. }) => return self.on_ended(view, *job, chosen),
                _ => {}
            },
            Record::Manager(entry) => match entry.command() {
                Some(ManagerCommand::Begin { part, .. }) => {
                    let key = (group.datacenter(), part.job);
                    self.begun.entry(key).or_insert(chosen.appended);
                }
                Some(ManagerCommand::Fail { part, reason, .. })
                    if reason.starts_with(TIMED_OUT) =>
                {
                    return self.on_timed_out(view, (group.datacenter(), part.job), chosen);
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

impl TimeoutHonest {
    fn on_timed_out(
        &mut self,
        view: &View<'_>,
        key: (Option<u16>, JobId),
        chosen: &Chosen,
    ) -> Result<(), Violation> {
        self.judged += 1;
        let timeout = self.timeouts.get(&key.1).map(|timeout| timeout.as_nanos());
        let begun = self.begun.get(&key).copied();
        let Some((timeout, begun)) = timeout.zip(begun) else {
            return broken(self.inv(), format!("{key:?} was not begun or has no timeout"));
        };
        let ran = chosen.appended.saturating_sub(begun);
        let fast = 1_000_000 + u128::from(view.case.lease.drift_ppm);
        if u128::from(ran) * fast / 1_000_000 + 1_000 < timeout {
            return broken(self.inv(), format!("{key:?} timed out of {timeout} ns after {ran} ns"));
        }
        Ok(())
    }

    /// A job that ended by itself had not run for much longer than its timeout.
    fn on_ended(&mut self, view: &View<'_>, job: JobId, chosen: &Chosen) -> Result<(), Violation> {
        let (Some(timeout), Some(begun)) = (self.timeouts.get(&job), self.begun.get(&(None, job)))
        else {
            return Ok(());
        };
        let harmless = |class: &Class| {
            matches!(class, Class::CrashWorker | Class::Gone | Class::Offset | Class::Drift)
        };
        if !view.case.classes.iter().all(harmless) || self.stopped.contains_key(&job) {
            return Ok(());
        }
        self.judged += 1;
        let slow = 1_000_000 - u128::from(view.case.lease.drift_ppm).min(900_000);
        let most = timeout.as_nanos() * 1_000_000 / slow + LATE_NS;
        let ran = chosen.appended.saturating_sub(*begun);
        if u128::from(ran) > most {
            return broken(
                self.inv(),
                format!("{job:?} ran for {ran} ns, {timeout:?} are allowed"),
            );
        }
        Ok(())
    }
}

/// Until a timeout is in the log, and what ended before it.
const LATE_NS: u128 = 3_000_000_000;
