//! minority-refuses: a gate without a way to a majority of the gates and back acknowledges nothing.
//!
//! What a gate creates or cancels must have been committed after the question came. What it reads
//! it may know by its leader's lease when the question came, which lasts `silence` at most from the
//! last round; the leader's answer may take its time.

use std::collections::BTreeMap;
use std::time::Duration;

use hyperscale_core::api::Reply;
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{CallId, JobId};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;

use super::{Oracle, Seen, View, Wants, broken};
use crate::layout::Group;

/// When questions reached their gates.
#[derive(Debug, Default)]
pub(super) struct MinorityRefuses {
    called: BTreeMap<CallId, u64>,
    /// Jobs whose cancel is chosen, and since when.
    cancelled: BTreeMap<JobId, u64>,
    /// Since when every gate is a voter.
    whole_since: Option<u64>,
    judged: u64,
}

impl Oracle for MinorityRefuses {
    fn inv(&self) -> Inv {
        Inv::MinorityRefuses
    }
    fn wants(&self) -> Wants {
        Wants::CALLED.and(Wants::GIVEN).and(Wants::COMMITTED)
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group: Group::GATES, chosen } => {
                if let Record::Gate(entry) = &chosen.record
                    && let Some(GateCommand::Cancel { job, .. }) = entry.command()
                {
                    self.cancelled.entry(*job).or_insert(view.now);
                }
                let voters = view.annals.members(Group::GATES).voters.len();
                if voters == view.case.layout.gates().len() {
                    self.whole_since.get_or_insert(view.now);
                }
            }
            Seen::Called { call, .. } => {
                self.called.insert(*call, view.now);
            }
            // Judged when it was decided: a slow sync may hold it back.
            Seen::Given { host, effect: Effect::Reply { call, reply, .. } } => {
                let Some(called) = self.called.remove(call) else { return Ok(()) };
                return self.on_reply(view, *host, called, reply);
            }
            _ => {}
        }
        Ok(())
    }
}

impl MinorityRefuses {
    fn on_reply(
        &mut self,
        view: &View<'_>,
        host: u16,
        called: u64,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let Some(alone) = view.reach.alone_since(host) else { return Ok(()) };
        // A leader that was cut off while the group grew may have been a majority by itself.
        if self.whole_since.is_none_or(|since| since >= alone) {
            return Ok(());
        }
        let until = match reply {
            Reply::Submitted { existing: false, .. } => called,
            // A cancel that was chosen before is only read again.
            Reply::Cancelling(job) if self.cancelled.get(job).is_none_or(|at| *at >= called) => {
                called
            }
            Reply::Submitted { .. }
            | Reply::Cancelling(_)
            | Reply::Status(_)
            | Reply::Jobs(_)
            | Reply::Explained(_)
            | Reply::Result(_) => called.saturating_sub(lease_ns(view)),
            Reply::Refused(_) | Reply::Watching { .. } | Reply::Cluster(_) | Reply::Stats(_) => {
                self.judged += 1;
                return Ok(());
            }
        };
        self.judged += 1;
        if alone >= until {
            return Ok(());
        }
        let detail = format!("gate {host} alone since {alone} ns, asked at {called} ns: {reply:?}");
        broken(self.inv(), detail)
    }
}

/// How long a leader's lease may last in true time, with the way of the last round's answers.
fn lease_ns(view: &View<'_>) -> u64 {
    let consensus = &view.case.gate.consensus;
    let slow = 1_000_000 - u64::from(view.case.lease.drift_ppm);
    let lease = consensus.silence + Duration::from_millis(1);
    (lease.as_nanos() * 1_000_000 / u128::from(slow)) as u64
}
