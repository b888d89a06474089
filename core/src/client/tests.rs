use super::*;
use crate::api::JobView;
use crate::bounded::BoundedVec;
use crate::effect::Effects;
use crate::ids::Lsn;
use crate::plan::{OnGateLoss, OnWorkerLoss};
use crate::report::{JobStatus, PartResult};
use crate::rng::Streams;
use crate::stat::Counters;

const S: Duration = Duration::from_secs(1);

struct World {
    client: Client,
    now: Instant,
    streams: Streams,
    stats: Counters,
}

impl World {
    fn new(cancel_after: Option<Duration>) -> Self {
        let config = ClientConfig {
            gates: vec![NodeId::new(4)],
            key: "k".into(),
            plan: Box::new(plan()),
            cancel_after,
            answer_within: 2 * S,
            retry_after: S / 2,
            poll_every: S,
            give_up_after: 60 * S,
        };
        let streams = Streams::new(1, 2, 3);
        let stats = Counters::default();
        Self { client: Client::new(config), now: Instant::ZERO, streams, stats }
    }

    fn handle(&mut self, input: Input) -> Vec<Event> {
        let mut out = Effects::new(Lsn::new(0));
        let mut cx = Cx::new(self.now, &mut self.streams, &mut out, &mut self.stats);
        self.client.handle(&mut cx, input).into_iter().collect()
    }

    /// Moves to the next deadline and wakes the client.
    fn wake(&mut self) -> Vec<Event> {
        self.now = self.client.next_wake().unwrap().at;
        self.handle(Input::Wake)
    }

    fn reply(&mut self, attempt: u64, reply: Reply) -> Vec<Event> {
        self.handle(Input::Reply { attempt, reply: Box::new(reply) })
    }
}

fn plan() -> Plan {
    Plan {
        name: "p".into(),
        base_url: "demo".into(),
        workflows: BoundedVec::new(),
        data: BoundedVec::new(),
        thresholds: BoundedVec::new(),
        datacenters: Default::default(),
        placement: Default::default(),
        on_worker_loss: OnWorkerLoss::Replace,
        on_gate_loss: OnGateLoss::Finish,
        seed: 1,
        index_header: false,
        timeout: None,
        retries: 10,
    }
}

fn ask(attempt: u64, command: Command) -> Vec<Event> {
    ask_at(0, attempt, command)
}

fn ask_at(gate: u16, attempt: u64, command: Command) -> Vec<Event> {
    vec![Event::Ask { attempt, gate, command: Box::new(command) }]
}

fn submit(attempt: u64) -> Vec<Event> {
    ask(attempt, Command::Submit { key: "k".into(), plan: Box::new(plan()) })
}

fn status(status: JobStatus) -> Reply {
    let view = JobView {
        job: JobId::new(7),
        name: "p".into(),
        status,
        reason: String::new(),
        workflow_names: vec![],
        workflows: vec![],
        position: None,
        windows: vec![],
    };
    Reply::Status(Box::new(view))
}

fn result() -> Box<JobResult> {
    let none =
        PartResult { cancelled: false, workers_lost: 0, workers: 0, workflows: BoundedVec::new() };
    Box::new(JobResult {
        job: JobId::new(7),
        name: "p".into(),
        status: JobStatus::Completed,
        reason: String::new(),
        ran: Duration::ZERO,
        result: none,
        parts: BoundedVec::new(),
        names: BoundedVec::new(),
        thresholds: BoundedVec::new(),
    })
}

#[test]
fn submits_polls_and_fetches_the_result() {
    let mut world = World::new(None);
    assert_eq!(world.handle(Input::Start), submit(1));
    assert_eq!(world.reply(1, Reply::Submitted { job: JobId::new(7), existing: false }), []);
    assert_eq!(world.client.job(), Some(JobId::new(7)));
    assert_eq!(world.wake(), ask(2, Command::Status(JobId::new(7))));
    assert_eq!(world.now, Instant::ZERO.after(S));
    assert_eq!(world.reply(2, status(JobStatus::Running)), []);
    assert_eq!(world.wake(), ask(3, Command::Status(JobId::new(7))));
    assert_eq!(
        world.reply(3, status(JobStatus::Completed)),
        ask(4, Command::Result(JobId::new(7)))
    );
    assert_eq!(world.reply(4, Reply::Result(result())), [Event::Done(Outcome::Ended(result()))]);
    assert!(world.client.is_done());
    assert_eq!(world.client.next_wake(), None);
}

#[test]
fn silence_and_later_are_asked_again_with_growing_waits() {
    let mut world = World::new(None);
    let _ = world.handle(Input::Start);
    let mut waits = vec![];
    for attempt in 1..5 {
        // Odd attempts hear nothing, even ones are told to come later.
        if attempt % 2 == 1 {
            assert_eq!(world.wake(), []);
        } else {
            assert_eq!(world.reply(attempt, Reply::Refused(Refusal::NotReady)), []);
        }
        let from = world.now;
        assert_eq!(world.wake(), submit(attempt + 1));
        waits.push(world.now.since(from));
    }
    for (wait, least) in waits.iter().zip([S / 2, S, 2 * S, 4 * S]) {
        assert!((least..=least * 3 / 2).contains(wait), "{waits:?}");
    }
    assert_eq!(world.stats.count(Stat::Resent), 4);
}

#[test]
fn an_answer_to_an_older_question_is_nothing() {
    let mut world = World::new(None);
    let _ = world.handle(Input::Start);
    let _ = world.wake();
    assert_eq!(world.wake(), submit(2));
    assert_eq!(world.reply(1, Reply::Refused(Refusal::KeyInvalid)), []);
    assert!(!world.client.is_done());
}

#[test]
fn cancels_at_its_time_until_it_is_heard() {
    let mut world = World::new(Some(S / 2));
    let _ = world.handle(Input::Start);
    let _ = world.reply(1, Reply::Submitted { job: JobId::new(7), existing: true });
    assert_eq!(world.wake(), ask(2, Command::Cancel(JobId::new(7))));
    assert_eq!(world.now, Instant::ZERO.after(S / 2));
    assert_eq!(world.reply(2, Reply::Refused(Refusal::OutcomeUnknown)), []);
    assert_eq!(world.wake(), ask(3, Command::Cancel(JobId::new(7))));
    assert_eq!(world.reply(3, Reply::Cancelling(JobId::new(7))), []);
    assert_eq!(world.wake(), ask(4, Command::Status(JobId::new(7))));
}

#[test]
fn refusals_end_it_and_so_does_time_but_not_before() {
    let mut world = World::new(None);
    let _ = world.handle(Input::Start);
    let refusal = Refusal::KeyReused(JobId::new(3));
    assert_eq!(
        world.reply(1, Reply::Refused(refusal.clone())),
        [Event::Done(Outcome::Refused(refusal))]
    );
    let mut world = World::new(None);
    let _ = world.handle(Input::Start);
    let last = loop {
        let events = world.wake();
        if world.client.is_done() {
            break events;
        }
    };
    assert_eq!(last, [Event::Done(Outcome::GaveUp)]);
    assert_eq!(world.now, Instant::ZERO.after(60 * S));
}

#[test]
fn goes_to_the_next_gate_when_one_cannot_say_and_to_the_one_it_is_sent_to() {
    let mut world = World::new(None);
    world.client.config.gates = [4, 5, 6].map(NodeId::new).to_vec();
    let again = || Command::Submit { key: "k".into(), plan: Box::new(plan()) };
    assert_eq!(world.handle(Input::Start), submit(1));
    assert_eq!(world.wake(), [], "no answer");
    assert_eq!(world.wake(), ask_at(1, 2, again()));
    assert_eq!(world.reply(2, Reply::Refused(Refusal::Full)), []);
    assert_eq!(world.wake(), ask_at(1, 3, again()), "another gate would say the same");
    let mut gate = 1;
    let unsure = [Refusal::NotReady, Refusal::Draining, Refusal::OutcomeUnknown];
    for (attempt, refusal) in (4..).zip(unsure) {
        assert_eq!(world.reply(attempt - 1, Reply::Refused(refusal)), []);
        gate = (gate + 1) % 3;
        assert_eq!(world.wake(), ask_at(gate, attempt, again()));
    }
    let elsewhere = Refusal::Elsewhere { gate: NodeId::new(6) };
    assert_eq!(world.reply(6, Reply::Refused(elsewhere)), []);
    assert_eq!(world.wake(), ask_at(2, 7, again()));
}
