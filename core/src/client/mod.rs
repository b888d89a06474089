//! A client: submits a plan under a key until it is acknowledged, then asks until the job has
//! ended.
//!
//! The simulator runs it as a machine; the command line shares its retry policy ([`Retry`],
//! [`is_retryable`]). One question is open at a time. A question without an answer in time, and an
//! answer that says "later", is asked again with back-off and jitter, always with the same key, so
//! that nothing is done twice. Every gate answers for every job: a question that had no answer, or
//! that a gate could not decide, goes to the next gate. A gate that says when to come back is asked
//! no earlier.
//!
//! Inputs: `Start`, `Reply`, `Wake`. Events: `Ask`, then one `Done`. Never gives up before
//! `give_up_after`.

mod retry;
#[cfg(test)]
mod tests;

pub use retry::{Retry, is_retryable, retry_after};

use std::time::Duration;

use crate::api::{Command, Refusal, Reply};
use crate::ids::{JobId, NodeId};
use crate::invariant::Violation;
use crate::machine::{Cx, Events, Machine, Wake};
use crate::plan::Plan;
use crate::report::JobResult;
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;

/// What a client does and how patient it is.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientConfig {
    /// The gates, in the order in which they are tried.
    pub gates: Vec<NodeId>,
    /// The idempotency key.
    pub key: String,
    /// What to run.
    pub plan: Box<Plan>,
    /// The job is cancelled so long after the start, if it has not ended.
    pub cancel_after: Option<Duration>,
    /// A question without an answer for so long is asked again.
    pub answer_within: Duration,
    /// The first wait before a question is asked again; doubles up to 16 times this.
    pub retry_after: Duration,
    /// How often a job's status is asked.
    pub poll_every: Duration,
    /// Nothing is asked any more so long after the start.
    pub give_up_after: Duration,
}

/// What can happen to a client.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// An answer arrived.
    Reply {
        /// The question it answers.
        attempt: u64,
        /// The answer.
        reply: Box<Reply>,
    },
    /// A deadline passed.
    Wake,
}

/// What a client wants or has come to.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Ask a gate.
    Ask {
        /// Names the question; only the answer to the newest counts.
        attempt: u64,
        /// Which gate, by its place in `ClientConfig::gates`.
        gate: u16,
        /// What to ask.
        command: Box<Command>,
    },
    /// The last event.
    Done(Outcome),
}

/// What a client has come to.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// The job ended.
    Ended(Box<JobResult>),
    /// The gate will not do it.
    Refused(Refusal),
    /// Time is up; whether there is a job is known from [`Client::job`] at best.
    GaveUp,
}

/// A client of one job.
#[derive(Clone, Debug)]
pub struct Client {
    config: ClientConfig,
    state: State,
    job: Option<JobId>,
    cancel_at: Option<Instant>,
    give_up_at: Instant,
    attempt: u64,
    gate: u16,
    retry: Retry,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// Until this instant an answer is waited for.
    Asked(Step, Instant),
    /// At this instant it is asked.
    Waiting(Step, Instant),
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Submit,
    Status,
    Cancel,
    Result,
}

impl Client {
    /// A client that has not begun.
    pub fn new(config: ClientConfig) -> Self {
        let retry = Retry::new(config.retry_after);
        Self {
            config,
            state: State::Idle,
            job: None,
            cancel_at: None,
            give_up_at: Instant::ZERO,
            attempt: 0,
            gate: 0,
            retry,
        }
    }

    /// The job, once it is acknowledged.
    pub fn job(&self) -> Option<JobId> {
        self.job
    }

    /// Whether it has come to an outcome.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn on_start(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        if self.state != State::Idle {
            return Events::none();
        }
        self.cancel_at = self.config.cancel_after.map(|wait| cx.now().after(wait));
        self.give_up_at = cx.now().after(self.config.give_up_after);
        self.ask(cx, Step::Submit)
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, attempt: u64, reply: Reply) -> Events<Event> {
        if attempt != self.attempt {
            return Events::none();
        }
        let State::Asked(step, _) = self.state else {
            self.on_late(cx.now(), &reply);
            return Events::none();
        };
        if is_retryable(&reply) {
            self.choose_gate(&reply);
            return self.again(cx, step, retry_after(&reply));
        }
        self.retry.reset();
        match reply {
            Reply::Submitted { job, .. } => {
                self.job = Some(job);
                self.poll(cx)
            }
            Reply::Status(view) if view.status.is_terminal() => self.ask(cx, Step::Result),
            Reply::Result(result) => self.finish(Outcome::Ended(result)),
            Reply::Cancelling(_) | Reply::Refused(Refusal::AlreadyEnded(_)) => {
                self.cancel_at = None;
                self.poll(cx)
            }
            Reply::Status(_) | Reply::Refused(Refusal::NotEnded(_)) => self.poll(cx),
            Reply::Refused(refusal) => self.finish(Outcome::Refused(refusal)),
            Reply::Jobs(_)
            | Reply::Watching { .. }
            | Reply::Explained(_)
            | Reply::Cluster(_)
            | Reply::Stats(_) => self.again(cx, step, None),
        }
    }

    /// An answer that nobody waited for any more: its wait counts all the same.
    fn on_late(&mut self, now: Instant, reply: &Reply) {
        if let (State::Waiting(step, at), Some(wait)) = (self.state, retry_after(reply)) {
            self.state = State::Waiting(step, at.max(now.after(wait)));
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        let now = cx.now();
        match self.state {
            State::Idle | State::Done => Events::none(),
            State::Asked(..) | State::Waiting(..) if self.give_up_at <= now => {
                self.finish(Outcome::GaveUp)
            }
            State::Asked(step, until) if until <= now => {
                self.next_gate();
                self.again(cx, step, None)
            }
            State::Waiting(_, at) if at <= now => {
                let step = self.next_step(now);
                self.ask(cx, step)
            }
            State::Asked(..) | State::Waiting(..) => Events::none(),
        }
    }

    fn next_step(&self, now: Instant) -> Step {
        match (self.job, self.state) {
            (None, _) => Step::Submit,
            (Some(_), _) if self.cancel_at.is_some_and(|at| at <= now) => Step::Cancel,
            (Some(_), State::Waiting(step, _)) => step,
            (Some(_), State::Idle | State::Asked(..) | State::Done) => Step::Status,
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>, step: Step) -> Events<Event> {
        let command = match (step, self.job) {
            (Step::Status, Some(job)) => Command::Status(job),
            (Step::Cancel, Some(job)) => Command::Cancel(job),
            (Step::Result, Some(job)) => Command::Result(job),
            (Step::Submit, _) | (_, None) => {
                Command::Submit { key: self.config.key.clone(), plan: self.config.plan.clone() }
            }
        };
        self.attempt = self.attempt.saturating_add(1);
        self.state = State::Asked(step, cx.now().after(self.config.answer_within));
        let (attempt, gate, command) = (self.attempt, self.gate, Box::new(command));
        Events::one(Event::Ask { attempt, gate, command })
    }

    fn choose_gate(&mut self, reply: &Reply) {
        let Reply::Refused(refusal) = reply else { return };
        if let Refusal::Elsewhere { gate } = refusal
            && let Some(at) = self.config.gates.iter().position(|one| one == gate)
        {
            self.gate = u16::try_from(at).unwrap_or(0);
        } else if !matches!(refusal, Refusal::Full | Refusal::Limited { .. }) {
            self.next_gate();
        }
    }

    fn next_gate(&mut self) {
        let next = self.gate.saturating_add(1);
        let last = usize::from(next) >= self.config.gates.len();
        self.gate = if last { 0 } else { next };
    }

    fn again(&mut self, cx: &mut Cx<'_>, step: Step, asked: Option<Duration>) -> Events<Event> {
        cx.count(Stat::Resent);
        let rng = cx.rng(Stream::Backoff);
        let wait = self.retry.next_wait_beyond(rng, asked.unwrap_or_default());
        self.state = State::Waiting(step, cx.now().after(wait));
        Events::none()
    }

    /// Asks for the status when the next poll is due, or cancels when that is due before.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        let due = cx.now().after(self.config.poll_every);
        let at = self.cancel_at.map_or(due, |cancel| cancel.min(due));
        self.state = State::Waiting(Step::Status, at);
        Events::none()
    }

    fn finish(&mut self, outcome: Outcome) -> Events<Event> {
        self.state = State::Done;
        Events::one(Event::Done(outcome))
    }
}

impl Machine for Client {
    type Input = Input;
    type Event = Event;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Event> {
        match input {
            Input::Start => self.on_start(cx),
            Input::Reply { attempt, reply } => self.on_reply(cx, attempt, *reply),
            Input::Wake => self.on_wake(cx),
        }
    }

    fn next_wake(&self) -> Option<Wake> {
        let (at, why) = match self.state {
            State::Idle | State::Done => return None,
            State::Asked(_, until) => (until, "no answer"),
            State::Waiting(_, at) => (at, "ask"),
        };
        Wake::earliest(Some(Wake { at, why }), Some(Wake { at: self.give_up_at, why: "give up" }))
    }

    fn check(&self) -> Result<(), Violation> {
        Ok(())
    }
}
