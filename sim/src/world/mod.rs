//! The world: true time, one queue of events, every machine, the network between them, and the
//! oracles that watch.
//!
//! Inputs: a case. Outputs: a verdict. Nothing happens between events; an idle hour costs nothing.
//! The driver contract of the runtime is kept: the clock is read when an input is taken, effects
//! are performed in order, what rests on a record leaves only when that record is durable, a dead
//! process loses everything that was not written.

mod clients;
mod commits;
mod faults;
mod formation;
mod leaders;
mod lives;
mod overload;
mod perform;
mod script;
#[cfg(test)]
mod tests;
mod trace;
mod traffic;
mod verdict;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::api::Reply;
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{CallId, LogIndex};
use hyperscale_core::input::Input;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::time::Instant;

use crate::annals::Annals;
use crate::case::Case;
use crate::edges::Edges;
use crate::engine::Scene;
use crate::faults::{Class, Fault};
use crate::hash::{TraceHash, input_digest};
use crate::host::Host;
use crate::network::{Cargo, Network};
use crate::oracles::{Panel, Seen, View};
use crate::patron::Patron;
use crate::queue::{Event, Queue};
use crate::reach::Reach;
use crate::streams::{Stream, Streams};
use crate::tally::Tally;
use crate::truth::Truth;

pub use trace::Line;
pub use traffic::Sent;
pub use verdict::{Failure, Verdict};

/// Inputs that wait for a paused process; what comes beyond is lost, as in the runtime's bounded
/// queue.
const INBOX_MAX: usize = hyperscale_core::limits::INBOX_MAX;
/// How often the observer looks whether everything is over, true nanoseconds.
const LOOK_NS: u64 = 500_000_000;
/// Wakes of one node at one instant; a node that needs more spins.
const WAKES_MAX: u32 = 1_000;
/// Events of one case; a case that needs more spins.
const EVENTS_MAX: u64 = 20_000_000;
/// How often everything is checked after a step, millionths.
const CHECKED_PPM: u32 = 10_000;

/// A running case.
#[derive(Debug)]
pub struct World {
    case: Case,
    streams: Streams,
    now: u64,
    queue: Queue,
    network: Network,
    hosts: Vec<Host>,
    patrons: Vec<Patron>,
    /// Calls in flight: the gate's place, the client's place, the client's number.
    calls: BTreeMap<CallId, (u16, u16, u64)>,
    next_call: u64,
    truth: Truth,
    panel: Panel,
    hash: TraceHash,
    tally: Tally,
    edges: Edges,
    events: u64,
    scratch: Vec<Effect>,
    told: usize,
    annals: Annals,
    reach: Reach,
    /// How far each node has acted on its group's log.
    acted: Vec<LogIndex>,
    /// Who led each group last.
    leaders: Vec<Option<u16>>,
    /// Questions of clients that have reached a gate.
    questions: BTreeSet<(u16, u64)>,
    is_calm: bool,
    is_over: bool,
    failure: Option<Failure>,
    lines: Option<Vec<Line>>,
    /// Answers to a script's calls, in a world that is told what to do.
    replies: Option<Vec<(u64, Reply)>>,
    stepping: Option<u16>,
    /// What each node has sent, where somebody asks for it.
    traffic: Option<Vec<Sent>>,
    /// Somebody was asked to leave by a script.
    has_leavers: bool,
    /// Events that it may take; one that needs more spins.
    events_max: u64,
    /// How often everything is checked after a step, millionths.
    checked_ppm: u32,
}

impl World {
    /// A world at true time zero, every process about to start. With `traced` it keeps its events.
    pub fn new(case: Case, traced: bool) -> Self {
        let streams = Streams::new(case.seed);
        let mut hosts: Vec<Host> = (0..case.hosts())
            .map(|place| Host::new(place, case.layout.role(place), case.clocks[usize::from(place)]))
            .collect();
        let mut annals = Annals::new(case.layout);
        let mut failure = None;
        for host in &mut hosts {
            if let Err(violation) = formation::found(&case, host, &mut annals) {
                failure = Some(Failure { violation, at: 0, host: Some(host.place) });
            }
        }
        let patrons = (0..case.clients).map(|client| Patron::new(&case, client)).collect();
        let mut queue = Queue::new(streams);
        for (index, (at, _)) in case.faults.iter().enumerate() {
            queue.push(*at, Event::Fault { index: index as u32 });
        }
        let mut network = Network::new(streams, usize::from(case.places()), case.weather);
        for (at, fault) in &case.faults {
            if let Fault::Crash { host, down: Some(down), class, .. } = fault
                && *class != Class::Blackout
            {
                network.restarts(*host, at + down);
            }
        }
        for host in 0..case.hosts() {
            queue.push(0, Event::Restart { host });
        }
        for client in 0..case.clients {
            queue.push(0, Event::Client { client, wish: 0 });
        }
        for (index, aside) in case.asides.iter().enumerate() {
            queue.push(aside.at, Event::Aside { index: index as u32 });
        }
        queue.push(LOOK_NS, Event::Look);
        Self {
            streams,
            now: 0,
            network,
            tally: Tally::of(&case),
            edges: Edges::default(),
            panel: Panel::new(&case),
            queue,
            hosts,
            patrons,
            calls: BTreeMap::new(),
            next_call: 0,
            truth: Truth::default(),
            hash: TraceHash::default(),
            events: 0,
            scratch: Vec::new(),
            told: 0,
            annals,
            reach: Reach::new(case.layout),
            leaders: vec![None; case.layout.groups().count()],
            questions: BTreeSet::new(),
            acted: vec![LogIndex::new(0); usize::from(case.hosts())],
            is_calm: false,
            is_over: false,
            failure,
            lines: traced.then(Vec::new),
            replies: None,
            stepping: None,
            traffic: None,
            has_leavers: false,
            events_max: EVENTS_MAX,
            checked_ppm: CHECKED_PPM,
            case,
        }
    }

    /// Runs to the end of the case or to the first violation.
    pub fn run(&mut self) {
        while self.failure.is_none() && !self.is_over {
            if !self.take_next() {
                break;
            }
        }
        if self.failure.is_none() {
            self.observe(Seen::Over);
        }
    }

    /// Takes one event, if there is one.
    fn take_next(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = at;
        self.events += 1;
        if self.events > self.events_max {
            let detail = format!("{EVENTS_MAX} events and no end: something spins");
            self.fail(Violation::new(Inv::NodeSettles, detail), None);
        }
        self.on_event(event);
        self.on_truth();
        true
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Deliver { flight } => self.on_arrival(flight),
            Event::Wake { host, wish } => self.on_wake(host, wish),
            Event::Synced { host, life } => self.on_synced(host, life),
            Event::Engine { host, wish } => self.on_engine(host, wish),
            Event::Fault { index } => self.on_fault(index),
            Event::Restart { host } => self.on_restart(host),
            Event::Resume { host, pause } => self.on_resume(host, pause),
            Event::Client { client, wish } => self.on_client(client, wish),
            Event::Aside { index } => self.on_aside(index),
            Event::Look => self.on_look(),
        }
    }

    fn on_arrival(&mut self, flight: u32) {
        let flight = self.network.arrive(flight);
        let (from, to) = (flight.from, flight.to);
        match flight.cargo {
            Cargo::Message(msg) => {
                let input = Input::Received { from: crate::case::node_id(from), msg };
                self.offer(to, input, flight.digest ^ u64::from(from));
            }
            Cargo::Frame(minor, payload) => {
                self.on_frame((from, to), (minor, &payload), flight.digest);
            }
            Cargo::Call(number, command) => {
                let host = &self.hosts[usize::from(to)];
                if host.node.is_some() {
                    self.tally.echoed_calls += u64::from(!self.questions.insert((from, number)));
                    self.next_call += 1;
                    let call = CallId::new(self.next_call);
                    self.calls.insert(call, (to, from, number));
                    self.observe(Seen::Called { host: to, call, command: &command });
                    let client = self.tenant(from, &command);
                    self.offer(to, Input::Called { call, client, command }, flight.digest);
                }
            }
            Cargo::Reply(number, reply) => self.on_reply(to, number, *reply),
        }
    }

    fn on_wake(&mut self, host: u16, wish: u32) {
        let place = &mut self.hosts[usize::from(host)];
        if place.wish.is_none_or(|(_, current)| current != wish) {
            return;
        }
        place.wish = None;
        let Some(node) = place.node.as_ref().filter(|_| place.pause.is_none()) else { return };
        let due = node.next_wake().is_some_and(|wake| wake.at <= place.local(self.now));
        if due {
            self.count_wakes(host);
            self.step(host, Input::Wake, 1);
        } else {
            self.plan_wake(host);
        }
    }

    /// A node that wants to be woken at once, again and again, never comes to rest.
    fn count_wakes(&mut self, host: u16) {
        let now = self.now;
        let woken = &mut self.hosts[usize::from(host)].woken;
        *woken = if woken.0 == now { (now, woken.1 + 1) } else { (now, 1) };
        if woken.1 > WAKES_MAX {
            let detail = format!("host {host} was woken {WAKES_MAX} times at one instant");
            self.fail(Violation::new(Inv::NodeSettles, detail), Some(host));
        }
    }

    fn on_engine(&mut self, host: u16, wish: u32) {
        let place = &mut self.hosts[usize::from(host)];
        if place.engine_wish.is_none_or(|(_, current)| current != wish) {
            return;
        }
        place.engine_wish = None;
        let now = place.local(self.now);
        self.with_engine(host, |engine, scene| engine.advance(now, scene));
        while let Some(event) = self.hosts[usize::from(host)].engine.hear(now) {
            let input = Input::Engine(Box::new(event));
            let digest = input_digest(&input);
            self.offer(host, input, digest);
        }
        self.plan_engine(host);
    }

    /// Gives an input to a process, or keeps it while the process stands still.
    fn offer(&mut self, host: u16, input: Input, digest: u64) {
        let place = &mut self.hosts[usize::from(host)];
        if place.node.is_none() {
            return;
        }
        if place.pause.is_some() {
            if place.inbox.len() < INBOX_MAX || !matches!(input, Input::Received { .. }) {
                place.inbox.push_back((input, digest));
            }
            return;
        }
        self.step(host, input, digest);
    }

    /// Lets the engine of a worker do something at this instant.
    fn with_engine(
        &mut self,
        host: u16,
        act: impl FnOnce(&mut crate::engine::Engine, &mut Scene<'_>),
    ) {
        let place = &mut self.hosts[usize::from(host)];
        let mut scene = Scene {
            clock: place.clock,
            truth: &mut self.truth,
            streams: self.streams,
            target: self.case.target,
        };
        act(&mut place.engine, &mut scene);
    }

    /// Schedules the node's wake, if it moved to the front.
    fn plan_wake(&mut self, host: u16) {
        let place = &mut self.hosts[usize::from(host)];
        let Some(wake) = place.node.as_ref().and_then(|node| node.next_wake()) else { return };
        let at = place.clock.true_at(wake.at).max(self.now);
        if place.wish.is_some_and(|(planned, _)| planned <= at) {
            return;
        }
        place.wishes += 1;
        place.wish = Some((at, place.wishes));
        self.queue.push(at, Event::Wake { host, wish: place.wishes });
    }

    fn plan_engine(&mut self, host: u16) {
        let place = &mut self.hosts[usize::from(host)];
        let Some(next) = place.engine.next() else { return };
        let at = place.clock.true_at(next).max(self.now);
        if place.engine_wish.is_some_and(|(planned, _)| planned <= at) {
            return;
        }
        place.wishes += 1;
        place.engine_wish = Some((at, place.wishes));
        self.queue.push(at, Event::Engine { host, wish: place.wishes });
    }

    /// Shows something to the oracles.
    fn observe(&mut self, seen: Seen<'_>) {
        let view = View {
            now: self.now,
            case: &self.case,
            hosts: &self.hosts,
            truth: &self.truth,
            annals: &self.annals,
            reach: &self.reach,
            patrons: &self.patrons,
            is_calm: self.is_calm,
        };
        if let Err(violation) = self.panel.observe(&view, &seen) {
            let node = self.stepping;
            self.fail(violation, node);
        }
    }

    /// What the ground truth already knows to be wrong.
    fn on_truth(&mut self) {
        if self.truth.broken.len() > self.told {
            let violation = self.truth.broken[self.told].clone();
            self.told = self.truth.broken.len();
            let on_clocks = matches!(violation.inv, Inv::RunExclusive | Inv::IndexOnce);
            if !on_clocks || !self.case.has(crate::faults::Class::DriftBeyond) {
                self.fail(violation, None);
            }
        }
    }

    fn fail(&mut self, violation: Violation, host: Option<u16>) {
        if self.failure.is_none() {
            self.failure = Some(Failure { violation, at: self.now, host });
        }
    }

    /// Whether a check of everything is drawn for this step of a node.
    fn is_checked(&self, host: u16, step: u64) -> bool {
        self.streams.draw(Stream::Check, u64::from(host), step).chance(self.checked_ppm)
    }

    fn local(&self, host: u16) -> Instant {
        self.hosts[usize::from(host)].local(self.now)
    }
}
