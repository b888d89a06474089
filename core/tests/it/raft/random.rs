//! Seeded histories: loss, duplicates, reordering, cuts in one and two directions, pauses, crashes
//! with lost tails, drifting clocks, snapshots, transfers, members that come, go and are replaced.
//! The judge looks on; when the faults stop, everything submitted by a living boot gets committed.

use std::collections::BTreeMap;
use std::time::Duration;

use hyperscale_core::consensus::Input;
use hyperscale_core::ids::DiskId;
use hyperscale_core::journal::Record;
use hyperscale_core::stat::Stat;

use super::cluster::{CALM, Cluster, MS, Weather};
use super::host::Clock;

/// A cluster under a random history.
struct Story {
    cluster: Cluster,
    next_disk: u64,
    /// How often a drawn fault comes true.
    harshness_ppm: u32,
    reached: BTreeMap<&'static str, u64>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let voters = [1, 2, 3, 3, 5][usize::try_from(seed % 5).unwrap()];
        let spare = seed / 5 % 3;
        let mut cluster = Cluster::new(seed, voters + spare, voters);
        cluster.config.retained_entries = if seed.is_multiple_of(2) { 8 } else { 4096 };
        cluster.config.chunk_bytes = if seed.is_multiple_of(3) { 16 } else { 256 };
        cluster.config.batch_bytes = if seed.is_multiple_of(7) { 16 } else { 1 << 20 };
        let (loss, twice) = (cluster.rng().at_most(80_000), cluster.rng().at_most(50_000));
        let slow = cluster.rng().at_most(60) * MS;
        cluster.weather = Weather {
            delay: (MS / 2, MS + slow),
            loss_ppm: u32::try_from(loss).unwrap(),
            twice_ppm: u32::try_from(twice).unwrap(),
            sync: (MS / 10, MS + slow),
        };
        if seed.is_multiple_of(4) {
            // As tight as may be configured, on a fast network.
            cluster.config.election_min = cluster.config.silence;
            cluster.config.election_max = cluster.config.silence + Duration::from_millis(50);
            cluster.weather.delay = (0, MS);
            cluster.weather.sync = (0, MS);
        }
        let bound = u64::from(cluster.config.drift_ppm);
        for node in 1..=voters + spare {
            let drawn = i64::try_from(cluster.rng().at_most(2 * bound)).unwrap();
            let bound = i64::try_from(bound).unwrap();
            let extreme = if node % 2 == 0 { bound } else { -bound };
            let ppm = if seed.is_multiple_of(3) { extreme } else { drawn - bound };
            let origin = cluster.rng().at_most(1 << 40);
            cluster.hosts.get_mut(&node).unwrap().clock = Clock { ppm, origin };
        }
        for node in 1..=voters {
            cluster.boot(node);
        }
        let harshness_ppm = [1_000_000, 300_000, 100_000][usize::try_from(seed / 4 % 3).unwrap()];
        Self { cluster, next_disk: 1000, harshness_ppm, reached: BTreeMap::new() }
    }

    fn pick(&mut self) -> u64 {
        let nodes: Vec<_> = self.cluster.hosts.keys().copied().collect();
        let count = u64::try_from(nodes.len()).unwrap();
        nodes[usize::try_from(self.cluster.rng().at_most(count - 1)).unwrap()]
    }

    /// One thing happens.
    fn act(&mut self) {
        let (node, other) = (self.pick(), self.pick());
        let drawn = self.cluster.rng().at_most(99);
        let is_spared = !self.cluster.rng().chance(self.harshness_ppm);
        match if is_spared { drawn % 70 } else { drawn } {
            0..35 => drop(self.cluster.submit(node)),
            35..50 => {
                let leader = self.cluster.leader().unwrap_or(node);
                if self.cluster.is_up(leader) {
                    self.cluster.propose(leader);
                }
            }
            50..70 => drop(self.cluster.read(node)),
            70..76 => {
                let kept = usize::try_from(self.cluster.rng().at_most(3)).unwrap();
                self.crash(node, kept);
            }
            76..80 => {
                self.crash(node, 0);
                let wait = self.cluster.rng().at_most(100) * MS;
                self.cluster.run(wait);
                self.boot(node);
            }
            80..86 => self.boot(node),
            86..89 => self.cut(node, other),
            89..92 => self.cluster.heal(),
            92..94 => {
                let wait = self.cluster.rng().at_most(1_500) * MS;
                self.cluster.paused.insert(node, self.cluster.now + wait);
            }
            94..96 => {
                let leader = self.cluster.leader().unwrap_or(node);
                self.cluster.input(leader, Input::Transfer);
            }
            96..98 => self.cluster.checkpoint(node),
            _ => self.wipe(node),
        }
    }

    fn crash(&mut self, node: u64, kept: usize) {
        self.count_reached(node);
        self.cluster.crash(node, kept);
    }

    /// Boots a node that is down; one without records wants to join.
    fn boot(&mut self, node: u64) {
        if self.cluster.is_up(node) {
            return;
        }
        let host = self.cluster.hosts.get_mut(&node).unwrap();
        if host.disk.records.is_empty() && host.disk.snapshot.is_none() {
            host.inscribe(Record::Joining { replaces: None });
        }
        self.cluster.boot(node);
    }

    fn cut(&mut self, node: u64, other: u64) {
        let mut nodes: Vec<_> = self.cluster.hosts.keys().copied().collect();
        let kind = self.cluster.rng().at_most(2);
        if kind == 0 {
            self.cluster.cut.insert((node, other));
        } else if kind == 1 {
            self.cluster.rng().shuffle(&mut nodes);
            let (one, rest) = nodes.split_at(nodes.len() / 2);
            self.cluster.part(one, rest);
        } else {
            let rest: Vec<_> = nodes.into_iter().filter(|one| *one != node).collect();
            self.cluster.part(&[node], &rest);
        }
    }

    /// A voter loses its disk and wants back in, if every voter has the disk it should have.
    fn wipe(&mut self, node: u64) {
        let Some(leader) = self.cluster.leader().filter(|leader| *leader != node) else { return };
        let group = self.cluster.group(leader);
        let members = group.membership();
        let is_settled = members.learners.is_empty()
            && members.voters.len() >= 3
            && group.committed() == group.last()
            && members.voters.iter().all(|voter| {
                self.cluster.hosts.get(&voter.node.get()).unwrap().disk_id == voter.disk
            });
        let disk = self.cluster.hosts[&node].disk_id;
        if !is_settled || !members.is_voter(disk) {
            return;
        }
        self.crash(node, 0);
        self.next_disk += 1;
        let replaces = Some(disk);
        self.cluster.replace_disk(node, self.next_disk, Record::Joining { replaces });
        self.cluster.boot(node);
    }

    fn count_reached(&mut self, node: u64) {
        const WATCHED: &[(Stat, &str)] = &[
            (Stat::VoteHanded, "handed"),
            (Stat::LogTruncated, "truncated"),
            (Stat::LogRejected, "rejected"),
            (Stat::QuorumLost, "quorum lost"),
            (Stat::Forwarded, "forwarded"),
            (Stat::ForwardRepeated, "repeated"),
            (Stat::SnapshotInstalled, "installed"),
            (Stat::MemberAdded, "added"),
            (Stat::MemberPromoted, "promoted"),
            (Stat::MemberRemoved, "removed"),
            (Stat::TransferFailed, "transfer failed"),
            (Stat::ReadServed, "read"),
            (Stat::OriginRepeated, "origin repeated"),
        ];
        for (stat, name) in WATCHED {
            *self.reached.entry(name).or_default() += self.cluster.stat(node, *stat);
        }
    }

    /// The faults stop; what lives agrees and everything it submitted is committed.
    fn settle(&mut self) {
        let cluster = &mut self.cluster;
        cluster.weather = CALM;
        cluster.heal();
        cluster.paused.clear();
        let nodes: Vec<_> = cluster.hosts.keys().copied().collect();
        for node in &nodes {
            self.boot(*node);
        }
        self.cluster.run(15_000 * MS);
        let cluster = &self.cluster;
        let leader = cluster.leader().expect("nobody leads after the faults stopped");
        let members = cluster.group(leader).membership().clone();
        for node in &nodes {
            let group = cluster.group(*node);
            assert_eq!(group.committed(), cluster.group(leader).committed(), "n{node} lags");
            assert_eq!(group.chain_last(), cluster.group(leader).chain_last(), "n{node} differs");
            let life = cluster.hosts[node].life.as_ref().unwrap();
            let first = cluster.hosts[&leader].life.as_ref().unwrap();
            assert_eq!(life.ledger, first.ledger, "n{node} holds another ledger");
            let disk = cluster.hosts[node].disk_id;
            assert!(members.is_voter(disk), "n{node} is no voter");
        }
        assert_eq!(members.voters.len(), nodes.len(), "{members:?}");
        self.everything_is_committed_in_order();
        for node in nodes {
            self.count_reached(node);
        }
    }

    fn everything_is_committed_in_order(&self) {
        let order = self.cluster.values();
        let place = |value: &u64| order.iter().position(|known| known == value);
        for ((disk, boot), list) in &self.cluster.judge.submitted {
            let lives = |(_, host): (&u64, &super::host::Host)| {
                (host.disk_id, host.boots) == (*disk, *boot)
            };
            let places: Vec<_> = list.iter().map(place).collect();
            if self.cluster.hosts.iter().any(lives) {
                assert!(places.iter().all(Option::is_some), "{disk:?} {list:?}: {places:?}");
            }
            let committed: Vec<_> = places.iter().flatten().collect();
            assert!(committed.is_sorted(), "{disk:?} {boot}: {places:?}");
            let prefix = places.iter().take_while(|place| place.is_some()).count();
            assert_eq!(prefix, committed.len(), "{disk:?} {boot}: a gap in {places:?}");
        }
    }
}

fn tell(seed: u64, actions: u64) -> (BTreeMap<&'static str, u64>, u64) {
    let mut story = Story::new(seed);
    for _ in 0..actions {
        let wait = story.cluster.rng().at_most(60) * MS;
        story.cluster.run(wait);
        story.act();
    }
    story.settle();
    (story.reached, story.cluster.judge.lease_held)
}

#[test]
fn whatever_happens_the_log_is_one() {
    let mut reached = BTreeMap::<_, u64>::new();
    let mut leased = 0;
    for seed in 0..240 {
        let told = std::panic::catch_unwind(|| tell(seed, 400));
        let (seen, held) = told.unwrap_or_else(|_| panic!("seed {seed}"));
        leased += held;
        for (name, times) in seen {
            *reached.entry(name).or_default() += times;
        }
    }
    let never: Vec<_> = reached.iter().filter(|(_, times)| **times == 0).collect();
    let expected: &[(&&str, &u64)] = &[(&"origin repeated", &0)];
    assert_eq!(never, expected, "{reached:?}");
    assert!(leased > 0);
}

#[test]
fn disks_are_told_apart() {
    let mut story = Story::new(2);
    story.cluster.elect();
    let node = story.cluster.leader().unwrap() % 3 + 1;
    story.wipe(node);
    assert_ne!(story.cluster.hosts[&node].disk_id, DiskId::new(node * 10));
    story.settle();
}
