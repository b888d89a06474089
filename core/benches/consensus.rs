//! What an entry costs in a group: nanoseconds from the proposal until every member has committed
//! it, on one core for all members together. Messages are handed over, records are durable at once
//! and dropped: the cost of the machines alone, without codec, network and disk.
//! Nothing is asserted; run with `cargo bench -p hyperscale-core --bench consensus`.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads the clock and prints"
)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant as Watch;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::consensus::{
    ConsensusConfig, Event, Group, GroupRecord, Input, Member, Membership, Message as GroupMessage,
};
use hyperscale_core::effect::{Effect, Effects};
use hyperscale_core::ids::{
    Boot, BootId, DiskId, GroupId, JobId, LogIndex, Lsn, NodeId, PartId, PartIx,
};
use hyperscale_core::machine::{Cx, Machine};
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::rng::Streams;
use hyperscale_core::stat::Counters;
use hyperscale_core::time::Instant;
use hyperscale_core::wire::Message;

const ROUNDS: usize = 60;
const ENTRIES: usize = 2_048;

/// A member with a disk that writes in no time and keeps nothing.
struct Node {
    group: Group<ManagerCommand>,
    out: Effects,
    streams: Streams,
    stats: Counters,
    /// Entries committed.
    committed: usize,
}

/// What is under way, and to whom.
type Mail = (usize, NodeId, Box<GroupMessage<ManagerCommand>>);

struct Cluster {
    nodes: Vec<Node>,
    mail: VecDeque<Mail>,
    now: Instant,
    messages: u64,
}

fn id(place: usize) -> NodeId {
    NodeId::new(place as u64 + 1)
}

fn command(n: usize) -> ManagerCommand {
    let part = PartId { job: JobId::new(n as u64), part: PartIx::new(0) };
    ManagerCommand::Close { part }
}

impl Node {
    fn new(place: usize, voters: &[Member]) -> Self {
        let boot = Boot { id: BootId::new(1), entropy: 1, disk: voters[place].disk };
        let others = voters.iter().map(|member| member.node).filter(|node| *node != id(place));
        let config = ConsensusConfig { peers: others.collect(), ..ConsensusConfig::default() };
        let mut group = Group::new(id(place), config, boot);
        let membership = Membership {
            voters: BoundedVec::try_from(voters.to_vec()).unwrap_or_default(),
            learners: BoundedVec::new(),
        };
        let formed = GroupRecord::Formed { group: GroupId::new(7), membership: &membership };
        let folded = group.replay(Lsn::new(1), formed);
        assert!(folded.is_ok(), "{folded:?}");
        Self {
            group,
            out: Effects::new(Lsn::new(1)),
            streams: Streams::new(1, place as u64, 1),
            stats: Counters::default(),
            committed: 0,
        }
    }
}

impl Cluster {
    /// A group with a leader; its place.
    fn led(voters: usize) -> Option<(Self, usize)> {
        let members: Vec<Member> = (0..voters)
            .map(|place| Member { node: id(place), disk: DiskId::new(place as u64 + 100) })
            .collect();
        let nodes = (0..voters).map(|place| Node::new(place, &members)).collect();
        let mut cluster =
            Self { nodes, mail: VecDeque::new(), now: Instant::from_nanos(1 << 32), messages: 0 };
        for place in 0..voters {
            cluster.give(place, Input::Start);
        }
        for _ in 0..1_000 {
            cluster.deliver();
            let leads = |node: &Node| node.group.leads();
            let leader = cluster.nodes.iter().position(leads);
            if let Some(leader) =
                leader.filter(|_| cluster.nodes.iter().filter(|n| leads(n)).count() == 1)
            {
                return Some((cluster, leader));
            }
            cluster.wake();
        }
        None
    }

    /// Lets time pass until the next member wants to be woken.
    fn wake(&mut self) {
        let wakes = self.nodes.iter().filter_map(|node| node.group.next_wake());
        let Some(at) = wakes.map(|wake| wake.at).min() else { return };
        self.now = self.now.max(at);
        for place in 0..self.nodes.len() {
            let wake = self.nodes[place].group.next_wake();
            if wake.is_some_and(|wake| wake.at <= self.now) {
                self.give(place, Input::Wake);
            }
        }
    }

    fn give(&mut self, place: usize, input: Input<ManagerCommand>) {
        let appended = self.step(place, input);
        if let Some(lsn) = appended {
            self.step(place, Input::Durable(lsn));
        }
    }

    /// One input; gives the newest record that it wrote.
    fn step(&mut self, place: usize, input: Input<ManagerCommand>) -> Option<Lsn> {
        let node = &mut self.nodes[place];
        let mut cx = Cx::new(self.now, &mut node.streams, &mut node.out, &mut node.stats);
        for event in node.group.handle(&mut cx, input) {
            if let Event::Committed { index, command, .. } = event {
                black_box((index, command));
                node.committed += 1;
            }
        }
        let mut appended = None;
        for effect in node.out.drain() {
            match effect {
                Effect::Append { lsn, record } => {
                    black_box(record);
                    appended = Some(lsn);
                }
                Effect::Send { to, msg, .. } => {
                    if let Message::Managers(msg) = *msg {
                        self.messages += 1;
                        self.mail.push_back((to.get() as usize - 1, id(place), Box::new(msg)));
                    }
                }
                _ => {}
            }
        }
        appended
    }

    fn deliver(&mut self) {
        while let Some((to, from, msg)) = self.mail.pop_front() {
            self.give(to, Input::Received { from, msg });
        }
    }

    /// Commits entries everywhere, so many in flight at a time, and lets logs go.
    fn commit(&mut self, at: usize, batch: usize, input: fn(usize) -> Input<ManagerCommand>) {
        for first in (0..ENTRIES).step_by(batch) {
            let goal = self.nodes[at].committed + batch;
            // A batch is written with one sync, as in a running node.
            let mut appended = None;
            for n in 0..batch {
                appended = self.step(at, input(first + n)).or(appended);
            }
            if let Some(lsn) = appended {
                self.step(at, Input::Durable(lsn));
            }
            self.deliver();
            // What followers hear with the next heartbeat counts, too.
            for waits in 0.. {
                if self.nodes.iter().all(|node| node.committed >= goal) {
                    break;
                }
                assert!(waits < 1_000, "an entry is not committed");
                self.wake();
                self.deliver();
            }
        }
        for node in &mut self.nodes {
            black_box(node.group.snapshot());
        }
    }
}

/// The best of many short rounds, as other load on the machine only ever adds time.
fn run(voters: usize, batch: usize, is_forwarded: bool) -> Option<u128> {
    let (mut cluster, leader) = Cluster::led(voters)?;
    let at = if is_forwarded { (leader + 1) % voters } else { leader };
    let input = if is_forwarded {
        |n: usize| Input::Submit(command(n))
    } else {
        |n: usize| Input::Propose(command(n))
    };
    let committed: LogIndex = cluster.nodes[leader].group.committed();
    let mut best = u128::MAX;
    let before = cluster.messages;
    for _ in 0..ROUNDS {
        let start = Watch::now();
        cluster.commit(at, batch, input);
        best = best.min(start.elapsed().as_nanos());
    }
    let entries = cluster.nodes[leader].group.committed().get() - committed.get();
    let each = best / ENTRIES as u128;
    println!(
        "{voters} voters, {batch:>3} at a time, {:<9} {each:>7} ns per entry, {}.{:02} messages",
        if is_forwarded { "forwarded" } else { "proposed" },
        (cluster.messages - before) / entries,
        (cluster.messages - before) * 100 / entries % 100,
    );
    Some(each)
}

fn main() {
    for is_forwarded in [false, true] {
        for batch in [1, 64] {
            let mut alone = None;
            for voters in [1, 3, 5] {
                if is_forwarded && voters == 1 {
                    continue;
                }
                let Some(each) = run(voters, batch, is_forwarded) else {
                    println!("{voters} voters: no leader");
                    continue;
                };
                let first = *alone.get_or_insert(each);
                println!("{:>10}.{:02} x", each / first, each * 100 / first % 100);
            }
        }
    }
}
