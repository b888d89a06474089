//! Random clients, managers, disks and crashes. At every step the gate's own checks hold and its
//! disk folds to its state; in the end everything that was acknowledged has one status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{Boot, BootId, CallId, Fence, JobId, NodeId, PartId};
use hyperscale_core::input::Input;
use hyperscale_core::machine::Role;
use hyperscale_core::node::Node;
use hyperscale_core::plan::{Datacenters, Executor, Site};
use hyperscale_core::report::{JobStatus, WorkflowStatus};
use hyperscale_core::wire::{Message, PartPhase, PartReport};
use proptest::prelude::*;

use super::world::*;

#[derive(Clone, Debug)]
enum Action {
    Submit {
        key: u8,
        plan: u8,
    },
    Cancel {
        job: u8,
    },
    /// A message reaches its manager, which may refuse an offer; the message may come again.
    Deliver {
        which: u8,
        refuse: bool,
        keep: bool,
    },
    /// A report reaches the gate and may come again.
    Report {
        which: u8,
        keep: bool,
    },
    /// A begun part makes progress or ends.
    Work {
        which: u8,
        end: bool,
        fail: bool,
    },
    Lose {
        which: u8,
    },
    Sync {
        records: u8,
    },
    Pass {
        millis: u32,
    },
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (0..4u8, 0..2u8).prop_map(|(key, plan)| Action::Submit { key, plan }),
        1 => any::<u8>().prop_map(|job| Action::Cancel { job }),
        6 => (any::<u8>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(|(which, refuse, keep)| Action::Deliver { which, refuse, keep }),
        6 => (any::<u8>(), prop::bool::weighted(0.2))
            .prop_map(|(which, keep)| Action::Report { which, keep }),
        3 => (any::<u8>(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(which, end, fail)| Action::Work { which, end, fail }),
        1 => any::<u8>().prop_map(|which| Action::Lose { which }),
        8 => (1..4u8).prop_map(|records| Action::Sync { records }),
        2 => (1..40_000u32).prop_map(|millis| Action::Pass { millis }),
        1 => Just(Action::Crash),
    ]
}

/// A part as its manager has it.
#[derive(Clone, Debug)]
struct Held {
    fence: Fence,
    offer: Fence,
    begun: bool,
    end: Option<WorkflowStatus>,
}

struct Run {
    world: World,
    to_managers: Vec<(NodeId, Message)>,
    to_gate: Vec<(NodeId, PartReport)>,
    held: BTreeMap<(NodeId, PartId), Held>,
    calls: BTreeMap<u64, (String, Command)>,
    call: u64,
    seq: u64,
    keys: BTreeMap<String, (JobId, String)>,
    ends: BTreeMap<JobId, JobStatus>,
    cancelled: BTreeSet<JobId>,
    begun_in: BTreeMap<PartId, NodeId>,
}

impl Run {
    fn new(checkpoint_entries: u64) -> Self {
        let mut config = config(2);
        config.checkpoint_entries = checkpoint_entries;
        Self {
            world: World::fresh(config),
            to_managers: vec![],
            to_gate: vec![],
            held: BTreeMap::new(),
            calls: BTreeMap::new(),
            call: 0,
            seq: 0,
            keys: BTreeMap::new(),
            ends: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            begun_in: BTreeMap::new(),
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Submit { key, plan: name } => {
                let name = format!("p{name}");
                let mut plan = plan(&name);
                if name == "p1" {
                    let site = |name: &str| Site { name: name.into(), weight: 1 };
                    let sites = vec![site("east"), site("west")].try_into().unwrap();
                    plan.datacenters = Datacenters::Named(sites);
                    plan.workflows[0].executor = Executor::ConstantVus { vus: 2, duration: S };
                }
                let command = submit(&format!("k{key}"), &plan);
                self.ask(name, command);
            }
            Action::Cancel { job } => {
                if let Some(job) = pick(self.ends_or_live().len(), job) {
                    let job = self.ends_or_live()[job];
                    self.ask(String::new(), Command::Cancel(job));
                }
            }
            Action::Deliver { which, refuse, keep } => {
                let Some(at) = pick(self.to_managers.len(), which) else { return };
                let (to, msg) = self.to_managers[at].clone();
                if !keep {
                    self.to_managers.swap_remove(at);
                }
                self.on_manager(to, msg, refuse);
            }
            Action::Report { which, keep } => {
                let Some(at) = pick(self.to_gate.len(), which) else { return };
                let (from, report) = self.to_gate[at].clone();
                if !keep {
                    self.to_gate.swap_remove(at);
                }
                self.world.step(received(from, report));
            }
            Action::Work { which, end, fail } => {
                let begun = |held: &&(NodeId, PartId)| self.held[*held].begun;
                let parts: Vec<_> = self.held.keys().filter(begun).copied().collect();
                let Some(at) = pick(parts.len(), which) else { return };
                let held = self.held.get_mut(&parts[at]).unwrap();
                if end && held.end.is_none() {
                    let status =
                        if fail { WorkflowStatus::Failed } else { WorkflowStatus::Completed };
                    held.end = Some(status);
                }
                self.say(parts[at]);
            }
            Action::Lose { which } => {
                if let Some(at) = pick(self.to_managers.len(), which) {
                    self.to_managers.swap_remove(at);
                }
            }
            Action::Sync { records } => drop(self.world.sync(usize::from(records))),
            Action::Pass { millis } => {
                self.world.now = self.world.now.after(Duration::from_millis(millis.into()));
                self.world.step(Input::Wake);
            }
            Action::Crash => {
                self.world.crash();
                self.calls.clear();
            }
        }
        self.observe();
    }

    fn ends_or_live(&self) -> Vec<JobId> {
        self.world.node.role().jobs().map(|(id, _)| id).collect()
    }

    fn ask(&mut self, plan: String, command: Command) {
        self.call += 1;
        self.calls.insert(self.call, (plan, command.clone()));
        self.world.step(called(self.call, command));
    }

    fn on_manager(&mut self, at: NodeId, msg: Message, refuse: bool) {
        match msg {
            Message::Offer(offer) => {
                let key = (at, offer.part);
                if refuse && !self.held.contains_key(&key) {
                    let phase = PartPhase::Refused { reason: "full".into() };
                    return self.send(at, offer.part, offer.fence, phase);
                }
                let fresh =
                    Held { fence: offer.fence, offer: offer.fence, begun: false, end: None };
                self.held.entry(key).or_insert(fresh);
                self.say(key);
            }
            Message::Begin(begin) => {
                let key = (at, begin.part);
                let Some(held) = self.held.get_mut(&key) else { return };
                if held.end.is_none() && held.offer == begin.offer {
                    assert!(begin.fence > held.offer);
                    held.begun = true;
                    let job = self.world.node.role().ledger().job(begin.part.job);
                    let parts = job.into_iter().flat_map(|job| job.parts.iter());
                    let begun = parts.map(|part| part.begun.is_some());
                    // A gate that was started again has yet to apply what it had committed.
                    let known = self.world.node.role().ledger_digest().0 >= begin.fence.index;
                    assert!(!known || begun.into_iter().all(|one| one), "half of a job is begun");
                    held.fence = held.fence.max(begin.fence);
                    let first = *self.begun_in.entry(begin.part).or_insert(at);
                    assert_eq!(first, at, "{:?} begun twice", begin.part);
                }
                self.say(key);
            }
            Message::CancelPart(cancel) => {
                let key = (at, cancel.part);
                let fence = cancel.fence;
                let fresh = Held { fence, offer: fence, begun: false, end: None };
                let held = self.held.entry(key).or_insert(fresh);
                held.fence = held.fence.max(fence);
                held.end.get_or_insert(WorkflowStatus::Cancelled);
                self.say(key);
            }
            Message::PartAck(ack) => {
                let held = &self.held[&(at, ack.part)];
                assert!(held.end.is_some(), "acknowledged what has not ended");
            }
            Message::Claim(claim) => {
                let key = (at, claim.part);
                if self.held.contains_key(&key) {
                    self.say(key);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn say(&mut self, key: (NodeId, PartId)) {
        let held = self.held[&key].clone();
        let phase = match held.end {
            Some(status) => ended(status),
            None if held.begun => PartPhase::Running,
            None => PartPhase::Accepted,
        };
        self.send(key.0, key.1, held.fence, phase);
    }

    fn send(&mut self, from: NodeId, part: PartId, fence: Fence, phase: PartPhase) {
        self.seq += 1;
        let seq = (1, self.seq);
        let workflows = BoundedVec::new();
        self.to_gate.push((from, PartReport { part, fence, seq, phase, workflows }));
    }

    fn observe(&mut self) {
        for effect in self.world.released() {
            match effect {
                Effect::Send { to, msg, .. } => self.to_managers.push((to, *msg)),
                Effect::Reply { call, reply, .. } => self.on_reply(call, *reply),
                Effect::Publish { job, update, .. } => self.on_status(job, update.view.status),
                Effect::Append { .. } | Effect::Checkpoint { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let role = self.world.node.role();
        role.check_all().unwrap();
        // A boot has applied what was committed before it once it leads.
        for (job, _) in self.keys.values().filter(|_| role.leads()) {
            assert!(role.ledger().job(*job).is_some(), "{job} was acknowledged and is gone");
        }
        let boot =
            Boot { id: BootId::new(0), entropy: 0, disk: hyperscale_core::ids::DiskId::new(1) };
        let config = self.world.config.clone();
        let folded: Node<hyperscale_core::gate::Gate> =
            Node::recover(GATE, config, boot, self.world.written()).unwrap();
        assert_eq!(folded.role().durable_digest(), role.durable_digest());
    }

    fn on_reply(&mut self, call: CallId, reply: Reply) {
        // A reply of a life that has ended reached nobody.
        let Some((plan, command)) = self.calls.remove(&call.get()) else { return };
        match (command, reply) {
            (Command::Submit { key, .. }, Reply::Submitted { job, .. }) => {
                let known = self.keys.entry(key).or_insert((job, plan.clone()));
                assert_eq!(*known, (job, plan));
            }
            (Command::Submit { key, .. }, Reply::Refused(Refusal::KeyReused(job))) => {
                let known = self.keys.get(&key);
                assert!(known.is_none_or(|(made, by)| *made == job && *by != plan));
            }
            (Command::Cancel(_), Reply::Cancelling(job)) => {
                assert!(self.ends.get(&job).is_none_or(|end| *end != JobStatus::Completed));
                self.cancelled.insert(job);
            }
            (Command::Cancel(job), Reply::Refused(Refusal::AlreadyEnded(status))) => {
                self.on_status(job, status);
            }
            (_, Reply::Refused(Refusal::NotReady | Refusal::OutcomeUnknown)) => {}
            other => panic!("{other:?}"),
        }
    }

    fn on_status(&mut self, job: JobId, status: JobStatus) {
        match self.ends.get(&job) {
            Some(end) => assert_eq!(*end, status, "{job} has ended"),
            None if status.is_terminal() => {
                assert!(!(self.cancelled.contains(&job) && status == JobStatus::Completed));
                self.ends.insert(job, status);
            }
            None => {}
        }
    }

    /// Faults stop: everything arrives, begun parts end, time passes.
    fn finish(&mut self) {
        for round in 0..400u64 {
            self.world.step(Input::Wake);
            self.world.sync(usize::MAX);
            self.observe();
            for (to, msg) in std::mem::take(&mut self.to_managers) {
                self.on_manager(to, msg, false);
            }
            for (key, held) in self.held.clone() {
                if held.begun && held.end.is_none() {
                    self.held.get_mut(&key).unwrap().end = Some(WorkflowStatus::Completed);
                    self.say(key);
                }
            }
            for (from, report) in std::mem::take(&mut self.to_gate) {
                self.world.step(received(from, report));
            }
            if round > 0 && self.world.node.role().is_idle() {
                return;
            }
            self.world.now = self.world.now.after(S / 2);
        }
        panic!("not idle: {:?}", self.world.node.role());
    }
}

fn pick(len: usize, which: u8) -> Option<usize> {
    (len > 0).then(|| usize::from(which) % len)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_jobs_are_made_once_and_end_once(
        actions in prop::collection::vec(action(), 1..150),
        checkpoint_entries in 1..20u64,
    ) {
        let mut run = Run::new(checkpoint_entries);
        run.world.step(Input::Wake);
        run.world.sync(usize::MAX);
        for action in &actions {
            run.act(action);
        }
        run.finish();
        for (key, (job, _)) in run.keys.clone() {
            let status = run.world.node.role().ledger().job(job).unwrap().status;
            prop_assert!(status.is_terminal(), "{key}: {job} is {status:?}");
            run.on_status(job, status);
        }
    }
}
