//! Fault classes, each on or off per seed, and the schedule of faults that a seed draws.
//!
//! Every class draws from its own streams, keyed by node, so that switching one off moves no fault
//! of another.

use std::ops::Range;

use crate::layout::Layout;
use crate::streams::{Stream, Streams};

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $ppm:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Class { $($(#[$doc])* $name,)* }

        impl Class {
            /// All of them.
            pub const ALL: &[Class] = &[$(Class::$name,)*];

            /// What the command line calls it.
            pub const fn id(self) -> &'static str {
                match self { $(Class::$name => $id,)* }
            }

            /// How many seeds in a million have it.
            const fn ppm(self) -> u32 {
                match self { $(Class::$name => $ppm,)* }
            }
        }
    };
}

classes! {
    /// Messages are lost.
    Loss = "loss", 500_000;
    /// Messages arrive twice.
    Dup = "dup", 450_000;
    /// Messages overtake each other.
    Reorder = "reorder", 450_000;
    /// Some messages are very slow.
    Spike = "spike", 450_000;
    /// Bits flip on the wire.
    Damage = "damage", 450_000;
    /// Links are cut: both ways, one way, flapping, between sets of nodes.
    Partition = "partition", 450_000;
    /// Gates die and start again.
    CrashGate = "crash-gate", 480_000;
    /// Managers die and start again.
    CrashManager = "crash-manager", 480_000;
    /// Workers die and start again.
    CrashWorker = "crash-worker", 450_000;
    /// A worker dies for good.
    Gone = "gone", 420_000;
    /// Processes stand still, some for longer than a confirmation lasts; engines go on.
    Pause = "pause", 450_000;
    /// Clocks start anywhere.
    Offset = "offset", 800_000;
    /// Clocks run at other rates, within the bound.
    Drift = "drift", 700_000;
    /// A clock runs beyond the bound: promises that rest on clocks are waived.
    DriftBeyond = "drift-beyond", 340_000;
    /// A crash tears what was not synced.
    Torn = "torn", 850_000;
    /// A crash loses what was not synced.
    LostWrites = "lost-writes", 850_000;
    /// Some syncs take very long.
    SlowSync = "slow-sync", 400_000;
    /// A sync fails, which ends the process.
    FailSync = "fail-sync", 420_000;
}

impl Class {
    /// The class that the command line calls so.
    pub fn named(id: &str) -> Option<Class> {
        Class::ALL.iter().copied().find(|class| class.id() == id)
    }

    /// Whether the seed is one of those with few faults.
    pub fn is_sparse(streams: Streams) -> bool {
        streams.draw(Stream::Swarm, 1 << 40, 0).chance(100_000)
    }

    /// The classes of a seed. One seed in ten has nothing but dying workers and clocks, so that
    /// bounds which hold only when nothing else is in the way are judged, too.
    pub fn of_seed(streams: Streams, without: &[Class]) -> Vec<Class> {
        let sparse = Self::is_sparse(streams);
        let is_on = |class: &&Class| {
            let drawn = streams.draw(Stream::Swarm, **class as u64, 0).chance(class.ppm());
            let on = match class {
                Class::CrashWorker => drawn || sparse,
                Class::Gone | Class::Offset | Class::Drift => drawn,
                _ => drawn && !sparse,
            };
            on && !without.contains(class)
        };
        Class::ALL.iter().filter(is_on).copied().collect()
    }
}

/// One fault, at a true time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A process dies.
    Crash {
        /// Which node.
        host: u16,
        /// Between two effects of its next step that has some, rather than between steps.
        between: bool,
        /// How long it stays dead; `None`: for good.
        down: Option<u64>,
        /// The class it belongs to.
        class: Class,
    },
    /// A process stands still, its engine does not.
    Pause {
        /// Which node.
        host: u16,
        /// For how long.
        span: u64,
    },
    /// Links are cut for a while.
    Cut {
        /// Directed.
        links: Vec<(u16, u16)>,
        /// For how long.
        span: u64,
    },
    /// The links of an earlier cut are healed.
    Heal {
        /// Directed.
        links: Vec<(u16, u16)>,
    },
    /// The next sync of a disk that begins takes so long.
    SlowSync {
        /// Which node.
        host: u16,
        /// How long.
        span: u64,
    },
    /// The next sync of a disk fails.
    FailSync {
        /// Which node.
        host: u16,
        /// How long the process stays dead then.
        down: u64,
    },
}

/// Who is there and how long faults go on.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// Who stands where.
    pub layout: Layout,
    /// Nodes and clients.
    pub places: u16,
    /// No fault begins after this true time.
    pub until: u64,
    /// How long a confirmation lasts.
    pub ttl: u64,
}

const MS: u64 = 1_000_000;

/// Every fault of a seed, ordered by time.
pub fn schedule(streams: Streams, classes: &[Class], ground: Ground) -> Vec<(u64, Fault)> {
    let mut list = Vec::new();
    for class in classes {
        match class {
            Class::CrashGate => {
                deaths(streams, *class, ground.layout.gates(), ground, &mut list);
            }
            Class::CrashManager => {
                for datacenter in ground.layout.datacenters() {
                    let managers = ground.layout.managers(datacenter);
                    deaths(streams, *class, managers, ground, &mut list);
                }
            }
            Class::CrashWorker => {
                deaths(streams, *class, ground.layout.all_workers(), ground, &mut list);
            }
            Class::Gone => gone(streams, ground, &mut list),
            Class::Pause => pauses(streams, ground, &mut list),
            Class::Partition => partitions(streams, ground, &mut list),
            Class::SlowSync | Class::FailSync => syncs(streams, *class, ground, &mut list),
            Class::Loss
            | Class::Dup
            | Class::Reorder
            | Class::Spike
            | Class::Damage
            | Class::Offset
            | Class::Drift
            | Class::DriftBeyond
            | Class::Torn
            | Class::LostWrites => {}
        }
    }
    list.sort_by_key(|(at, _)| *at);
    list
}

/// The first of these dies, of the others some.
fn deaths(
    streams: Streams,
    class: Class,
    hosts: Range<u16>,
    ground: Ground,
    list: &mut Vec<(u64, Fault)>,
) {
    let first = hosts.start;
    for host in hosts {
        if host == first || streams.draw(Stream::Crash, u64::from(host), 99).chance(400_000) {
            crashes(streams, class, host, ground, list);
        }
    }
}

fn crashes(
    streams: Streams,
    class: Class,
    host: u16,
    ground: Ground,
    list: &mut Vec<(u64, Fault)>,
) {
    let mut cursor = streams.cursor(Stream::Crash, u64::from(host));
    for _ in 0..cursor.within(1, 3) {
        let at = cursor.within(500 * MS, ground.until);
        let long = cursor.chance(300_000);
        let down = cursor.within(20 * MS, if long { 3 * ground.ttl } else { ground.ttl / 2 });
        let between = cursor.chance(750_000);
        list.push((at, Fault::Crash { host, between, down: Some(down), class }));
    }
}

fn gone(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let all = ground.layout.all_workers();
    let workers = all.len() as u64;
    if workers < 2 {
        return;
    }
    let mut cursor = streams.cursor(Stream::Crash, 1 << 32);
    let host = all.start + cursor.draw().below(workers) as u16;
    let at = cursor.within(1_000 * MS, ground.until);
    list.push((at, Fault::Crash { host, between: false, down: None, class: Class::Gone }));
}

fn pauses(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for host in 0..ground.layout.hosts() {
        let mut cursor = streams.cursor(Stream::Pause, u64::from(host));
        if !cursor.chance(450_000) {
            continue;
        }
        for _ in 0..cursor.within(1, 3) {
            let at = cursor.within(500 * MS, ground.until);
            let long = cursor.chance(400_000);
            let span = cursor.within(5 * MS, if long { 3 * ground.ttl } else { 300 * MS });
            list.push((at, Fault::Pause { host, span }));
        }
    }
}

fn partitions(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    let count = streams.draw(Stream::NetPartition, 0, 0).within(1, 4);
    for n in 1..=count {
        let mut cursor = streams.cursor(Stream::NetPartition, n);
        let at = cursor.within(300 * MS, ground.until);
        let side = cursor.draw().bits() & ((1 << ground.layout.hosts()) - 1);
        let alone = cursor.draw().below(u64::from(ground.layout.hosts()));
        let side = if cursor.chance(600_000) { 1 << alone } else { side };
        let ways = cursor.draw().below(3);
        let span = cursor.within(50 * MS, 3 * ground.ttl);
        let mut links = Vec::new();
        for from in 0..ground.places {
            for to in 0..ground.places {
                let out = side >> from & 1 == 1 && side >> to & 1 == 0;
                let back = side >> from & 1 == 0 && side >> to & 1 == 1;
                if (out && ways != 1) || (back && ways != 2) {
                    links.push((from, to));
                }
            }
        }
        let flaps = if cursor.chance(300_000) { cursor.within(2, 6) } else { 1 };
        for flap in 0..flaps {
            let at = at + flap * 2 * span / flaps;
            list.push((at, Fault::Cut { links: links.clone(), span: span / flaps }));
        }
    }
}

fn syncs(streams: Streams, class: Class, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for host in 0..ground.layout.all_managers().end {
        let entity = u64::from(host) << 8 | class as u64;
        let mut cursor = streams.cursor(Stream::Disk, 1 << 32 | entity);
        for _ in 0..cursor.within(1, 2 + 4 * u64::from(class == Class::SlowSync)) {
            let at = cursor.within(200 * MS, ground.until);
            let span = cursor.within(20 * MS, 2_000 * MS);
            list.push(match class {
                Class::SlowSync => (at, Fault::SlowSync { host, span }),
                _ => (at, Fault::FailSync { host, down: span }),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        Ground {
            layout: Layout::new(3, &[(3, 2), (1, 2)]),
            places: 13,
            until: 20_000 * MS,
            ttl: 3_000 * MS,
        }
    }

    #[test]
    fn switching_a_class_off_moves_no_fault_of_another() {
        for seed in 0..1_000 {
            let streams = Streams::new(seed);
            let all = Class::of_seed(streams, &[]);
            for off in &all {
                let rest = Class::of_seed(streams, &[*off]);
                assert!(all.iter().filter(|class| *class != off).eq(rest.iter()));
                let whole = schedule(streams, &all, ground());
                let part = schedule(streams, &rest, ground());
                let own = schedule(streams, &[*off], ground());
                assert_eq!(whole.len(), part.len() + own.len());
                assert!(part.iter().all(|fault| whole.contains(fault)), "seed {seed}");
            }
        }
    }

    #[test]
    fn names_lead_back() {
        for class in Class::ALL {
            assert_eq!(Class::named(class.id()), Some(*class));
        }
    }
}
