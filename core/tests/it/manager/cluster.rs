//! Three managers, their workers and a gate over a network that takes a millisecond, on one clock.
//! Disks are durable at once. Everything issued is watched: no shard is issued by two workers, and
//! no item twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::config::ManagerConfig;
use hyperscale_core::consensus::{ConsensusConfig, Member, Membership};
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{Boot, BootId, DiskId, GroupId, Lsn, NodeId, RunId, ShardId};
use hyperscale_core::input::Input;
use hyperscale_core::journal::{Record, Recovered, Snapshot};
use hyperscale_core::machine::Role;
use hyperscale_core::manager::Manager;
use hyperscale_core::node::Node;
use hyperscale_core::plan::Plan;
use hyperscale_core::time::Instant;
use hyperscale_core::wire::{Begin, CancelPart, Message, NotLeader, Offer, PartPhase, RunState};

use super::fleet::{Modelled, Truth};
use super::rig::*;

const HOP: Duration = Duration::from_millis(1);
/// The workers' engines issue one item of every run so often.
const TICK: Duration = Duration::from_millis(5);

pub(super) fn manager(ix: u64) -> NodeId {
    NodeId::new(100 + ix)
}

pub(super) fn instant(now: Duration) -> Instant {
    Instant::from_nanos(u64::try_from(now.as_nanos()).unwrap())
}

/// A manager and its disk.
pub(super) struct Replica {
    ix: u64,
    config: ManagerConfig,
    pub(super) node: Option<Node<Manager>>,
    records: Vec<(Lsn, Record)>,
    snapshot: Option<(Lsn, Snapshot)>,
    last: Lsn,
    boots: u64,
    pub(super) checkpoints: u64,
}

impl Replica {
    fn new(ix: u64, formed: Record, checkpoint_entries: u64) -> Self {
        let peers = (0..3).filter(|other| *other != ix).map(manager).collect();
        let consensus = ConsensusConfig { peers, ..ConsensusConfig::default() };
        let config = ManagerConfig::new(manager(ix), "dc");
        let config = ManagerConfig { consensus, checkpoint_entries, ..config };
        let records = vec![(Lsn::new(1), formed)];
        let (snapshot, last) = (None, Lsn::new(1));
        Self { ix, config, node: None, records, snapshot, last, boots: 0, checkpoints: 0 }
    }

    fn boot(&mut self) {
        self.boots += 1;
        let id = BootId::new(self.ix * 100 + self.boots);
        let boot = Boot { id, entropy: self.ix * 7 + self.boots, disk: DiskId::new(self.ix + 1) };
        let (snapshot, records) = (self.snapshot.clone(), self.records.clone());
        let disk = Recovered { snapshot, records, last: self.last };
        self.node = Some(Node::recover(manager(self.ix), self.config.clone(), boot, disk).unwrap());
    }

    /// One input, and all that its becoming durable leads to. Gives what leaves.
    fn step(&mut self, now: Duration, input: Input) -> Vec<(NodeId, Message)> {
        let Some(node) = &mut self.node else { return Vec::new() };
        let mut sent = Vec::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in node.step(instant(now), input).collect::<Vec<_>>() {
                match effect {
                    Effect::Append { lsn, record } => self.records.push((lsn, *record)),
                    Effect::Send { to, msg, .. } => sent.push((to, *msg)),
                    Effect::Checkpoint { upto, snapshot } => {
                        self.checkpoints += 1;
                        self.records.retain(|(lsn, _)| *lsn > upto);
                        self.snapshot = Some((upto, *snapshot));
                    }
                    other => panic!("a manager does not: {other:?}"),
                }
            }
            node.check().unwrap();
            node.role().check_all().unwrap();
            if node.appended() > self.last {
                self.last = node.appended();
                inputs.push_back(Input::Durable(self.last));
            }
        }
        sent
    }
}

pub(super) struct Cluster {
    pub(super) now: Duration,
    pub(super) replicas: Vec<Replica>,
    pub(super) workers: Vec<Modelled>,
    told: Vec<Vec<(RunId, RunState)>>,
    net: BTreeMap<(Duration, u64), (NodeId, NodeId, Message)>,
    sends: u64,
    /// Nobody hears these, and they hear nobody, but where both are.
    pub(super) island: BTreeSet<NodeId>,
    /// Only managers are cut off from managers.
    pub(super) island_hears_workers: bool,
    pub(super) truth: Truth,
    /// What managers sent to workers and gates, and when.
    pub(super) said: Vec<(Duration, NodeId, NodeId, Message)>,
    /// When each worker last issued something.
    pub(super) issued_at: BTreeMap<NodeId, Duration>,
    next_tick: Duration,
    ticks: u64,
}

impl Cluster {
    pub(super) fn new(workers: Vec<Modelled>, checkpoint_entries: u64) -> Self {
        let members = (0..3).map(|ix| Member { node: manager(ix), disk: DiskId::new(ix + 1) });
        let voters = members.collect::<Vec<_>>().try_into().unwrap();
        let membership = Membership { voters, learners: BoundedVec::new() };
        let formed = Record::Formed { group: GroupId::new(77), membership };
        let replica = |ix| Replica::new(ix, formed.clone(), checkpoint_entries);
        let mut cluster = Self {
            now: secs(1000),
            replicas: (0..3).map(replica).collect(),
            told: vec![Vec::new(); workers.len()],
            workers,
            net: BTreeMap::new(),
            sends: 0,
            island: BTreeSet::new(),
            island_hears_workers: false,
            truth: Truth::default(),
            said: Vec::new(),
            issued_at: BTreeMap::new(),
            next_tick: secs(1000),
            ticks: 0,
        };
        for ix in 0..3 {
            cluster.boot(ix);
        }
        cluster.pass(secs(3));
        cluster
    }

    pub(super) fn boot(&mut self, ix: usize) {
        self.replicas[ix].boot();
        self.step(ix, Input::Wake);
    }

    pub(super) fn kill(&mut self, ix: usize) {
        self.replicas[ix].node = None;
    }

    pub(super) fn role(&self, ix: usize) -> &Manager {
        self.replicas[ix].node.as_ref().unwrap().role()
    }

    /// The replica that leads and is not on the island.
    pub(super) fn leader(&self) -> Option<usize> {
        (0..3).find(|ix| {
            let node = self.replicas[*ix].node.as_ref();
            let leads = node.is_some_and(|node| node.role().leads());
            leads && !self.island.contains(&manager(*ix as u64))
        })
    }

    pub(super) fn step(&mut self, ix: usize, input: Input) {
        for (to, msg) in self.replicas[ix].step(self.now, input) {
            let from = manager(ix as u64);
            if !matches!(msg, Message::Managers(_)) {
                self.said.push((self.now, from, to, msg.clone()));
            }
            self.send(from, to, msg);
        }
    }

    pub(super) fn send(&mut self, from: NodeId, to: NodeId, msg: impl Into<Message>) {
        self.sends += 1;
        self.net.insert((self.now + HOP, self.sends), (from, to, msg.into()));
    }

    pub(super) fn join(&mut self, worker: Modelled) {
        self.workers.push(worker);
        self.told.push(Vec::new());
    }

    /// What this node sent and nobody got yet is lost.
    pub(super) fn drop_sent_by(&mut self, node: NodeId) {
        self.net.retain(|_, (from, _, _)| *from != node);
    }

    /// A gate tells every manager.
    pub(super) fn tell(&mut self, msg: impl Into<Message>) {
        let msg = msg.into();
        for ix in 0..3 {
            self.send(GATE, manager(ix), msg.clone());
        }
    }

    pub(super) fn offer(&mut self, plan: Plan) {
        self.tell(Offer { part: PART, fence: gate_fence(1), plan: Box::new(plan) });
        self.pass(millis(50));
        let (fence, offer) = (gate_fence(2), gate_fence(1));
        self.tell(Begin { part: PART, fence, offer, start_in: Duration::ZERO });
        self.pass(millis(50));
    }

    pub(super) fn cancel(&mut self) {
        self.tell(CancelPart { part: PART, fence: gate_fence(3), workflow: None });
    }

    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let wake = (0..3).filter_map(|ix| {
                let wake = self.replicas[ix].node.as_ref()?.next_wake()?;
                Some((Duration::from_nanos(wake.at.as_nanos()).max(self.now), ix))
            });
            let wake = wake.min();
            let arrival = self.net.keys().next().copied();
            let at = wake.map_or(self.next_tick, |(at, _)| at.min(self.next_tick));
            let at = arrival.map_or(at, |(arrives, _)| at.min(arrives));
            if at > end {
                break;
            }
            self.now = at;
            if let Some(key) = arrival.filter(|(arrives, _)| *arrives == at) {
                let (from, to, msg) = self.net.remove(&key).unwrap();
                self.deliver(from, to, msg);
            } else if self.next_tick == at {
                self.next_tick += TICK;
                self.tick();
            } else if let Some((_, ix)) = wake {
                // A clock that is read again shows later.
                self.now += Duration::from_nanos(1);
                self.step(ix, Input::Wake);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, msg: Message) {
        let is_group = matches!(msg, Message::Managers(_));
        let is_cut = self.island.contains(&from) != self.island.contains(&to);
        if is_cut && (is_group || !self.island_hears_workers) {
            return;
        }
        if let Some(ix) = (0..3).find(|ix| manager(*ix) == to) {
            self.step(ix as usize, Input::Received { from, msg: Box::new(msg) });
        } else if let Some(worker) = self.workers.iter_mut().find(|worker| worker.node == to) {
            worker.hear(self.now, msg);
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let mut holders: BTreeMap<ShardId, NodeId> = BTreeMap::new();
        for ix in 0..self.workers.len() {
            let node = self.workers[ix].node;
            self.workers[ix].prepare_all();
            for shard in self.workers[ix].may_issue(self.now) {
                assert_eq!(holders.insert(shard, node), None, "{shard:?} is issued twice");
            }
            let before: u64 = self.truth.issued.values().sum();
            self.workers[ix].issue(self.now, 1, &mut self.truth);
            if self.truth.issued.values().sum::<u64>() > before {
                self.issued_at.insert(node, self.now);
            }
            if self.ticks.is_multiple_of(20) {
                self.tell_all(ix, |worker, now| worker.reports(now));
            }
            let states = self.workers[ix].states();
            if states != self.told[ix] || self.ticks.is_multiple_of(100) {
                self.tell_all(ix, |worker, now| {
                    let mut all = vec![worker.beat(now).into()];
                    all.extend(worker.reports(now));
                    all
                });
                self.told[ix] = states;
            }
        }
    }

    fn tell_all(&mut self, ix: usize, what: impl Fn(&mut Modelled, Duration) -> Vec<Message>) {
        let node = self.workers[ix].node;
        for msg in what(&mut self.workers[ix], self.now) {
            for manager_ix in 0..3 {
                self.send(node, manager(manager_ix), msg.clone());
            }
        }
    }

    /// Time passes until something holds.
    pub(super) fn until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let from = self.now;
        while !holds(self) {
            assert!(self.now < from + limit, "not within {limit:?}");
            self.pass(TICK);
        }
        self.now - from
    }

    /// Time passes, and at no time is load missing for longer than `gap`.
    pub(super) fn pass_under_load(&mut self, span: Duration, gap: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.pass(TICK);
            let last = self.truth.last.unwrap();
            assert!(self.now - last <= gap, "no load for {:?}", self.now - last);
        }
    }

    /// The phase that was reported last.
    pub(super) fn phase(&self) -> Option<&PartPhase> {
        self.said.iter().rev().find_map(|(_, _, _, msg)| match msg {
            Message::PartReport(report) => Some(&report.phase),
            _ => None,
        })
    }

    pub(super) fn redirects(&self) -> Vec<(NodeId, NotLeader)> {
        let pick = |(_, from, _, msg): &(Duration, NodeId, NodeId, Message)| match msg {
            Message::NotLeader(answer) => Some((*from, *answer)),
            _ => None,
        };
        self.said.iter().filter_map(pick).collect()
    }

    /// All that live hold the same ledger.
    pub(super) fn agrees(&self) -> bool {
        let nodes = self.replicas.iter().filter_map(|replica| replica.node.as_ref());
        let digests = nodes.map(|node| node.role().ledger_digest()).collect::<BTreeSet<_>>();
        digests.len() == 1
    }
}
