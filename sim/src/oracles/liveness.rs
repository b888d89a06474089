//! After faults stop: every job ends within a bound, and then nothing of it is left but history.

use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::lease::grantor_wait;

use super::{Oracle, Seen, View, Wants, broken};

/// Every job reaches a terminal status and its client hears of it.
#[derive(Debug, Default)]
pub(super) struct TerminalEventually {
    judged: u64,
}

impl Oracle for TerminalEventually {
    fn inv(&self) -> Inv {
        Inv::TerminalEventually
    }
    fn wants(&self) -> Wants {
        Wants::LOOKED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let late = view.is_calm && view.now > view.case.calm_from + view.case.liveness_bound();
        let waiting = view.patrons.iter().find(|patron| !patron.is_done());
        match (waiting, seen) {
            (Some(patron), Seen::Over) => broken(
                self.inv(),
                format!("nothing happens any more and {} has no outcome", patron.spec.key),
            ),
            (Some(patron), _) if late => broken(
                self.inv(),
                format!(
                    "{} (job {:?}) has no outcome {} s after faults stopped",
                    patron.spec.key,
                    patron.job,
                    (view.now - view.case.calm_from) / 1_000_000_000
                ),
            ),
            (None, Seen::Over) => {
                self.judged += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// When all jobs have ended, per-job state is gone everywhere but in history.
#[derive(Debug, Default)]
pub(super) struct CleanSlate {
    since: Option<u64>,
    judged: u64,
}

impl Oracle for CleanSlate {
    fn inv(&self) -> Inv {
        Inv::CleanSlate
    }
    fn wants(&self) -> Wants {
        Wants::LOOKED.and(Wants::OVER)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        if !view.is_calm || view.patrons.iter().any(|patron| !patron.is_done()) {
            return Ok(());
        }
        let since = *self.since.get_or_insert(view.now);
        let left = leftover(view);
        if let (None, Seen::Over) = (&left, seen) {
            self.judged += 1;
        }
        let case = view.case;
        let wait = grantor_wait(case.lease.ttl, case.lease.drift_ppm) * 3;
        let resend = case.gate.resend_after.max(case.manager.resend_after) * 48;
        let bound = (wait + resend).as_nanos() as u64 * 2;
        match left {
            Some(what) if view.now > since + bound || matches!(seen, Seen::Over) => {
                broken(self.inv(), format!("all jobs ended, but {what}"))
            }
            _ => Ok(()),
        }
    }
}

/// What is left of any job outside history, in words.
pub fn leftover(view: &View<'_>) -> Option<String> {
    let layout = &view.case.layout;
    // A member that does not lead shows it by its ledger alone.
    for host in layout.gates() {
        let Some(gate) = view.gate(host) else { continue };
        if gate.ledger().live_count() > 0 || (gate.leads() && !gate.is_idle()) {
            return Some(format!("gate {host} is not idle"));
        }
    }
    for host in layout.all_managers() {
        let Some((_, manager)) = view.manager(host) else { continue };
        if manager.parts().next().is_some() || (manager.leads() && !manager.is_idle()) {
            return Some(format!("manager {host} is not idle"));
        }
    }
    for host in layout.all_workers() {
        let place = &view.hosts[usize::from(host)];
        let Some(worker) = place.node.as_ref().and_then(|node| node.worker()) else { continue };
        let runs = worker.runs().count();
        if runs > 0 || place.engine.runs() > 0 {
            return Some(format!("worker {host} holds {runs} runs"));
        }
    }
    None
}
