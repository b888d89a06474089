//! Cancels in flight: who asked, and what they hear when the entry is committed.
//!
//! A cancel is a promise only once its entry is committed; then dispatch sends `CancelPart` until
//! the part has ended. Calls for a job whose cancel is in flight join it. An abort by threshold is
//! a cancel that nobody waits for.

use std::collections::BTreeMap;

use super::ledger::Applied;
use super::models::{CancelCause, GateCommand, Job};
use super::state::Committed;
use crate::api::{Refusal, Reply};
use crate::ids::{CallId, JobId, LogIndex, WorkflowIx};
use crate::limits::CALLS_MAX;
use crate::machine::Cx;
use crate::stat::Stat;

/// A job, or one of its workflows.
pub(super) type What = (JobId, Option<WorkflowIx>);

/// Cancels that are proposed and not committed.
#[derive(Debug, Default)]
pub(super) struct Cancellation {
    in_flight: BTreeMap<What, InFlight>,
}

#[derive(Debug)]
struct InFlight {
    index: LogIndex,
    calls: Vec<CallId>,
}

impl Cancellation {
    /// A client wants a job or a workflow ended. Gives the entry to propose, if one is needed; what
    /// is known already is answered.
    pub(super) fn on_cancel(
        &mut self,
        cx: &mut Cx<'_>,
        committed: Committed<'_>,
        call: CallId,
        what: What,
    ) -> Option<GateCommand> {
        let (id, workflow) = what;
        let stopped = |job: &Job| job.stopped.iter().any(|known| Some(known.workflow) == workflow);
        let reply = match committed.ledger.job(id) {
            None => Reply::Refused(Refusal::NoSuchJob(id)),
            Some(job) if job.status.is_terminal() => {
                cx.count(Stat::CancelTooLate);
                Reply::Refused(Refusal::AlreadyEnded(job.status))
            }
            Some(job) if job.cancel.is_some() || stopped(job) => Reply::Cancelling(id),
            Some(_) => {
                let waiting: usize = self.in_flight.values().map(|held| held.calls.len()).sum();
                if waiting < CALLS_MAX {
                    return self.join(call, what);
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
        let cause = CancelCause::Aborted { reason };
        (wanted && !self.in_flight.contains_key(&(id, None))).then_some(GateCommand::Cancel {
            job: id,
            cause,
            workflow: None,
        })
    }

    /// The entry was proposed for a call, or for nobody.
    pub(super) fn on_proposed(&mut self, what: What, index: LogIndex, call: Option<CallId>) {
        self.in_flight.insert(what, InFlight { index, calls: call.into_iter().collect() });
    }

    /// The entry is committed: everyone who waits hears what it did.
    pub(super) fn on_committed(
        &mut self,
        cx: &mut Cx<'_>,
        index: LogIndex,
        what: What,
        applied: Applied,
    ) {
        if self.in_flight.get(&what).is_none_or(|held| held.index != index) {
            return;
        }
        let Some(held) = self.in_flight.remove(&what) else { return };
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
                | Applied::Forgot => Reply::Refused(Refusal::NoSuchJob(what.0)),
            };
            cx.out.reply(call, reply);
        }
    }

    /// Whether no cancel is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    fn join(&mut self, call: CallId, what: What) -> Option<GateCommand> {
        if let Some(held) = self.in_flight.get_mut(&what) {
            held.calls.push(call);
            return None;
        }
        let (job, workflow) = what;
        Some(GateCommand::Cancel { job, cause: CancelCause::Client, workflow })
    }
}
