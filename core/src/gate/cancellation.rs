//! Cancels in flight: who asked, and what they hear when the entry is committed.
//!
//! A cancel is a promise only once its entry is committed; then dispatch sends `CancelPart` until
//! the part has ended. Calls for a job whose cancel is in flight join it. An abort by threshold is
//! a cancel that nobody waits for.

use std::collections::BTreeMap;

use super::ledger::Applied;
use super::models::CancelCause;
use super::models::GateCommand;
use super::state::Committed;
use crate::api::{Refusal, Reply};
use crate::ids::{CallId, JobId, LogIndex};
use crate::limits::CALLS_MAX;
use crate::machine::Cx;
use crate::stat::Stat;

/// Cancels that are proposed and not committed.
#[derive(Debug, Default)]
pub(super) struct Cancellation {
    in_flight: BTreeMap<JobId, InFlight>,
}

#[derive(Debug)]
struct InFlight {
    index: LogIndex,
    calls: Vec<CallId>,
}

impl Cancellation {
    /// A client wants a job ended. Gives the entry to propose, if one is needed; what is known
    /// already is answered.
    pub(super) fn on_cancel(
        &mut self,
        cx: &mut Cx<'_>,
        committed: Committed<'_>,
        call: CallId,
        id: JobId,
    ) -> Option<GateCommand> {
        let reply = match committed.ledger.job(id) {
            None => Reply::Refused(Refusal::NoSuchJob(id)),
            Some(job) if job.status.is_terminal() => {
                cx.count(Stat::CancelTooLate);
                Reply::Refused(Refusal::AlreadyEnded(job.status))
            }
            Some(job) if job.cancel.is_some() => Reply::Cancelling(id),
            Some(_) => {
                let waiting: usize = self.in_flight.values().map(|held| held.calls.len()).sum();
                if waiting < CALLS_MAX {
                    return self.join(call, id);
                }
                cx.count(Stat::CapRefused);
                Reply::Refused(Refusal::Full)
            }
        };
        cx.out.reply(call, reply);
        None
    }

    /// A threshold wants a job ended. Gives the entry to propose, unless a cancel is committed or
    /// in flight.
    pub(super) fn on_abort(
        &mut self,
        committed: Committed<'_>,
        id: JobId,
        reason: String,
    ) -> Option<GateCommand> {
        let wanted = committed.ledger.job(id).is_some_and(|job| job.cancel.is_none());
        (wanted && !self.in_flight.contains_key(&id))
            .then_some(GateCommand::Cancel { job: id, cause: CancelCause::Aborted { reason } })
    }

    /// The entry was proposed for a call, or for nobody.
    pub(super) fn on_proposed(&mut self, id: JobId, index: LogIndex, call: Option<CallId>) {
        self.in_flight.insert(id, InFlight { index, calls: call.into_iter().collect() });
    }

    /// The entry is committed: everyone who waits hears what it did.
    pub(super) fn on_committed(
        &mut self,
        cx: &mut Cx<'_>,
        index: LogIndex,
        id: JobId,
        applied: Applied,
    ) {
        if self.in_flight.get(&id).is_none_or(|held| held.index != index) {
            return;
        }
        let Some(held) = self.in_flight.remove(&id) else { return };
        for call in held.calls {
            let reply = match applied {
                Applied::Cancelling(job) => Reply::Cancelling(job),
                Applied::AlreadyEnded(status) => {
                    cx.count(Stat::CancelTooLate);
                    Reply::Refused(Refusal::AlreadyEnded(status))
                }
                Applied::Overtaken
                | Applied::Full
                | Applied::Created(_)
                | Applied::Known(_)
                | Applied::Placed(_)
                | Applied::Begun(_)
                | Applied::PartEnded(_)
                | Applied::JobEnded(_)
                | Applied::Forgot => Reply::Refused(Refusal::NoSuchJob(id)),
            };
            cx.out.reply(call, reply);
        }
    }

    /// Whether no cancel is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    fn join(&mut self, call: CallId, id: JobId) -> Option<GateCommand> {
        if let Some(held) = self.in_flight.get_mut(&id) {
            held.calls.push(call);
            return None;
        }
        Some(GateCommand::Cancel { job: id, cause: CancelCause::Client })
    }
}
