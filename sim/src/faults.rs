//! Fault classes, each on or off per seed, and the schedule of faults that a seed draws.
//!
//! Every class draws from its own streams, keyed by node, so that switching one off moves no fault
//! of another.

mod overload;
mod schedule;
mod shapes;

pub use overload::Slowness;
pub use schedule::schedule;

use hyperscale_core::input::Sample;

use crate::layout::{self, Group, Layout};
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
    /// A worker dies for good, and of every group at most a minority.
    Gone = "gone", 420_000;
    /// Everything dies at once and starts again.
    Blackout = "blackout", 270_000;
    /// Two sides that see each other only by way of one node.
    Bridge = "bridge", 270_000;
    /// Every node sees only its neighbours.
    Ring = "ring", 270_000;
    /// Links come and go.
    Flap = "flap", 290_000;
    /// A datacenter is cut off from the gates.
    Apart = "apart", 290_000;
    /// A member's disk is lost; it comes back with another.
    Wipe = "wipe", 500_000;
    /// An operator puts a new member in the place of another.
    Change = "change", 450_000;
    /// A node is asked to leave, and started again.
    Drain = "drain", 330_000;
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
    /// A leader is asked to leave and hears nothing any more of its group.
    Depose = "depose", 400_000;
    /// A leader is cut off from one member, and then from the others while they start again.
    Amnesia = "amnesia", 400_000;
    /// Gates do not cope, and are asked far more than they take.
    Overload = "overload", 420_000;
    /// Processes run as an older or a newer minor, and come back as another.
    Skew = "skew", 300_000;
    /// The machines of workers run out of processor or memory.
    Strain = "strain", 300_000;
}

impl Class {
    /// The class that the command line calls so.
    pub fn named(id: &str) -> Option<Class> {
        Class::ALL.iter().copied().find(|class| class.id() == id)
    }

    /// Whether it needs roles that replicate.
    pub const fn needs_groups(self) -> bool {
        matches!(self, Class::Wipe | Class::Change | Class::Drain | Class::Depose | Class::Amnesia)
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
            let able = layout::REPLICATED || !class.needs_groups();
            on && able && !without.contains(class)
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
    /// The leader of a group dies.
    Behead {
        /// Which group.
        group: Group,
        /// How long it stays dead.
        down: u64,
        /// The class it belongs to.
        class: Class,
    },
    /// A member dies and comes back with an empty disk that wants the place of the old one, if its
    /// group can bear that.
    Replace {
        /// Which node.
        host: u16,
        /// How long it stays dead.
        down: u64,
        /// The class it belongs to.
        class: Class,
    },
    /// The leader of a group is asked to leave, and from then on hears nothing of the others.
    Depose {
        /// Which group.
        group: Group,
        /// How long it hears nothing.
        span: u64,
        /// How long it has to leave.
        patience: u64,
        /// How long it stays dead then.
        down: u64,
    },
    /// The leader of a group is cut off from one member; later the others die and start again, cut
    /// off from the leader as well.
    Forget {
        /// Which group.
        group: Group,
        /// Which of the members that are led is cut off first.
        first: u16,
        /// How long until the others are.
        after: u64,
        /// How long all are.
        span: u64,
        /// How long the others stay dead.
        down: u64,
    },
    /// A node is asked to leave.
    Drain {
        /// Which node.
        host: u16,
        /// How long it has to do so.
        patience: u64,
        /// How long it stays dead then.
        down: u64,
    },
    /// A drained node, or one that ran out of time, ends.
    Leave {
        /// Which node.
        host: u16,
        /// Of which life.
        life: u32,
        /// How long it stays dead.
        down: u64,
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
        /// The class it belongs to.
        class: Class,
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
    /// A worker's process learns how busy its machine is.
    Strain {
        /// Which node.
        host: u16,
        /// How busy.
        sample: Sample,
    },
    /// The next sync of a disk fails.
    FailSync {
        /// Which node.
        host: u16,
        /// How long the process stays dead then.
        down: u64,
    },
    /// A gate does not cope at this moment.
    Slow {
        /// Which gate.
        host: u16,
        /// How badly.
        slowness: Slowness,
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
