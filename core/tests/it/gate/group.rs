//! Several gates, a network that is the same every time, and a manager that does as it is told.
//! After every step the gates' own checks hold, no two gates act for one job, and ledgers that
//! applied the same entries are equal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyperscale_core::api::{Command, Reply, Update};
use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::config::{DatacenterConfig, GateConfig};
use hyperscale_core::consensus::{Member, Membership};
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::Gate;
use hyperscale_core::gate::models::Registration;
use hyperscale_core::ids::{
    Boot, BootId, DiskId, Fence, GroupId, JobId, LogIndex, Lsn, NodeId, PartId,
};
use hyperscale_core::input::Input;
use hyperscale_core::journal::{Record, Recovered, Snapshot};
use hyperscale_core::machine::Role;
use hyperscale_core::node::Node;
use hyperscale_core::report::WorkflowStatus;
use hyperscale_core::stat::Stat;
use hyperscale_core::time::Instant;
use hyperscale_core::wire::{Capacity, Message, PartPhase, PartReport};

use super::world::{EAST, S, called, ended, received};

const DELAY: Duration = Duration::from_millis(3);

struct Place {
    node: Option<Node<Gate>>,
    journal: Vec<(Lsn, Record)>,
    snapshot: Option<(Lsn, Snapshot)>,
    boots: u64,
}

/// A part as the manager has it, and where it reports.
struct Held {
    gate: NodeId,
    owner: Fence,
    fence: Fence,
    phase: PartPhase,
}

pub(super) struct Gates {
    places: Vec<Place>,
    pub(super) now: Instant,
    flights: BTreeMap<(Instant, u64), (NodeId, NodeId, Message)>,
    sent: u64,
    cut: BTreeSet<NodeId>,
    calls: u64,
    pub(super) replies: BTreeMap<u64, Reply>,
    pub(super) published: Vec<(NodeId, Update)>,
    held: BTreeMap<PartId, Held>,
    seq: u64,
    /// The manager answers by itself.
    pub(super) works: bool,
    /// What gates said to the manager.
    pub(super) told: Vec<(NodeId, Message)>,
    digests: BTreeMap<u64, u64>,
    /// Several gates may act for a job for a moment: it is moved while its owner lives.
    pub(super) moving: bool,
}

pub(super) fn gate(n: usize) -> NodeId {
    NodeId::new(n as u64 + 1)
}

fn member(n: usize) -> Member {
    Member { node: gate(n), disk: DiskId::new(100 + n as u64) }
}

impl Gates {
    /// So many gates of one group, each with a session.
    pub(super) fn new(count: usize) -> Self {
        let voters: Vec<_> = (0..count).map(member).collect();
        let membership =
            Membership { voters: voters.try_into().unwrap(), learners: BoundedVec::new() };
        let formed = Record::Formed { group: GroupId::new(9), membership };
        let place = || Place {
            node: None,
            journal: vec![(Lsn::new(1), formed.clone())],
            snapshot: None,
            boots: 0,
        };
        let mut all = Self {
            places: (0..count).map(|_| place()).collect(),
            now: Instant::ZERO.after(S),
            flights: BTreeMap::new(),
            sent: 0,
            cut: BTreeSet::new(),
            calls: 0,
            replies: BTreeMap::new(),
            published: vec![],
            held: BTreeMap::new(),
            seq: 0,
            works: true,
            told: vec![],
            digests: BTreeMap::new(),
            moving: false,
        };
        (0..count).for_each(|n| all.start(n));
        all.until(10 * S, |all| (0..count).all(|n| all.is_ready(n)));
        all
    }

    pub(super) fn role(&self, n: usize) -> &Gate {
        self.places[n].node.as_ref().expect("alive").role()
    }

    pub(super) fn count(&self, n: usize, stat: Stat) -> u64 {
        self.places[n].node.as_ref().expect("alive").stats().count(stat)
    }

    /// Whether a gate has a session and knows its datacenter.
    fn is_ready(&self, n: usize) -> bool {
        let standings = self.role(n).standings(self.now);
        let known = standings.iter().all(|standing| standing.registration == Registration::Ready);
        known && self.role(n).session().is_some()
    }

    fn lives(&self, n: usize) -> bool {
        self.places[n].node.is_some()
    }

    pub(super) fn leader(&self) -> Option<usize> {
        (0..self.places.len()).find(|n| self.lives(*n) && self.role(*n).leads())
    }

    /// The gate that acts for a job.
    pub(super) fn owner(&self, job: JobId) -> Option<usize> {
        (0..self.places.len()).find(|n| self.lives(*n) && acts(self.role(*n), job))
    }

    pub(super) fn has_begun(&self, n: usize, job: JobId) -> bool {
        self.role(n).ledger().job(job).is_some_and(|job| job.has_begun())
    }

    pub(super) fn start(&mut self, n: usize) {
        let place = &mut self.places[n];
        place.boots += 1;
        let last = place.journal.last().map_or(Lsn::new(0), |(lsn, _)| *lsn);
        let above = place.snapshot.as_ref().map_or(Lsn::new(0), |(upto, _)| *upto);
        let records = place.journal.iter().filter(|(lsn, _)| *lsn > above).cloned().collect();
        let disk = Recovered { snapshot: place.snapshot.clone(), records, last };
        let boot =
            Boot { id: BootId::new(place.boots), entropy: 7 + n as u64, disk: member(n).disk };
        let mut config = GateConfig::new(
            gate(n),
            vec![DatacenterConfig { name: "east".into(), managers: vec![EAST] }],
        );
        config.consensus.peers =
            (0..self.places.len()).filter(|other| *other != n).map(gate).collect();
        config.checkpoint_entries = 20;
        self.places[n].node = Some(Node::recover(gate(n), config, boot, disk).expect("recovers"));
        self.step(n, Input::Wake);
    }

    pub(super) fn crash(&mut self, n: usize) {
        self.role(n).check_all().unwrap();
        self.places[n].node = None;
    }

    /// Nothing passes between this gate and anyone else.
    pub(super) fn cut(&mut self, n: usize) {
        self.cut.insert(gate(n));
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(super) fn ask(&mut self, n: usize, command: Command) -> u64 {
        self.calls += 1;
        let call = self.calls;
        self.step(n, called(call, command));
        call
    }

    /// Asks, and waits for the answer.
    pub(super) fn answer(&mut self, n: usize, command: Command) -> Reply {
        let call = self.ask(n, command);
        self.until(6 * S, |all| all.replies.contains_key(&call));
        self.replies[&call].clone()
    }

    pub(super) fn submit(&mut self, n: usize, key: &str) -> JobId {
        match self.answer(n, super::world::submit(key, &super::world::plan("p"))) {
            Reply::Submitted { job, existing: false } => job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn drain(&mut self, n: usize) {
        self.step(n, Input::Drain);
    }

    /// The manager has the part's result.
    pub(super) fn finish(&mut self, job: JobId) {
        let part = super::world::part_of(job);
        self.held.get_mut(&part).expect("held").phase = ended(WorkflowStatus::Completed);
        self.say(part);
    }

    /// The manager reports a part to a gate.
    pub(super) fn report_to(&mut self, n: usize, job: JobId) {
        let part = super::world::part_of(job);
        let held = self.held.get_mut(&part).expect("held");
        // It has not heard of the owner.
        (held.gate, held.owner.index) = (gate(n), LogIndex::new(0));
        self.say(part);
    }

    /// A gate hears this of a part, whatever the network does.
    pub(super) fn hear(&mut self, n: usize, job: JobId, phase: PartPhase) {
        self.seq += 1;
        let part = super::world::part_of(job);
        let (fence, workflows) = (self.held[&part].fence, BoundedVec::new());
        let report = PartReport { part, fence, seq: (1, self.seq), phase, workflows };
        self.step(n, received(EAST, report));
    }

    /// Where the manager reports a part.
    pub(super) fn reports_to(&self, job: JobId) -> NodeId {
        self.held[&super::world::part_of(job)].gate
    }

    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now.after(span);
        while self.advance(end) {}
        self.now = end;
    }

    pub(super) fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now.after(limit);
        while !done(self) {
            assert!(self.advance(end), "not within {limit:?}");
        }
    }

    /// The next thing happens, unless that is after `end`.
    fn advance(&mut self, end: Instant) -> bool {
        let flight = self.flights.first_key_value().map(|((at, _), _)| *at);
        let wakes = self
            .places
            .iter()
            .enumerate()
            .filter_map(|(n, place)| Some((place.node.as_ref()?.next_wake()?.at, n)));
        let wake = wakes.min();
        match (flight, wake) {
            (Some(at), _) if at <= end && wake.is_none_or(|(wake, _)| at <= wake) => {
                self.now = self.now.max(at);
                let ((_, _), (from, to, msg)) = self.flights.pop_first().expect("a flight");
                self.deliver(from, to, msg);
                true
            }
            (_, Some((at, n))) if at <= end => {
                self.now = self.now.max(at);
                self.step(n, Input::Wake);
                true
            }
            _ => false,
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, msg: Message) {
        if self.cut.contains(&from) || self.cut.contains(&to) {
            return;
        }
        if to == EAST {
            return self.on_manager(from, msg);
        }
        let n = (to.get() - 1) as usize;
        if self.lives(n) {
            self.step(n, received(from, msg));
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, msg: Message) {
        self.sent += 1;
        self.flights.insert((self.now.after(DELAY), self.sent), (from, to, msg));
    }

    fn step(&mut self, n: usize, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let place = &mut self.places[n];
            let node = place.node.as_mut().expect("alive");
            let effects: Vec<_> = node.step(self.now, input).collect();
            node.check().unwrap();
            let mut appended = None;
            for effect in effects {
                match effect {
                    Effect::Append { lsn, record } => {
                        self.places[n].journal.push((lsn, *record));
                        appended = Some(lsn);
                    }
                    Effect::Checkpoint { upto, snapshot } => {
                        self.places[n].snapshot = Some((upto, *snapshot));
                    }
                    Effect::Send { to, msg, .. } => self.send(gate(n), to, *msg),
                    Effect::Reply { call, reply, .. } => {
                        let twice = self.replies.insert(call.get(), *reply);
                        assert_eq!(twice, None, "answered twice");
                    }
                    Effect::Publish { update, .. } => self.published.push((gate(n), *update)),
                    Effect::Halt { violation } => panic!("halted: {violation}"),
                    other => panic!("not a gate's effect: {other:?}"),
                }
            }
            // The disk is at once: what left in this step was durable before it arrives.
            inputs.extend(appended.map(Input::Durable));
        }
        self.judge(n);
    }

    fn judge(&mut self, n: usize) {
        let (index, digest) = self.role(n).ledger_digest();
        let first = *self.digests.entry(index.get()).or_insert(digest);
        assert_eq!(first, digest, "two ledgers at {index}");
        let jobs: Vec<_> = self.role(n).ledger().live().map(|(id, _)| id).collect();
        for job in jobs.into_iter().filter(|_| !self.moving) {
            let alive = (0..self.places.len()).filter(|other| self.lives(*other));
            // A paused or silent gate judges its session with its next step.
            let acting = alive.filter(|other| acts(self.role(*other), job));
            assert!(acting.count() <= 1, "{job} has two owners");
        }
    }

    fn on_manager(&mut self, from: NodeId, msg: Message) {
        if let Message::Probe(probe) = msg {
            let capacity = Capacity { probe: probe.number, ..super::world::capacity(4) };
            return self.send(EAST, from, Message::Capacity(capacity));
        }
        self.told.push((from, msg.clone()));
        let (part, fence, phase, owner) = match msg {
            Message::Offer(offer) => (offer.part, offer.fence, PartPhase::Accepted, offer.fence),
            Message::Begin(begin) => (begin.part, begin.fence, PartPhase::Running, begin.fence),
            Message::CancelPart(cancel) => {
                (cancel.part, cancel.fence, ended(WorkflowStatus::Cancelled), cancel.fence)
            }
            Message::Claim(claim) => {
                if let Some(held) = self.held.get_mut(&claim.part)
                    && claim.fence >= held.owner
                {
                    (held.gate, held.owner) = (from, claim.fence);
                    held.fence = held.fence.max(claim.fence);
                    self.say(claim.part);
                }
                return;
            }
            Message::NotOwner(not) => {
                if let (Some(held), Some(owner)) = (self.held.get_mut(&not.part), not.owner)
                    && not.fence >= held.owner
                {
                    (held.gate, held.owner) = (owner, not.fence);
                    self.say(not.part);
                }
                return;
            }
            Message::PartAck(ack) => return drop(self.held.remove(&ack.part)),
            other => panic!("{other:?}"),
        };
        let fresh = Held { gate: from, owner, fence, phase: phase.clone() };
        let held = self.held.entry(part).or_insert(fresh);
        if fence > held.fence {
            held.fence = fence;
            if !matches!(held.phase, PartPhase::Ended(_)) {
                held.phase = phase;
            }
        }
        if self.works {
            self.say(part);
        }
    }

    fn say(&mut self, part: PartId) {
        self.seq += 1;
        let Held { gate: to, fence, ref phase, .. } = self.held[&part];
        let (phase, workflows) = (phase.clone(), BoundedVec::new());
        let report = PartReport { part, fence, seq: (1, self.seq), phase, workflows };
        self.send(EAST, to, Message::PartReport(report));
    }
}

fn acts(gate: &Gate, job: JobId) -> bool {
    let owner = gate.ledger().job(job).filter(|job| !job.status.is_terminal());
    gate.session().is_some() && owner.map(|job| job.owner.session) == gate.session()
}
