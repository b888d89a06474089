//! Gets every job that this gate acts for, and its parts, what they need next: a datacenter, an
//! answer, an end.
//!
//! What that is follows from the ledger alone (`Job::next`, `Part::duty`), so a new owner resumes
//! where the last one stopped. `Offer`, `Begin` and `CancelPart` are sent again with back-off until
//! they are answered; the receiver knows them by their fence. One entry per part and one per job is
//! in flight at a time (a cancel may overtake them); when it is committed, duty is asked again.
//!
//! Acceptance is not committed: an owner that has not heard of it offers again. Once every part of
//! a job is accepted one entry begins them all, and they start together, `start_in` later.
//!
//! Time: an offer that nobody answers within `accept_within` goes to another datacenter if any may
//! take it, else the job fails. A begun part whose datacenter was silent for `result_grace`, at its
//! planned end plus `result_grace` or later, is missing for good; so is a part that was cancelled
//! before it began. All of this counts from the commit on this gate's clock, and starts again when
//! another takes the job over.
//!
//! A cancelled workflow needs no timer: a running part reports every second, and one whose report
//! shows the workflow untouched is told again.
//!
//! Inputs: committed entries, what managers were heard to say, wakes. Outputs: [`Wish`]es.
//! Does not do: choose a datacenter (`health`), judge reports (`sync`).

mod offers;

use std::collections::BTreeMap;
use std::time::Duration;

use super::errand::{Errand, PartErrand, Wish};
use super::models::{CancelCause, Decision, Duty, GateCommand, Job, Next, PartEnd};
use super::state::Committed;
use super::stats::planned_end;
use super::timeouts::Timeouts;
use crate::config::GateConfig;
use crate::ids::{JobId, NodeId, PartId, PartIx, WorkflowIx};
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

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Resend(PartId),
    Missing(PartId),
}

/// The live jobs and what is being done for them.
#[derive(Debug)]
pub(super) struct Dispatch {
    gate: NodeId,
    errands: BTreeMap<JobId, Errand>,
    timers: Timers<Timer>,
    timeouts: Timeouts,
    resend_after: Duration,
    accept_within: Duration,
    result_grace: Duration,
    start_in: Duration,
}

impl Dispatch {
    pub(super) fn new(config: &GateConfig) -> Self {
        Self {
            gate: config.node,
            errands: BTreeMap::new(),
            timers: Timers::new(),
            timeouts: Timeouts::default(),
            resend_after: config.resend_after,
            accept_within: config.accept_within,
            result_grace: config.result_grace,
            start_in: config.start_in,
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
        self.timeouts.watch(cx.now(), (id, job));
        let errand = self.errands.entry(id).or_default();
        errand.parts.resize_with(job.parts.len(), PartErrand::default);
        let mut wishes = Events::none();
        let mut placing = errand.is_placing() || errand.is_busy();
        for (part, _) in job.numbered() {
            let id = PartId { job: id, part };
            for wish in self.pursue_part(cx, committed, (id, job), placing) {
                placing |= matches!(wish, Wish::Place { .. });
                wishes.push(wish);
            }
        }
        for wish in self.conclude((id, job)) {
            wishes.push(wish);
        }
        wishes
    }

    fn pursue_part(
        &mut self,
        cx: &mut Cx<'_>,
        committed: Committed<'_>,
        (id, job): (PartId, &Job),
        placing: bool,
    ) -> Events<Wish> {
        let duty = job.duty(id.part);
        let Some(errand) = self.errand(id).filter(|errand| !errand.is_busy()) else {
            return Events::none();
        };
        let new = errand.duty != Some(duty);
        errand.duty = Some(duty);
        match duty {
            Duty::Nothing => {
                self.stop_timers(id);
                Events::none()
            }
            // Its turn has not come.
            Duty::Place if job.admitted.is_none() => Events::none(),
            // One at a time where the gate chooses: each rules out a datacenter for the next.
            Duty::Place if placing && is_movable(id, job) => Events::none(),
            Duty::Place => self.place_or_abort(committed, id, "no datacenter is left to run it"),
            Duty::Offer(_) | Duty::Begin(_) | Duty::Cancel(_) if !new => Events::none(),
            Duty::Offer(_) | Duty::Begin(_) | Duty::Cancel(_) => {
                errand.attempts = 0;
                errand.accepted = false;
                self.set_missing(cx.now(), id, job);
                self.deliver(cx, committed, id)
            }
        }
    }

    /// What the job as a whole needs, once its parts have what they need.
    fn conclude(&mut self, (id, job): (JobId, &Job)) -> Events<Wish> {
        let Some(errand) = self.errands.get(&id).filter(|errand| !errand.is_busy()) else {
            return Events::none();
        };
        match job.next() {
            Next::Begin if errand.parts.iter().all(|part| part.accepted) => {
                let offers: Option<Vec<_>> = job.parts.iter().map(|part| part.offer).collect();
                let offers = offers.unwrap_or_default().try_into().unwrap_or_default();
                propose(id, None, GateCommand::Begin { job: id, offers, owner: job.owner.fence })
            }
            Next::Abort(reason) => propose(id, None, abort(id, job, reason)),
            Next::End => Events::one(Wish::End(id)),
            Next::Wait | Next::Begin | Next::Nothing => Events::none(),
        }
    }

    /// An entry was submitted for a job, or a part of it: no other is until it is committed.
    pub(super) fn on_submitted(&mut self, id: JobId, part: Option<PartIx>, seq: u64) {
        let Some(errand) = self.errands.get_mut(&id) else { return };
        match part {
            None => errand.in_flight = Some(seq),
            Some(ix) => {
                if let Some(part) = errand.parts.get_mut(usize::from(ix.get())) {
                    part.in_flight = Some(seq);
                }
            }
        }
    }

    /// A submission is committed.
    pub(super) fn on_committed(&mut self, seq: u64) {
        for errand in self.errands.values_mut() {
            errand.in_flight.take_if(|in_flight| *in_flight == seq);
            for part in &mut errand.parts {
                part.in_flight.take_if(|in_flight| *in_flight == seq);
            }
        }
    }

    /// The parts of a job are begun: they start together.
    pub(super) fn on_begun(&mut self, now: Instant, id: JobId) {
        let start_in = self.start_in;
        if let Some(errand) = self.errands.get_mut(&id).filter(|errand| errand.parts.len() > 1) {
            errand.start_at = Some(now.after(start_in));
        }
    }

    /// The datacenter accepted the offer.
    pub(super) fn on_accepted(&mut self, committed: Committed<'_>, id: PartId) -> Events<Wish> {
        let Some(errand) = self.errand(id).filter(|errand| !errand.is_busy()) else {
            return Events::none();
        };
        if !matches!(errand.duty, Some(Duty::Offer(_))) {
            return Events::none();
        }
        errand.accepted = true;
        self.stop_timers(id);
        let Some(job) = committed.ledger.job(id.job) else { return Events::none() };
        self.conclude((id.job, job))
    }

    /// The datacenter does not have the part and will not.
    pub(super) fn on_refused(
        &mut self,
        committed: Committed<'_>,
        id: PartId,
        reason: String,
    ) -> Events<Wish> {
        let Some(job) = committed.ledger.job(id.job) else { return Events::none() };
        let movable = is_movable(id, job);
        match self.open(id) {
            Some(Duty::Offer(_)) if movable => {
                let otherwise = end_part(committed, id, PartEnd::Refused { reason }, None);
                wish(otherwise.map(|otherwise| Wish::Place { part: id, otherwise }))
            }
            Some(Duty::Offer(_) | Duty::Begin(_)) => {
                end_wish(committed, id, PartEnd::Refused { reason }, None)
            }
            Some(Duty::Place | Duty::Cancel(_) | Duty::Nothing) | None => Events::none(),
        }
    }

    /// The datacenter works on the part; it has not touched these workflows, which were cancelled.
    pub(super) fn on_alive(
        &mut self,
        committed: Committed<'_>,
        now: Instant,
        id: PartId,
        untouched: Vec<WorkflowIx>,
    ) -> Events<Wish> {
        let Some(errand) = self.errand(id) else { return Events::none() };
        errand.heard = Some(now);
        if !matches!(errand.duty, Some(Duty::Begin(_))) {
            return Events::none();
        }
        let attempt = errand.attempts;
        errand.attempts = attempt.saturating_add(1);
        self.timers.cancel(&Timer::Resend(id));
        let mut wishes = Events::none();
        for workflow in untouched {
            for wish in stop(committed, id, workflow, attempt) {
                wishes.push(wish);
            }
        }
        wishes
    }

    /// A workflow is cancelled: every datacenter that was told to begin is told.
    pub(super) fn on_stopped(
        &self,
        committed: Committed<'_>,
        id: JobId,
        workflow: WorkflowIx,
    ) -> Events<Wish> {
        let mut wishes = Events::none();
        let Some(job) = committed.ledger.job(id) else { return wishes };
        for (part, _) in job.numbered() {
            if !matches!(job.duty(part), Duty::Begin(_)) {
                continue;
            }
            for wish in stop(committed, PartId { job: id, part }, workflow, 0) {
                wishes.push(wish);
            }
        }
        wishes
    }

    /// The datacenter has the part's result.
    pub(super) fn on_ended(
        &mut self,
        committed: Committed<'_>,
        id: PartId,
        result: Box<PartResult>,
    ) -> Events<Wish> {
        match self.open(id) {
            Some(Duty::Begin(_) | Duty::Cancel(_)) => {
                end_wish(committed, id, PartEnd::Reported, Some(result))
            }
            Some(Duty::Place | Duty::Offer(_) | Duty::Nothing) | None => Events::none(),
        }
    }

    /// Does everything that is due.
    pub(super) fn on_wake(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>) -> Events<Wish> {
        let mut wishes = Events::none();
        for wish in self.timeouts.on_wake(cx, committed) {
            wishes.push(wish);
        }
        while let Some(timer) = self.timers.pop_due(cx.now()) {
            let due = match timer {
                Timer::Resend(id) => {
                    cx.count(Stat::Resent);
                    self.deliver(cx, committed, id)
                }
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
        let timer = self.timers.next().map(|(at, timer)| match timer {
            Timer::Resend(_) => Wake { at, why: "resend" },
            Timer::Missing(_) => Wake { at, why: "missing" },
        });
        Wake::earliest(timer, self.timeouts.next_wake())
    }

    /// The jobs that are pursued.
    pub(super) fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.errands.keys().copied()
    }

    /// Whether no job needs anything.
    pub(super) fn is_idle(&self) -> bool {
        self.errands.is_empty() && self.timers.is_empty() && self.timeouts.is_idle()
    }

    /// Checks that nothing is done for a job that has ended.
    pub(super) fn check_all(&self, committed: Committed<'_>) -> Result<(), Violation> {
        let live = |id: &JobId| committed.ledger.job(*id).is_some_and(|j| !j.status.is_terminal());
        let timers = self.timers.iter().map(|(timer, _)| match timer {
            Timer::Resend(id) | Timer::Missing(id) => &id.job,
        });
        match self.errands.keys().chain(timers).find(|id| !live(id)) {
            Some(id) => Err(Violation::new(Inv::CleanSlate, format!("{id} ended, still pursued"))),
            None => Ok(()),
        }
    }

    fn errand(&mut self, id: PartId) -> Option<&mut PartErrand> {
        self.errands.get_mut(&id.job)?.parts.get_mut(usize::from(id.part.get()))
    }

    /// The duty of a part that no entry is in flight for.
    fn open(&mut self, id: PartId) -> Option<Duty> {
        self.errand(id).filter(|errand| !errand.is_busy())?.duty
    }

    /// The job has ended, or another gate acts for it.
    pub(super) fn forget(&mut self, id: JobId) {
        self.timeouts.forget(id);
        let parts = self.errands.remove(&id).map_or(0, |errand| errand.parts.len());
        for part in (0..parts).filter_map(|ix| u16::try_from(ix).ok()) {
            self.stop_timers(PartId { job: id, part: PartIx::new(part) });
        }
    }

    fn stop_timers(&mut self, id: PartId) {
        self.timers.cancel(&Timer::Resend(id));
        self.timers.cancel(&Timer::Missing(id));
    }

    fn set_missing(&mut self, now: Instant, id: PartId, job: &Job) {
        let key = Timer::Missing(id);
        let begun = job.part(id.part).is_some_and(|part| part.begun.is_some());
        if job.cancel.is_some() && begun && self.timers.deadline(&key).is_some() {
            return;
        }
        let wait = match job.duty(id.part) {
            Duty::Offer(_) => self.accept_within,
            Duty::Place | Duty::Begin(_) | Duty::Cancel(_) | Duty::Nothing => {
                let load = job.plan.as_deref().filter(|_| begun).map(planned_end);
                load.unwrap_or_default().saturating_add(self.result_grace)
            }
        };
        self.timers.set(key, now.after(wait));
    }

    fn on_missing(&mut self, now: Instant, committed: Committed<'_>, id: PartId) -> Events<Wish> {
        let heard = self.errand(id).and_then(|errand| errand.heard);
        let silent_at = heard.map(|at| at.after(self.result_grace));
        if let Some(at) = silent_at.filter(|at| *at > now) {
            self.timers.set(Timer::Missing(id), at);
            return Events::none();
        }
        self.timers.set(Timer::Missing(id), now.after(self.result_grace));
        match self.open(id) {
            Some(Duty::Offer(_)) => {
                self.place_or_abort(committed, id, "no datacenter answered the offer in time")
            }
            Some(Duty::Begin(_) | Duty::Cancel(_)) => {
                end_wish(committed, id, PartEnd::TimedOut, None)
            }
            Some(Duty::Place | Duty::Nothing) | None => Events::none(),
        }
    }

    /// A silent datacenter may have accepted the offer: with nowhere else to go, the job is
    /// cancelled and not merely ended.
    fn place_or_abort(&self, committed: Committed<'_>, id: PartId, reason: &str) -> Events<Wish> {
        let Some(job) = committed.ledger.job(id.job) else { return Events::none() };
        let Some(part) = job.part(id.part) else { return Events::none() };
        if is_movable(id, job) {
            let otherwise = abort(id.job, job, reason.to_owned());
            return Events::one(Wish::Place { part: id, otherwise });
        }
        let datacenter = part.datacenter.clone();
        if part.offer.is_none() {
            let owner = job.owner.fence;
            let decision = Decision::named(self.gate);
            let command = GateCommand::Place { part: id, datacenter, owner, decision };
            return propose(id.job, Some(id.part), command);
        }
        if self.errands.get(&id.job).is_none_or(|errand| errand.is_busy()) {
            return Events::none();
        }
        let reason = format!("datacenter {datacenter} did not answer the offer in time");
        propose(id.job, None, abort(id.job, job, reason))
    }

    fn deliver(&mut self, cx: &mut Cx<'_>, committed: Committed<'_>, id: PartId) -> Events<Wish> {
        let start_at = self.errands.get(&id.job).and_then(|errand| errand.start_at);
        let start_in = start_at.map_or(Duration::ZERO, |at| at.since(cx.now()));
        let resend_after = self.resend_after;
        let errand = self.errand(id);
        let (Some(errand), Some(job)) = (errand, committed.ledger.job(id.job)) else {
            return Events::none();
        };
        let Some((datacenter, msg)) = message(committed, (id, job), start_in) else {
            return Events::none();
        };
        let attempt = errand.attempts;
        errand.attempts = attempt.saturating_add(1);
        let wait = resend_after.saturating_mul(1 << attempt.min(DOUBLINGS));
        let wait = cx.rng(Stream::Backoff).between(wait, wait.saturating_add(wait / 4));
        self.timers.set(Timer::Resend(id), cx.now().after(wait));
        Events::one(Wish::Deliver { datacenter, attempt, msg: Box::new(msg) })
    }
}

fn wish(wish: Option<Wish>) -> Events<Wish> {
    wish.map_or_else(Events::none, Events::one)
}

fn propose(job: JobId, part: Option<PartIx>, command: GateCommand) -> Events<Wish> {
    Events::one(Wish::Propose { job, part, command })
}

fn abort(id: JobId, job: &Job, reason: String) -> GateCommand {
    let cause = CancelCause::Aborted { reason };
    GateCommand::Cancel { job: id, cause, workflow: None, owner: Some(job.owner.fence) }
}

/// Whether any datacenter may take a part.
fn is_movable(id: PartId, job: &Job) -> bool {
    job.plan.as_deref().is_some_and(|plan| plan.datacenters.name(id.part).is_none())
}

fn end_part(
    committed: Committed<'_>,
    id: PartId,
    end: PartEnd,
    result: Option<Box<PartResult>>,
) -> Option<GateCommand> {
    let job = committed.ledger.job(id.job)?;
    let (offer, owner) = (job.part(id.part)?.offer?, job.owner.fence);
    Some(GateCommand::EndPart { part: id, offer, end, result, owner })
}

fn end_wish(
    committed: Committed<'_>,
    id: PartId,
    end: PartEnd,
    result: Option<Box<PartResult>>,
) -> Events<Wish> {
    let command = end_part(committed, id, end, result);
    command.map_or_else(Events::none, |command| propose(id.job, Some(id.part), command))
}

/// The cancel of a workflow, for the datacenter of a part.
fn stop(committed: Committed<'_>, id: PartId, workflow: WorkflowIx, attempt: u32) -> Events<Wish> {
    let wanted = committed.ledger.job(id.job).and_then(|job| {
        let stopped = job.stopped.iter().find(|stopped| stopped.workflow == workflow)?;
        Some((stopped.at, job.part(id.part)?.datacenter.clone()))
    });
    let Some((at, datacenter)) = wanted else { return Events::none() };
    let fence = committed.fence(at);
    let msg = CancelPart { part: id, fence, workflow: Some(workflow) };
    Events::one(Wish::Deliver { datacenter, attempt, msg: Box::new(msg.into()) })
}

fn message(
    committed: Committed<'_>,
    (part, job): (PartId, &Job),
    start_in: Duration,
) -> Option<(String, Message)> {
    let placed = job.part(part.part)?;
    let offer = committed.fence(placed.offer?);
    let msg: Message = match job.duty(part.part) {
        Duty::Offer(_) => Offer { part, fence: offer, plan: job.plan.clone()? }.into(),
        Duty::Begin(at) => Begin { part, fence: committed.fence(at), offer, start_in }.into(),
        Duty::Cancel(at) => CancelPart { part, fence: committed.fence(at), workflow: None }.into(),
        Duty::Place | Duty::Nothing => return None,
    };
    Some((placed.datacenter.clone(), msg))
}
