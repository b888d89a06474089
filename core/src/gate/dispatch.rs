//! Gets every job that this gate acts for what it needs next: a datacenter, an answer, an end.
//!
//! What that is follows from the ledger alone (`Job::duty`), so a new owner resumes where the
//! last one stopped. `Offer`, `Begin` and `CancelPart` are sent again with back-off until they are answered;
//! the receiver knows them by their fence. One entry per job is in flight at a time (a cancel may
//! overtake it); when it is committed, duty is asked again.
//!
//! Time: an offer that nobody answers within `result_grace` goes to the next datacenter. A begun
//! part whose datacenter was silent for `result_grace`, at its planned end plus `result_grace` or
//! later, is missing for good; so is a part that was cancelled before it began. All of this counts
//! from the commit on this gate's clock, and starts again when another takes the job over.
//!
//! Inputs: committed entries, what managers were heard to say, wakes. Outputs: [`Wish`]es.
//! Does not do: choose a datacenter (`health`), judge reports (`sync`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::models::{CancelCause, Duty, GateCommand, Job, PartEnd};
use super::state::{Committed, part_of};
use super::stats::planned_end;
use crate::config::GateConfig;
use crate::ids::JobId;
use crate::invariant::{Inv, Violation};
use crate::machine::{Cx, Events, Wake};
use crate::report::PartResult;
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;
use crate::wire::{Begin, CancelPart, Message, Offer};

/// The last doubling of the resend interval.
const DOUBLINGS: u32 = 4;

/// What a job needs from outside this module.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Wish {
    /// An untried datacenter; without one, the job cannot run for this reason.
    Place { job: JobId, otherwise: GateCommand },
    /// An entry for a job.
    Propose { job: JobId, command: GateCommand },
    /// Its verdict.
    End(JobId),
    /// A message to a datacenter, resting on what is committed.
    Deliver { datacenter: String, attempt: u32, msg: Box<Message> },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Resend(JobId),
    Missing(JobId),
}

/// The live jobs and what is being done for them.
#[derive(Debug)]
pub(super) struct Dispatch {
    errands: BTreeMap<JobId, Errand>,
    timers: Timers<Timer>,
    resend_after: Duration,
    result_grace: Duration,
}

#[derive(Debug)]
struct Errand {
    duty: Duty,
    attempts: u32,
    heard: Option<Instant>,
    /// The submission, by number, that is not committed yet.
    in_flight: Option<u64>,
}

impl Dispatch {
    pub(super) fn new(config: &GateConfig) -> Self {
        Self {
            errands: BTreeMap::new(),
            timers: Timers::new(),
            resend_after: config.resend_after,
            result_grace: config.result_grace,
        }
    }

    /// Does what a job needs after an entry about it was committed, or it was taken over.
    pub(super) fn pursue(
        &mut self,
        cx: &mut Cx<'_>,
        committed: Committed<'_>,
        id: JobId,
    ) -> Events<Wish> {
        let Some(job) = committed.ledger.job(id).filter(|job| !job.status.is_terminal()) else {
            self.forget(id);
            return Events::none();
        };
        if self.is_busy(id) {
            return Events::none();
        }
        let duty = job.duty();
        let fresh = || Errand { duty: Duty::Nothing, attempts: 0, heard: None, in_flight: None };
        let errand = self.errands.entry(id).or_insert_with(fresh);
        let new = errand.duty != duty;
        errand.duty = duty;
        match duty {
            Duty::Nothing => Events::none(),
            Duty::Place => place_or_abort(job, id, "no datacenter is left to run it"),
            Duty::End => {
                self.stop_timers(id);
                Events::one(Wish::End(id))
            }
            Duty::Offer(_) | Duty::Begin(_) | Duty::Cancel(_) if !new => Events::none(),
            Duty::Offer(_) | Duty::Begin(_) | Duty::Cancel(_) => {
                errand.attempts = 0;
                self.set_missing(cx.now(), id, job);
                self.deliver(cx, committed, id)
            }
        }
    }

    /// An entry was submitted for a job: nothing else is until it is committed.
    pub(super) fn on_submitted(&mut self, id: JobId, seq: u64) {
        if let Some(errand) = self.errands.get_mut(&id) {
            errand.in_flight = Some(seq);
        }
    }

    /// A submission is committed.
    pub(super) fn on_committed(&mut self, seq: u64) {
        for errand in self.errands.values_mut() {
            errand.in_flight.take_if(|in_flight| *in_flight == seq);
        }
    }

    /// The datacenter accepted the offer.
    pub(super) fn on_accepted(&mut self, committed: Committed<'_>, id: JobId) -> Events<Wish> {
        let Some(Duty::Offer(offer)) = self.open(id) else { return Events::none() };
        let offer = committed.fence(offer);
        let Some(job) = committed.ledger.job(id) else { return Events::none() };
        let command = GateCommand::Begin { part: part_of(id), offer, owner: job.owner.fence };
        Events::one(Wish::Propose { job: id, command })
    }

    /// The datacenter does not have the part and will not.
    pub(super) fn on_refused(
        &mut self,
        committed: Committed<'_>,
        id: JobId,
        reason: String,
    ) -> Events<Wish> {
        match self.open(id) {
            Some(Duty::Offer(_)) => {
                let otherwise = end_part(committed, id, PartEnd::Refused { reason }, None);
                wish(otherwise.map(|otherwise| Wish::Place { job: id, otherwise }))
            }
            Some(Duty::Begin(_)) => {
                let command = end_part(committed, id, PartEnd::Refused { reason }, None);
                wish(command.map(|command| Wish::Propose { job: id, command }))
            }
            Some(Duty::Place | Duty::Cancel(_) | Duty::End | Duty::Nothing) | None => {
                Events::none()
            }
        }
    }

    /// The datacenter works on the part.
    pub(super) fn on_alive(&mut self, now: Instant, id: JobId) {
        let Some(errand) = self.errands.get_mut(&id) else { return };
        errand.heard = Some(now);
        if matches!(errand.duty, Duty::Begin(_)) {
            self.timers.cancel(&Timer::Resend(id));
        }
    }

    /// The datacenter has the part's result.
    pub(super) fn on_ended(
        &mut self,
        committed: Committed<'_>,
        id: JobId,
        result: Box<PartResult>,
    ) -> Events<Wish> {
        match self.open(id) {
            Some(Duty::Begin(_) | Duty::Cancel(_)) => {
                let command = end_part(committed, id, PartEnd::Reported, Some(result));
                wish(command.map(|command| Wish::Propose { job: id, command }))
            }
            Some(Duty::Place | Duty::Offer(_) | Duty::End | Duty::Nothing) | None => Events::none(),
        }
    }

    /// Does everything that is due.
    pub(super) fn on_wake(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>) -> Events<Wish> {
        let mut wishes = Events::none();
        while let Some(timer) = self.timers.pop_due(cx.now()) {
            let due = match timer {
                Timer::Resend(id) => self.resend(cx, committed, id),
                Timer::Missing(id) => self.on_missing(cx.now(), committed, id),
            };
            for wish in due {
                wishes.push(wish);
            }
        }
        wishes
    }

    /// When something is due next.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, timer)| match timer {
            Timer::Resend(_) => Wake { at, why: "resend" },
            Timer::Missing(_) => Wake { at, why: "missing" },
        })
    }

    /// The jobs that are pursued.
    pub(super) fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.errands.keys().copied()
    }

    /// Whether no job needs anything.
    pub(super) fn is_idle(&self) -> bool {
        self.errands.is_empty() && self.timers.is_empty()
    }

    /// Checks that nothing is done for a job that has ended.
    pub(super) fn check_all(&self, committed: Committed<'_>) -> Result<(), Violation> {
        let live = |id: &JobId| committed.ledger.job(*id).is_some_and(|j| !j.status.is_terminal());
        let timers = self.timers.iter().map(|(timer, _)| match timer {
            Timer::Resend(id) | Timer::Missing(id) => id,
        });
        match self.errands.keys().chain(timers).find(|id| !live(id)) {
            Some(id) => Err(Violation::new(Inv::CleanSlate, format!("{id} ended, still pursued"))),
            None => Ok(()),
        }
    }

    fn is_busy(&self, id: JobId) -> bool {
        self.errands.get(&id).is_some_and(|errand| errand.in_flight.is_some())
    }

    /// The duty of a job that no entry is in flight for.
    fn open(&self, id: JobId) -> Option<Duty> {
        let errand = self.errands.get(&id)?;
        (!self.is_busy(id)).then_some(errand.duty)
    }

    /// The job has ended, or another gate acts for it.
    pub(super) fn forget(&mut self, id: JobId) {
        self.errands.remove(&id);
        self.stop_timers(id);
    }

    fn stop_timers(&mut self, id: JobId) {
        self.timers.cancel(&Timer::Resend(id));
        self.timers.cancel(&Timer::Missing(id));
    }

    fn set_missing(&mut self, now: Instant, id: JobId, job: &Job) {
        let key = Timer::Missing(id);
        let cancelling = job.cancel.is_some();
        if cancelling && job.has_begun() && self.timers.deadline(&key).is_some() {
            return;
        }
        let load = job.plan.as_deref().filter(|_| job.has_begun()).map(planned_end);
        self.timers.set(key, now.after(load.unwrap_or_default()).after(self.result_grace));
    }

    fn on_missing(&mut self, now: Instant, committed: Committed<'_>, id: JobId) -> Events<Wish> {
        let heard = self.errands.get(&id).and_then(|errand| errand.heard);
        let silent_at = heard.map(|at| at.after(self.result_grace));
        if let Some(at) = silent_at.filter(|at| *at > now) {
            self.timers.set(Timer::Missing(id), at);
            return Events::none();
        }
        self.timers.set(Timer::Missing(id), now.after(self.result_grace));
        match self.open(id) {
            Some(Duty::Offer(_)) => match committed.ledger.job(id) {
                Some(job) => place_or_abort(job, id, "no datacenter answered the offer in time"),
                None => Events::none(),
            },
            Some(Duty::Begin(_) | Duty::Cancel(_)) => {
                let command = end_part(committed, id, PartEnd::TimedOut, None);
                wish(command.map(|command| Wish::Propose { job: id, command }))
            }
            Some(Duty::Place | Duty::End | Duty::Nothing) | None => Events::none(),
        }
    }

    fn resend(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>, id: JobId) -> Events<Wish> {
        cx.count(Stat::Resent);
        self.deliver(cx, committed, id)
    }

    fn deliver(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>, id: JobId) -> Events<Wish> {
        let errand = self.errands.get_mut(&id);
        let (Some(errand), Some(job)) = (errand, committed.ledger.job(id)) else {
            return Events::none();
        };
        let Some((datacenter, msg)) = message(committed, id, job) else { return Events::none() };
        let attempt = errand.attempts;
        errand.attempts = attempt.saturating_add(1);
        let wait = self.resend_after.saturating_mul(1 << attempt.min(DOUBLINGS));
        let wait = cx.rng(Stream::Backoff).between(wait, wait.saturating_add(wait / 4));
        self.timers.set(Timer::Resend(id), cx.now().after(wait));
        Events::one(Wish::Deliver { datacenter, attempt, msg: Box::new(msg) })
    }
}

fn wish(wish: Option<Wish>) -> Events<Wish> {
    wish.map_or_else(Events::none, Events::one)
}

/// A silent datacenter may have accepted the offer: with nowhere else to go, the job is cancelled
/// and not merely ended.
fn place_or_abort(job: &Job, id: JobId, reason: &str) -> Events<Wish> {
    let cause = CancelCause::Aborted { reason: reason.to_owned() };
    let otherwise = GateCommand::Cancel { job: id, cause, owner: Some(job.owner.fence) };
    Events::one(Wish::Place { job: id, otherwise })
}

fn end_part(
    committed: Committed<'_>,
    id: JobId,
    end: PartEnd,
    result: Option<Box<PartResult>>,
) -> Option<GateCommand> {
    let job = committed.ledger.job(id)?;
    let (offer, owner) = (job.part.as_ref()?.offer, job.owner.fence);
    Some(GateCommand::EndPart { part: part_of(id), offer, end, result, owner })
}

fn message(committed: Committed<'_>, id: JobId, job: &Job) -> Option<(String, Message)> {
    let part = part_of(id);
    let placed = job.part.as_ref()?;
    let offer = committed.fence(placed.offer);
    let msg: Message = match job.duty() {
        Duty::Offer(_) => Offer { part, fence: offer, plan: job.plan.clone()? }.into(),
        Duty::Begin(at) => {
            Begin { part, fence: committed.fence(at), offer, start_in: Duration::ZERO }.into()
        }
        Duty::Cancel(at) => CancelPart { part, fence: committed.fence(at), workflow: None }.into(),
        Duty::Place | Duty::End | Duty::Nothing => return None,
    };
    Some((placed.datacenter.clone(), msg))
}
