//! Scenarios on the simulator: the real machines, true clocks, equal latencies, no faults but those
//! of the scenario. The oracles watch, and a broken promise ends the scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::client::retry_after;
use hyperscale_core::config::{AdmissionConfig, LeaseConfig};
use hyperscale_core::ids::JobId;
use hyperscale_core::report::{JobResult, LossKind, PartOutcome as PartEnd, PartRow};
use hyperscale_core::stat::Stat;

use super::{
    Answer, Arrival, Cluster, DRIFT_PPM, Found, Group, JobNumber, Node, Outcome, PartOutcome,
    Question, REPLACE_WAIT, RESULT_GRACE, Scenario, TTL, Ticket, Topology, ensure,
};
use crate::case::{Case, host_of};
use crate::clock::Clock;
use crate::engine::Target;
use crate::layout::Layout;
use crate::network::Weather;
use crate::world::World;

/// How long a gate may take to answer.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// How long groups may take to form.
const FORMED_WITHIN: Duration = Duration::from_secs(30);

/// A simulated cluster.
#[derive(Debug)]
pub struct Simulated {
    topology: Topology,
    world: World,
    asked: BTreeMap<Ticket, Duration>,
    answers: BTreeMap<Ticket, Answer>,
    tickets: Ticket,
    notes: Vec<String>,
}

/// Runs a scenario on the simulator; gives what it noted.
///
/// # Errors
/// What it found wrong, with the last events before that.
pub fn simulate(scenario: &Scenario) -> Found<Vec<String>> {
    let mut cluster = Simulated::new(scenario.topology);
    match cluster.formed().and_then(|()| (scenario.run)(&mut cluster)) {
        Ok(()) => Ok(cluster.notes),
        Err(wrong) => Err(format!("{wrong}\n{}", cluster.last_events())),
    }
}

impl Simulated {
    /// A cluster of this shape, every process about to start.
    pub fn new(topology: Topology) -> Self {
        Self {
            topology,
            world: World::scripted(case(topology)),
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            tickets: 0,
            notes: Vec::new(),
        }
    }

    /// Waits until every member of every group votes.
    ///
    /// # Errors
    /// That takes too long, or a promise was broken.
    pub fn formed(&mut self) -> Found {
        let deadline = self.now() + FORMED_WITHIN;
        let topology = self.topology;
        let groups = || (0..topology.datacenters).map(Group::Managers).chain([Group::Gates]);
        while !groups().all(|group| self.is_whole(group)) {
            ensure(self.now() < deadline, || "the groups do not form".to_owned())?;
            self.pass(Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn is_whole(&self, group: Group) -> bool {
        let members = self.topology.members(group);
        let votes = |node: &Node| {
            let Some(process) = &self.world.host(self.place(*node)).node else { return false };
            let gate = process.gate().map(|gate| gate.group().membership());
            let manager = process.manager().map(|manager| manager.group().membership());
            gate.or(manager).is_some_and(|known| known.voters.len() == members.len())
        };
        members.iter().all(votes) && members.iter().any(|node| self.leads(*node))
    }

    fn place(&self, node: Node) -> u16 {
        let nodes = self.topology.nodes();
        nodes.iter().position(|other| *other == node).unwrap_or(nodes.len()) as u16
    }

    fn node(&self, place: u16) -> Option<Node> {
        self.topology.nodes().get(usize::from(place)).copied()
    }

    fn leads(&self, node: Node) -> bool {
        let process = self.world.host(self.place(node)).node.as_ref();
        process.and_then(|process| process.group()).is_some_and(|view| view.leads)
    }

    fn last_events(&self) -> String {
        let lines = self.world.lines();
        let routine = ["<- Wake", "Heartbeat", "<- Engine(Progressed", "<- Durable"];
        let told = lines.iter().filter(|line| !routine.iter().any(|word| line.text.contains(word)));
        let told: Vec<String> = told
            .map(|line| {
                let short: String = line.text.chars().take(200).collect();
                format!("  {:>11.6} {:<6} {short}", line.at as f64 / 1e9, line.host)
            })
            .collect();
        told[told.len().saturating_sub(40)..].join("\n")
    }
}

/// A case in which nothing happens by itself.
fn case(topology: Topology) -> Case {
    let mut case = Case::reference(1);
    let workers = usize::from(topology.datacenters * topology.workers);
    let each = (topology.managers, topology.workers);
    case.layout = Layout::new(topology.gates, &vec![each; usize::from(topology.datacenters)]);
    case.classes = Vec::new();
    case.cores = vec![topology.cores; workers];
    case.clients = 0;
    case.jobs = Vec::new();
    case.asides = Vec::new();
    case.faults = Vec::new();
    case.calm_from = u64::MAX;
    case.clocks = vec![Clock { offset: 1_000_000_000, drift_ppm: 0 }; topology.nodes().len()];
    case.lease = LeaseConfig { ttl: TTL, drift_ppm: DRIFT_PPM };
    case.manager.lease = case.lease;
    case.manager.replace_wait = REPLACE_WAIT;
    case.gate.result_grace = RESULT_GRACE;
    case.gate.admission = AdmissionConfig::default();
    case.weather = Weather { delay_min: 200_000, delay_max: 200_000, ..Weather::default() };
    case.sync_ns = (1_000_000, 1_000_000);
    case.target = Target { fastest: 0, spread: 0, failing_ppm: 0, unprepared_ppm: 0, stall: None };
    case
}

impl Cluster for Simulated {
    fn topology(&self) -> Topology {
        self.topology
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.world.now())
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn pass(&mut self, span: Duration) -> Found {
        let until = self.world.now() + span.as_nanos() as u64;
        self.world.run_until(until).map_err(|failure| {
            let at = Duration::from_nanos(failure.at);
            let node = failure.host.and_then(|host| self.node(host));
            format!(
                "{:?} at {at:?} on {node:?}: {}",
                failure.violation.inv, failure.violation.detail
            )
        })?;
        for (ticket, reply) in self.world.take_replies() {
            self.answers.insert(ticket, answer(reply));
        }
        Ok(())
    }

    fn ask(&mut self, gate: u16, question: Question) -> Ticket {
        self.tickets += 1;
        let command = match question {
            Question::Submit { key, load } => {
                let plan = Box::new(load.plan(&key));
                Command::Submit { key, plan }
            }
            Question::Status(job) => Command::Status(JobId::new(job)),
            Question::Cancel(job) => Command::Cancel(JobId::new(job)),
            Question::Result(job) => Command::Result(JobId::new(job)),
            Question::List => Command::List,
        };
        let place = self.place(Node::Gate(gate));
        self.world.call(place, self.tickets, command);
        self.asked.insert(self.tickets, self.now());
        self.tickets
    }

    fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        if let Some(answer) = self.answers.get(&ticket) {
            return Some(answer.clone());
        }
        let asked = self.asked.get(&ticket)?;
        (self.now() > *asked + SILENT_AFTER).then_some(Answer::Silent)
    }

    fn leader_of(&mut self, group: Group) -> Option<Node> {
        let members = self.topology.members(group);
        let mut leaders = members.into_iter().filter(|node| self.leads(*node));
        let leader = leaders.next()?;
        leaders.next().is_none().then_some(leader)
    }

    fn owner_of(&mut self, job: JobNumber) -> Option<Node> {
        let gates = self.topology.members(Group::Gates).into_iter();
        let known = gates.filter_map(|gate| {
            let ledger = self.world.host(self.place(gate)).node.as_ref()?.gate()?.ledger();
            let owner = ledger.job(JobId::new(job))?.owner;
            ledger.holder(owner.session)?;
            Some((owner.fence, host_of(owner.gate)))
        });
        let (_, place) = known.max()?;
        self.node(place).filter(|owner| self.is_up(*owner))
    }

    fn is_up(&mut self, node: Node) -> bool {
        self.world.host(self.place(node)).node.is_some()
    }

    fn kill(&mut self, node: Node) {
        self.world.kill(self.place(node));
    }

    fn start(&mut self, node: Node) {
        self.world.start(self.place(node));
    }

    fn pause(&mut self, node: Node) {
        self.world.hold(self.place(node));
    }

    fn resume(&mut self, node: Node) {
        self.world.release_hold(self.place(node));
    }

    fn drain(&mut self, node: Node) {
        self.world.ask_to_leave(self.place(node));
    }

    fn replace(&mut self, node: Node) -> Found {
        self.world.replace_disk(self.place(node))
    }

    fn cut(&mut self, from: Node, to: Node) {
        self.world.cut(self.place(from), self.place(to));
    }

    fn heal(&mut self) {
        self.world.heal();
    }

    fn served(&mut self, key: &str) -> Vec<Arrival> {
        let truth = self.world.truth();
        let named = super::load::named(key);
        let is_of = |place: &usize| truth.workflows[*place].name == named;
        let arrivals = truth.arrivals.iter().flatten().filter(|(_, place, _)| is_of(place));
        let mut arrivals: Vec<Arrival> = arrivals
            .map(|(at, _, index)| Arrival { at: Duration::from_nanos(*at), index: *index })
            .collect();
        arrivals.sort();
        arrivals
    }

    fn vitals(&mut self, gate: u16) -> Vec<(String, u64)> {
        let host = self.world.host(self.place(Node::Gate(gate)));
        let count = |stat: Stat| (stat.name().to_owned(), host.count(stat));
        let stats = [Stat::CallShed, Stat::CallLimited, Stat::CapRefused, Stat::JobQueued];
        stats.map(count).to_vec()
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Submitted { job, existing } => Answer::Submitted { job: job.get(), existing },
        Reply::Status(view) => Answer::Status(view.status),
        Reply::Cancelling(_) => Answer::Cancelling,
        Reply::Result(result) => Answer::Ended(Box::new(outcome(&result))),
        Reply::Jobs(jobs) => Answer::Jobs(jobs.iter().map(|job| job.job.get()).collect()),
        Reply::Refused(refusal) => {
            let again_in = retry_after(&Reply::Refused(refusal.clone()));
            let reason = format!("{refusal:?}");
            Answer::Refused { why: why(&refusal).to_owned(), reason, again_in }
        }
        Reply::Watching { .. } | Reply::Explained(_) | Reply::Cluster(_) | Reply::Stats(_) => {
            Answer::Silent
        }
    }
}

/// The name that the HTTP API gives a refusal.
fn why(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::KeyReused(_) => "key-reused",
        Refusal::KeyInvalid => "bad-request",
        Refusal::NoSuchJob(_) => "no-such-job",
        Refusal::NoSuchWorkflow(_) => "no-such-workflow",
        Refusal::NotEnded(_) => "not-ended",
        Refusal::AlreadyEnded(_) => "already-ended",
        Refusal::Full => "full",
        Refusal::PlanInvalid(_) => "plan-invalid",
        Refusal::NotReady => "not-ready",
        Refusal::Draining => "draining",
        Refusal::OutcomeUnknown => "outcome-unknown",
        Refusal::Elsewhere { .. } => "elsewhere",
        Refusal::Busy { .. } => "busy",
        Refusal::Limited { .. } => "rate-limited",
    }
}

fn outcome(result: &JobResult) -> Outcome {
    let workflows = || result.result.workflows.iter();
    let steps = || workflows().flat_map(|workflow| workflow.totals.steps.iter());
    let lost = |kind| {
        let losses = workflows().flat_map(|workflow| workflow.losses.iter());
        losses
            .filter(|loss| loss.kind == kind)
            .fold(0, |sum: u64, loss| sum.saturating_add(loss.items))
    };
    Outcome {
        status: result.status,
        reason: result.reason.clone(),
        reported: steps().map(|step| step.requests).sum(),
        interrupted: steps().map(|step| step.interrupted).sum(),
        dropped: workflows().map(|workflow| workflow.totals.dropped).sum(),
        unreported: lost(LossKind::Unreported),
        parked: lost(LossKind::Parked),
        unserved: lost(LossKind::Unserved),
        is_degraded: result.is_degraded(),
        parts: (0..).zip(&result.parts).map(|(datacenter, row)| part(datacenter, row)).collect(),
    }
}

/// The parts of a load are in the order of the datacenters.
fn part(datacenter: u16, row: &PartRow) -> PartOutcome {
    let is_counted = !matches!(row.outcome, PartEnd::Missing | PartEnd::Refused);
    PartOutcome { datacenter, is_counted }
}
