//! A client machine of the core, at a place of its own, and what it has heard.

use std::time::Duration;

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::client::{Client, ClientConfig, Event, Input, Outcome, retry_after};
use hyperscale_core::effect::Effects;
use hyperscale_core::ids::{JobId, Lsn};
use hyperscale_core::machine::{Cx, Machine as _};
use hyperscale_core::report::{JobResult, JobStatus};
use hyperscale_core::rng::Streams as CoreStreams;
use hyperscale_core::stat::Counters;
use hyperscale_core::time::Instant;

use crate::case::{Case, node_id};
use crate::history::History;
use crate::jobs::JobSpec;
use crate::streams::{Stream, Streams};

/// A client with its job.
#[derive(Debug)]
pub struct Patron {
    /// What it is to do.
    pub spec: JobSpec,
    client: Client,
    /// The gate that the last question went to.
    pub gate: u16,
    gates: u16,
    number: u16,
    streams: CoreStreams,
    stats: Counters,
    has_started: bool,
    /// The job that was acknowledged to it.
    pub job: Option<JobId>,
    /// Every job that was ever acknowledged to it, in order.
    pub acknowledged: Vec<JobId>,
    /// Terminal statuses it has heard, in order.
    pub terminal: Vec<JobStatus>,
    /// Answers to its cancel.
    pub cancel: Option<Result<JobId, Refusal>>,
    /// The result it got.
    pub result: Option<Box<JobResult>>,
    /// What it asked and heard.
    pub history: History,
    /// It was refused for good, or gave up.
    pub refused: Option<Refusal>,
    /// Answers that said when to come back.
    pub told_to_wait: u64,
    /// It did not wait so long.
    pub early: Option<String>,
    /// The question that has no answer yet, and until when it was told to wait, true time.
    open: Option<u64>,
    wait_until: u64,
    /// The wish that is scheduled.
    pub wish: Option<(u64, u32)>,
    /// Numbers wishes.
    pub wishes: u32,
}

/// A question to the gate.
pub type Question = (u64, Box<Command>);

impl Patron {
    /// The `n`-th client of a case.
    pub fn new(case: &Case, n: u16) -> Self {
        let spec = case.jobs[usize::from(n)].clone();
        let span = |from: u64, to: u64| Duration::from_nanos(to.saturating_sub(from));
        let all = case.layout.gates().end.max(1);
        let gates = (0..all).map(|gate| (gate + n) % all);
        let client = Client::new(ClientConfig {
            gates: gates.map(node_id).collect(),
            key: spec.key.clone(),
            plan: Box::new(spec.plan.clone()),
            cancel_after: spec.cancel_at.map(|at| span(spec.at, at)),
            answer_within: Duration::from_millis(1_000),
            retry_after: Duration::from_millis(100),
            poll_every: Duration::from_millis(700),
            give_up_after: Duration::from_secs(7 * 24 * 3_600),
        });
        let entropy = Streams::new(case.seed).bits(Stream::Client, 1 << 32, u64::from(n));
        Self {
            spec,
            client,
            gate: n % all,
            gates: all,
            number: n,
            streams: CoreStreams::new(entropy, 1 << 20 | u64::from(n), 1),
            stats: Counters::default(),
            has_started: false,
            job: None,
            acknowledged: Vec::new(),
            terminal: Vec::new(),
            cancel: None,
            result: None,
            history: History::default(),
            refused: None,
            told_to_wait: 0,
            early: None,
            open: None,
            wait_until: 0,
            wish: None,
            wishes: 0,
        }
    }

    /// Whether it has come to an outcome.
    pub fn is_done(&self) -> bool {
        self.client.is_done()
    }

    /// When it wants to act, true time; its clock is true.
    pub fn next_wake(&self) -> Option<u64> {
        if !self.has_started {
            return Some(self.spec.at);
        }
        self.client.next_wake().map(|wake| wake.at.as_nanos())
    }

    /// It is time to act.
    pub fn act(&mut self, now: u64) -> Option<Question> {
        let input = if self.has_started { Input::Wake } else { Input::Start };
        self.has_started = true;
        self.take(now, input)
    }

    /// An answer arrived.
    pub fn hear(&mut self, now: u64, attempt: u64, reply: Reply) -> Option<Question> {
        self.history.on_heard(now, attempt, &reply);
        if self.open.take_if(|open| *open == attempt).is_some()
            && let Some(wait) = retry_after(&reply)
        {
            self.told_to_wait += 1;
            self.wait_until = now + wait.as_nanos() as u64;
        }
        match &reply {
            Reply::Submitted { job, .. } => {
                self.acknowledged.push(*job);
                self.job = Some(*job);
            }
            Reply::Status(view) if view.status.is_terminal() => self.terminal.push(view.status),
            Reply::Cancelling(job) => self.cancel = Some(Ok(*job)),
            Reply::Result(result) => self.terminal.push(result.status),
            Reply::Refused(refusal @ Refusal::AlreadyEnded(status)) => {
                self.terminal.push(*status);
                self.cancel.get_or_insert(Err(refusal.clone()));
            }
            Reply::Refused(_)
            | Reply::Status(_)
            | Reply::Jobs(_)
            | Reply::Watching { .. }
            | Reply::Stats(_)
            | Reply::Explained(_)
            | Reply::Cluster(_) => {}
        }
        self.take(now, Input::Reply { attempt, reply: Box::new(reply) })
    }

    fn take(&mut self, now: u64, input: Input) -> Option<Question> {
        let mut out = Effects::new(Lsn::new(0));
        let mut cx =
            Cx::new(Instant::from_nanos(now), &mut self.streams, &mut out, &mut self.stats);
        let mut question = None;
        for event in self.client.handle(&mut cx, input) {
            match event {
                Event::Ask { attempt, gate, command } => {
                    self.gate = (gate + self.number % self.gates) % self.gates;
                    self.history.on_asked(now, attempt, &command);
                    self.open = Some(attempt);
                    if now < self.wait_until {
                        let until = self.wait_until;
                        let key = &self.spec.key;
                        self.early = Some(format!("{key} asks at {now} ns, not after {until} ns"));
                    }
                    question = Some((attempt, command));
                }
                Event::Done(Outcome::Ended(result)) => self.result = Some(result),
                Event::Done(Outcome::Refused(refusal)) => self.refused = Some(refusal),
                Event::Done(Outcome::GaveUp) => {}
            }
        }
        question
    }
}
