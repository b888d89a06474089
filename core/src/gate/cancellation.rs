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
use crate::ids::{CallId, JobId, WorkflowIx};
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
    seq: u64,
    calls: Vec<CallId>,
}

/// What a client's cancel needs.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Wanted {
    /// Nothing: this is the answer.
    Reply(Reply),
    /// Nothing more: it waits for an entry that is in flight.
    Joined,
    /// An entry.
    Submit(GateCommand),
}

impl Cancellation {
    /// A client wants a job or a workflow ended: what is known already is answered.
    pub(super) fn on_cancel(
        &mut self,
        cx: &mut Cx<'_>,
        committed: Committed<'_>,
        call: CallId,
        what: What,
    ) -> Wanted {
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
                if let Some(held) = self.in_flight.get_mut(&what) {
                    held.calls.push(call);
                    return Wanted::Joined;
                }
                let cause = CancelCause::Client;
                return Wanted::Submit(GateCommand::Cancel {
                    job: id,
                    cause,
                    workflow,
                    owner: None,
                });
            }
        };
        Wanted::Reply(reply)
    }

    /// A threshold wants a job ended. Gives the entry to submit, unless a cancel is committed or
    /// in flight.
    pub(super) fn on_abort(
        &mut self,
        committed: Committed<'_>,
        id: JobId,
        reason: String,
    ) -> Option<GateCommand> {
        let job = committed.ledger.job(id).filter(|job| job.cancel.is_none())?;
        let cause = CancelCause::Aborted { reason };
        let owner = Some(job.owner.fence);
        let wanted = !self.in_flight.contains_key(&(id, None));
        wanted.then_some(GateCommand::Cancel { job: id, cause, workflow: None, owner })
    }

    /// The entry was submitted for a call, or for nobody.
    pub(super) fn on_submitted(&mut self, what: What, seq: u64, call: Option<CallId>) {
        self.in_flight.insert(what, InFlight { seq, calls: call.into_iter().collect() });
    }

    /// The time of a call is up.
    pub(super) fn give_up(&mut self, call: CallId) {
        self.in_flight.values_mut().for_each(|held| held.calls.retain(|one| *one != call));
    }

    /// The entry is committed: what everyone who waits hears. An abort that this gate was not
    /// entitled to any more did nothing: clients that joined it need an entry of their own.
    pub(super) fn on_committed(
        &mut self,
        cx: &mut Cx<'_>,
        seq: u64,
        what: What,
        applied: Applied,
    ) -> Vec<(CallId, Reply)> {
        if self.in_flight.get(&what).is_none_or(|held| held.seq != seq) {
            return Vec::new();
        }
        let Some(held) = self.in_flight.remove(&what) else { return Vec::new() };
        let answers = held.calls.into_iter().map(|call| {
            let reply = match applied {
                Applied::Cancelling(job) => Reply::Cancelling(job),
                Applied::AlreadyEnded(status) => {
                    cx.count(Stat::CancelTooLate);
                    Reply::Refused(Refusal::AlreadyEnded(status))
                }
                Applied::Fenced(_) => Reply::Refused(Refusal::OutcomeUnknown),
                Applied::Overtaken
                | Applied::Full
                | Applied::Enrolled(_)
                | Applied::Expired(_)
                | Applied::Owned(_)
                | Applied::Created(_)
                | Applied::Known(_)
                | Applied::Placed(_)
                | Applied::Begun(_)
                | Applied::PartEnded(_)
                | Applied::JobEnded(_)
                | Applied::Admitted(_)
                | Applied::Forgot => Reply::Refused(Refusal::NoSuchJob(what.0)),
            };
            (call, reply)
        });
        answers.collect()
    }

    /// Another ledger replaced the one that cancels were judged by: which of those in flight it
    /// contains is not known.
    pub(super) fn on_installed(&mut self) -> Vec<(CallId, Reply)> {
        let unknown = Reply::Refused(Refusal::OutcomeUnknown);
        let held = std::mem::take(&mut self.in_flight).into_values();
        held.flat_map(|held| held.calls).map(|call| (call, unknown.clone())).collect()
    }

    /// Whether no cancel is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }
}
