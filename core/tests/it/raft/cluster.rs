//! A network, disks and clocks around a few members.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hyperscale_core::consensus::{
    Body, ConsensusConfig, Event, Input, Member, Membership, Payload,
};
use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{DiskId, GroupId, LogIndex, Lsn, NodeId, Term};
use hyperscale_core::journal::Record;
use hyperscale_core::machine::Machine as _;
use hyperscale_core::rng::{Rng, Stream, Streams};
use hyperscale_core::stat::Stat;

use super::host::{Command, Envelope, Host, Stepped, command, number};
use super::judge::Judge;

pub(super) const MS: u64 = 1_000_000;

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) delay: (u64, u64),
    pub(super) loss_ppm: u32,
    pub(super) twice_ppm: u32,
    pub(super) sync: (u64, u64),
}

pub(super) const CALM: Weather =
    Weather { delay: (2 * MS, 2 * MS), loss_ppm: 0, twice_ppm: 0, sync: (MS, MS) };

enum What {
    Deliver { to: u64, msg: Box<Envelope> },
    Synced { node: u64, boots: u64, lsn: Lsn },
}

pub(super) struct Cluster {
    pub(super) now: u64,
    pub(super) hosts: BTreeMap<u64, Host>,
    pub(super) judge: Judge,
    pub(super) weather: Weather,
    /// Directions in which nothing arrives.
    pub(super) cut: BTreeSet<(u64, u64)>,
    /// Nodes whose process stands still until then.
    pub(super) paused: BTreeMap<u64, u64>,
    pub(super) config: ConsensusConfig,
    pub(super) draws: Streams,
    queue: BTreeMap<(u64, u64), What>,
    order: u64,
    next_value: u64,
    next_ticket: u64,
    pub(super) is_taped: bool,
    /// Every message that left, with its receiver.
    pub(super) tape: Vec<(u64, Envelope)>,
    /// The last entry that each told another.
    matched: BTreeMap<(NodeId, NodeId), LogIndex>,
    /// What happened, if it is written down.
    pub(super) log: Option<String>,
}

impl Cluster {
    /// The first `voters` of `nodes` nodes form a group; all are configured as peers.
    pub(super) fn new(seed: u64, nodes: u64, voters: u64) -> Self {
        let config = ConsensusConfig {
            peers: (1..=nodes).map(NodeId::new).collect(),
            ..ConsensusConfig::default()
        };
        let mut cluster = Self {
            now: 0,
            hosts: BTreeMap::new(),
            judge: Judge::new(),
            weather: CALM,
            cut: BTreeSet::new(),
            paused: BTreeMap::new(),
            config,
            draws: Streams::new(seed, 0, 0),
            queue: BTreeMap::new(),
            order: 0,
            next_value: 0,
            next_ticket: 0,
            is_taped: false,
            tape: Vec::new(),
            matched: BTreeMap::new(),
            log: None,
        };
        let member = |node| Member { node: NodeId::new(node), disk: DiskId::new(node * 10) };
        let list: Vec<_> = (1..=voters).map(member).collect();
        let membership = Membership { voters: list.try_into().unwrap(), ..Membership::default() };
        for node in 1..=nodes {
            let mut host = Host::new(node, node * 10);
            if node <= voters {
                let (group, membership) = (GroupId::new(99), membership.clone());
                host.inscribe(Record::Formed { group, membership });
            }
            cluster.hosts.insert(node, host);
        }
        cluster
    }

    pub(super) fn rng(&mut self) -> &mut Rng {
        self.draws.draw(Stream::Routing)
    }

    fn peers_of(&self, node: u64) -> ConsensusConfig {
        let mut config = self.config.clone();
        config.peers.retain(|peer| peer.get() != node);
        config
    }

    pub(super) fn boot(&mut self, node: u64) {
        let entropy = self.rng().next_u64();
        let (now, config) = (self.now, self.peers_of(node));
        self.hosts.get_mut(&node).unwrap().boot(now, &config, entropy);
        self.note(|| format!("n{node} boots"));
        self.input(node, Input::Start);
    }

    pub(super) fn boot_all(&mut self) {
        let nodes: Vec<_> = self.hosts.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.boot(node));
    }

    /// Ends a life; `kept` records that were not durable survive. What folds from the disk before
    /// must be what was held in memory.
    pub(super) fn crash(&mut self, node: u64, kept: usize) {
        let config = self.peers_of(node);
        let host = self.hosts.get_mut(&node).unwrap();
        let Some(life) = host.life.take() else { return };
        let (folded, ledger) = host.fold(&config);
        assert_eq!(folded.durable_digest(), life.group.durable_digest(), "n{node} folds otherwise");
        assert_eq!(folded.boots(), life.group.boots());
        assert!(folded.committed() < life.group.committed() || ledger == life.ledger);
        host.disk.crash(kept);
        host.syncing = false;
        self.note(|| format!("n{node} crashes"));
    }

    /// The node gets another disk with `record` on it.
    pub(super) fn replace_disk(&mut self, node: u64, disk: u64, record: Record) {
        let clock = self.hosts[&node].clock;
        let mut host = Host::new(node, disk);
        host.clock = clock;
        host.boots = self.hosts[&node].boots;
        host.inscribe(record);
        self.hosts.insert(node, host);
    }

    pub(super) fn is_up(&self, node: u64) -> bool {
        self.hosts[&node].life.is_some()
    }

    pub(super) fn group(&self, node: u64) -> &hyperscale_core::consensus::Group<Command> {
        &self.hosts[&node].life.as_ref().unwrap().group
    }

    pub(super) fn stat(&self, node: u64, stat: Stat) -> u64 {
        self.hosts[&node].life.as_ref().map_or(0, |life| life.stats.count(stat))
    }

    /// Gives an input and performs what follows.
    pub(super) fn input(&mut self, node: u64, input: Input<Command>) -> Vec<Event<Command>> {
        let now = self.now;
        let host = self.hosts.get_mut(&node).unwrap();
        if host.life.is_none() {
            return Vec::new();
        }
        let stepped = host.step(now, input);
        self.judge.on_step(host, &stepped);
        let installed = stepped.events.iter().any(|event| matches!(event, Event::Installed { .. }));
        if installed {
            host.checkpoint();
        }
        self.write_down(node, &stepped);
        self.release(node);
        self.judge.on_instant(now, &self.hosts);
        stepped.events
    }

    /// Sends what may leave and syncs what is appended.
    fn release(&mut self, node: u64) {
        let host = self.hosts.get_mut(&node).unwrap();
        let released = host.released();
        for (to, msg) in &released {
            self.judge.on_sent(&self.hosts[&node], *to, msg);
        }
        for (to, msg) in released {
            self.send(node, to.get(), msg);
        }
        let host = &self.hosts[&node];
        let (lsn, boots) = (host.disk.last, host.boots);
        if host.life.is_some() && !host.syncing && host.disk.durable < lsn {
            let (min, max) = self.weather.sync;
            let wait = min + self.rng().at_most(max - min);
            self.hosts.get_mut(&node).unwrap().syncing = true;
            self.schedule(wait, What::Synced { node, boots, lsn });
        }
    }

    fn send(&mut self, from: u64, to: u64, msg: Envelope) {
        if self.is_taped {
            self.tape.push((to, msg.clone()));
        }
        if self.cut.contains(&(from, to)) || !self.hosts.contains_key(&to) {
            return;
        }
        let Weather { delay: (min, max), loss_ppm, twice_ppm, .. } = self.weather;
        let copies = 1 + u8::from(self.rng().chance(twice_ppm));
        for _ in 0..copies {
            let wait = min + self.rng().at_most(max - min);
            if !self.rng().chance(loss_ppm) {
                self.schedule(wait, What::Deliver { to, msg: Box::new(msg.clone()) });
            }
        }
    }

    fn schedule(&mut self, wait: u64, what: What) {
        self.order += 1;
        self.queue.insert((self.now + wait, self.order), what);
    }

    /// A message that comes from nowhere, or late.
    pub(super) fn inject(&mut self, to: u64, msg: Envelope) {
        self.input(to, Input::Received { from: msg.from.node, msg: Box::new(msg) });
    }

    /// What a member would say.
    pub(super) fn envelope(&self, from: u64, to: u64, term: u64, body: Body<Command>) -> Envelope {
        let from = Member { node: NodeId::new(from), disk: self.hosts[&from].disk_id };
        let (to, term) = (self.hosts[&to].disk_id, Term::new(term));
        Envelope { group: GroupId::new(99), from, to, term, body }
    }

    pub(super) fn leads_at(&self, node: u64) -> bool {
        let host = &self.hosts[&node];
        host.life.as_ref().is_some_and(|life| life.group.leads_at(host.local(self.now)))
    }

    /// The others of three.
    pub(super) fn others(&self, node: u64) -> [u64; 2] {
        let others: Vec<_> = self.hosts.keys().copied().filter(|other| *other != node).collect();
        others.try_into().unwrap()
    }

    fn next_wake(&self) -> Option<(u64, u64)> {
        let wakes = self.hosts.iter().filter_map(|(node, host)| {
            let life = host.life.as_ref()?;
            let wake = life.group.next_wake()?;
            let earliest = self.paused.get(node).copied().unwrap_or(0).max(self.now + 1);
            Some((host.clock.when(wake.at).max(earliest), *node))
        });
        wakes.min()
    }

    fn busiest(&self) -> impl std::fmt::Debug {
        let wake = |host: &Host| host.life.as_ref().and_then(|life| life.group.next_wake());
        let wakes: Vec<_> = self.hosts.values().map(wake).collect();
        (self.now, wakes, self.queue.len())
    }

    /// Runs until the true instant `until`.
    pub(super) fn run_until(&mut self, until: u64) {
        let most = 10_000 + until.saturating_sub(self.now) / MS * 100;
        for step in 0.. {
            assert!(step < most, "too busy: {:?}", self.busiest());
            let wake = self.next_wake().filter(|(at, _)| *at <= until);
            let queued = self.queue.keys().next().copied().filter(|(at, _)| *at <= until);
            match (queued, wake) {
                (Some(key), wake) if wake.is_none_or(|(at, _)| key.0 <= at) => {
                    self.now = key.0.max(self.now);
                    let what = self.queue.remove(&key).unwrap();
                    self.perform(what);
                }
                (_, Some((at, node))) => {
                    self.now = at;
                    self.input(node, Input::Wake);
                }
                (_, None) => break,
            }
        }
        self.now = until;
    }

    pub(super) fn run(&mut self, wait: u64) {
        self.run_until(self.now + wait);
    }

    fn perform(&mut self, what: What) {
        match what {
            What::Deliver { to, msg } => {
                let from = msg.from.node.get();
                if self.cut.contains(&(from, to)) {
                    return;
                }
                if let Some(until) = self.paused.get(&to).filter(|until| **until > self.now) {
                    let wait = until - self.now;
                    return self.schedule(wait, What::Deliver { to, msg });
                }
                self.input(to, Input::Received { from: msg.from.node, msg });
            }
            What::Synced { node, boots, lsn } => {
                if let Some(until) = self.paused.get(&node).filter(|until| **until > self.now) {
                    let wait = until - self.now;
                    return self.schedule(wait, What::Synced { node, boots, lsn });
                }
                let host = self.hosts.get_mut(&node).unwrap();
                if host.boots == boots && host.life.is_some() && host.syncing {
                    host.syncing = false;
                    let from = host.disk.durable;
                    host.on_synced(lsn);
                    self.judge.on_synced(host, from);
                    self.input(node, Input::Durable(lsn));
                }
            }
        }
    }

    /// Both directions between the sides.
    pub(super) fn part(&mut self, one: &[u64], other: &[u64]) {
        for a in one {
            for b in other {
                self.cut.extend([(*a, *b), (*b, *a)]);
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(super) fn leader(&self) -> Option<u64> {
        let leads = |(node, host): (&u64, &Host)| {
            let life = host.life.as_ref()?;
            life.group.leads().then_some((life.group.term(), *node))
        };
        self.hosts.iter().filter_map(leads).max().map(|(_, node)| node)
    }

    /// Runs until some node leads.
    pub(super) fn elect(&mut self) -> u64 {
        for _ in 0..10_000 {
            if let Some(leader) = self.leader() {
                return leader;
            }
            self.run(MS);
        }
        panic!("nobody leads after ten seconds")
    }

    pub(super) fn submit(&mut self, node: u64) -> Option<u64> {
        let life = self.hosts[&node].life.as_ref()?;
        if !life.group.has_room() || life.group.boots() == 0 {
            return None;
        }
        self.next_value += 1;
        let (value, seq) = (self.next_value, life.group.next_seq());
        let host = &self.hosts[&node];
        self.judge.on_submit(host.disk_id, host.boots, seq, value);
        self.input(node, Input::Submit(command(value)));
        Some(value)
    }

    pub(super) fn propose(&mut self, node: u64) -> u64 {
        self.next_value += 1;
        self.input(node, Input::Propose(command(self.next_value)));
        self.next_value
    }

    pub(super) fn read(&mut self, node: u64) -> Option<u64> {
        self.hosts[&node].life.as_ref()?;
        self.next_ticket += 1;
        self.judge.on_read(&self.hosts[&node], self.next_ticket);
        let ticket = self.next_ticket;
        self.input(node, Input::Read(ticket));
        Some(ticket)
    }

    pub(super) fn checkpoint(&mut self, node: u64) {
        self.hosts.get_mut(&node).unwrap().checkpoint();
    }

    /// The numbers of the committed commands, in order.
    pub(super) fn values(&self) -> Vec<u64> {
        self.judge.committed.values().map(number).collect()
    }

    pub(super) fn is_committed(&self, value: u64) -> bool {
        self.values().contains(&value)
    }

    pub(super) fn committed(&self, node: u64) -> LogIndex {
        self.group(node).committed()
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.now;
        if let Some(log) = &mut self.log {
            writeln!(log, "{:>7}.{:03}  {}", at / MS, at / 1000 % 1000, text()).unwrap();
        }
    }

    fn write_down(&mut self, node: u64, stepped: &Stepped) {
        if self.log.is_none() {
            return;
        }
        let matched = &mut self.matched;
        let effects = stepped.effects.iter().filter(|effect| !is_idle(effect, matched));
        let effects = effects.map(described);
        let events = stepped.events.iter().map(|event| format!("=> {}", told(event)));
        for line in effects.chain(events).collect::<Vec<_>>() {
            self.note(|| format!("n{node} {line}"));
        }
    }
}

/// A heartbeat, or an answer with nothing new.
fn is_idle(effect: &Effect, known: &mut BTreeMap<(NodeId, NodeId), LogIndex>) -> bool {
    let Effect::Send { to, msg, .. } = effect else { return false };
    let hyperscale_core::wire::Message::Managers(msg) = &**msg else { return false };
    match &msg.body {
        Body::Append { round, entries, .. } => *round > 1 && entries.is_empty(),
        Body::Appended { matched, .. } => {
            known.insert((msg.from.node, *to), *matched) == Some(*matched)
        }
        _ => false,
    }
}

fn told(event: &Event<Command>) -> String {
    match event {
        Event::Committed { index, command, seq } => {
            format!("Committed {index} #{}{}", number(command), numbered(*seq))
        }
        Event::Installed { index, .. } => format!("Installed {index}"),
        Event::Led { .. }
        | Event::StoodDown
        | Event::Followed { .. }
        | Event::Readable { .. }
        | Event::LedgerWanted => format!("{event:?}"),
    }
}

fn numbered(seq: Option<u64>) -> String {
    seq.map_or(String::new(), |seq| format!(" (own {seq})"))
}

fn described(effect: &Effect) -> String {
    match effect {
        Effect::Append { lsn, record } => format!("{lsn} := {}", written(record)),
        Effect::Send { to, msg, after } => {
            let hyperscale_core::wire::Message::Managers(msg) = &**msg else {
                return String::from("?");
            };
            format!("-> {to} after {after}: {} {}", msg.term, said(&msg.body))
        }
        _ => format!("{effect:?}"),
    }
}

fn payload(payload: &Payload<Command>) -> String {
    let disks = |list: &[Member]| list.iter().map(|m| format!("{}", m.disk)).collect::<Vec<_>>();
    match payload {
        Payload::Opened => "opened".into(),
        Payload::Command(command) => format!("#{}", number(command)),
        Payload::Membership(members) => {
            format!("voters {:?} learners {:?}", disks(&members.voters), disks(&members.learners))
        }
    }
}

fn written(record: &Record) -> String {
    match record {
        Record::Manager(entry) => {
            format!("{}/{} {}", entry.index, entry.term, payload(&entry.payload))
        }
        Record::Chunk(chunk) => {
            format!("chunk {}..+{} of {}", chunk.offset, chunk.bytes.len(), chunk.total)
        }
        _ => format!("{record:?}"),
    }
}

fn said(body: &Body<Command>) -> String {
    match body {
        Body::Append { round, prev, commit, entries } => {
            let list: Vec<_> = entries.iter().map(|e| format!("{}/{}", e.index, e.term)).collect();
            format!(
                "Append r{round} after {}/{} commit {commit} [{}]",
                prev.index,
                prev.term,
                list.join(" ")
            )
        }
        Body::Chunk { chunk, .. } => {
            let at = chunk.at;
            format!("Chunk of {}/{} {}..+{}", at.index, at.term, chunk.offset, chunk.bytes.len())
        }
        Body::Forward { boot, first, commands } => {
            let list: Vec<_> = commands.iter().map(|c| format!("#{}", number(c))).collect();
            format!("Forward boot {boot} from {first} [{}]", list.join(" "))
        }
        _ => format!("{body:?}"),
    }
}
