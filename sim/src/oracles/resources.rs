//! cores-conserved and bounded.

use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::limits;
use hyperscale_core::wire::RunState;

use super::{Oracle, Seen, View, Wants, broken};

/// A worker's engine never holds more runs than cores, and a core is free exactly when no run holds
/// it.
#[derive(Debug, Default)]
pub(super) struct CoresConserved {
    judged: u64,
}

impl Oracle for CoresConserved {
    fn inv(&self) -> Inv {
        Inv::CoresConserved
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Stepped { host } = seen else { return Ok(()) };
        if !view.case.layout.is_worker(*host) {
            return Ok(());
        }
        let place = &view.hosts[usize::from(*host)];
        let cores = usize::from(view.case.cores_of(*host));
        let Some(worker) = place.node.as_ref().and_then(|node| node.worker()) else {
            return Ok(());
        };
        let busy = worker
            .runs()
            .filter(|run| !matches!(run.state, RunState::Ended | RunState::Refused))
            .count();
        self.judged += u64::from(busy > 0);
        let free = usize::from(worker.cores_free());
        if place.engine.runs() > cores || busy + free != cores {
            return broken(
                self.inv(),
                format!(
                    "host {host}: {cores} cores, {free} free, {busy} runs hold one, \
                     the engine has {}",
                    place.engine.runs()
                ),
            );
        }
        Ok(())
    }
}

/// Queues of the driver stay within their caps. The nodes' own are in their `check`.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    judged: u64,
}

impl Oracle for Bounded {
    fn inv(&self) -> Inv {
        Inv::Bounded
    }
    fn wants(&self) -> Wants {
        Wants::STEPPED
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Stepped { host } = seen else { return Ok(()) };
        let place = &view.hosts[usize::from(*host)];
        self.judged += u64::from(!place.held.is_empty());
        if place.held.len() > limits::INBOX_MAX || place.inbox.len() > 2 * limits::INBOX_MAX {
            return broken(
                self.inv(),
                format!("host {host}: {} held, {} waiting", place.held.len(), place.inbox.len()),
            );
        }
        Ok(())
    }
}
