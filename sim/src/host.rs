//! A machine with its clock, its disk, the process that runs on it and, on a worker, the engine
//! beside the process.

use std::collections::VecDeque;

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{Boot, BootId, DiskId, Lsn};
use hyperscale_core::input::Input;
use hyperscale_core::journal::Record;
use hyperscale_core::journal::segment::Identity;
use hyperscale_core::stat::{Counters, Stat};
use hyperscale_core::time::Instant;
use hyperscale_core::wire::version::VERSION;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::faults::Class;
use crate::layout::Role;
use crate::node::AnyNode;
use crate::streams::{Stream, Streams};

/// One machine.
#[derive(Debug)]
pub struct Host {
    /// Its place.
    pub place: u16,
    /// What it is.
    pub role: Role,
    /// Its clock.
    pub clock: Clock,
    /// Its disk; workers write nothing to it.
    pub disk: Disk,
    /// The process, while it lives.
    pub node: Option<AnyNode>,
    /// Counts the lives of the process.
    pub life: u32,
    /// The life's identity.
    pub boot: Boot,
    /// The minor that the life runs as.
    pub minor: u16,
    /// The engine, on a worker.
    pub engine: Engine,
    /// Effects that wait for a record, in the order of the code.
    pub held: VecDeque<Effect>,
    /// Inputs that came while the process stood still.
    pub inbox: VecDeque<(Input, u64)>,
    /// The pause under way.
    pub pause: Option<u32>,
    /// Counts pauses.
    pub pauses: u32,
    /// The process dies for good with this.
    pub is_gone: bool,
    /// Counts the disks it has had.
    pub disks: u64,
    /// It was asked to leave.
    pub is_leaving: bool,
    /// Die between two effects of the next step that has some, and stay dead so long.
    pub armed: Option<(Option<u64>, Class)>,
    /// The next sync that begins takes so long.
    pub slow_sync: Option<u64>,
    /// The next sync fails, and the process stays dead so long.
    pub fail_sync: Option<u64>,
    /// The newest durable record that the process has heard of.
    pub heard: Lsn,
    /// Syncs begun.
    pub syncs: u64,
    /// Steps taken, over all lives.
    pub steps: u64,
    /// The wake that is scheduled: true time and number.
    pub wish: Option<(u64, u32)>,
    /// Wakes taken at the newest instant that had one: the instant and how many.
    pub woken: (u64, u32),
    /// The engine event that is scheduled: true time and number.
    pub engine_wish: Option<(u64, u32)>,
    /// Numbers wishes.
    pub wishes: u32,
    /// Counters of earlier lives.
    pub past: Counters,
}

impl Host {
    /// A machine whose process has not started.
    pub fn new(place: u16, role: Role, clock: Clock) -> Self {
        Self {
            place,
            role,
            clock,
            disk: Disk::new(identity(place, 1)),
            node: None,
            life: 0,
            boot: Boot { id: BootId::new(0), entropy: 0, disk: DiskId::new(0) },
            minor: VERSION.minor,
            engine: Engine::default(),
            held: VecDeque::new(),
            inbox: VecDeque::new(),
            pause: None,
            pauses: 0,
            is_gone: false,
            disks: 1,
            is_leaving: false,
            armed: None,
            slow_sync: None,
            fail_sync: None,
            heard: Lsn::new(0),
            syncs: 0,
            steps: 0,
            wish: None,
            woken: (0, 0),
            engine_wish: None,
            wishes: 0,
            past: Counters::default(),
        }
    }

    /// Another disk is put in, which wants the place of the old one.
    pub fn replace_disk(&mut self) -> Result<(), String> {
        let replaces = Some(DiskId::new(self.disk.identity.disk));
        self.disks += 1;
        self.disk = Disk::new(identity(self.place, self.disks));
        self.disk.format(&Record::Joining { replaces })
    }

    /// A new life begins: its identity.
    pub fn next_boot(&mut self, streams: Streams) -> Boot {
        self.life += 1;
        let (place, life) = (u64::from(self.place), u64::from(self.life));
        let draw = |n| streams.bits(Stream::Boot, place, life * 2 + n);
        self.boot = Boot {
            id: BootId::new(draw(0)),
            entropy: draw(1),
            disk: DiskId::new(self.disk.identity.disk),
        };
        let datacenter = match self.role {
            Role::Gate => 0,
            Role::Manager(datacenter) | Role::Worker(datacenter) => datacenter,
        };
        self.engine = Engine::new(self.place, datacenter, self.life);
        self.boot
    }

    /// What its clock shows.
    pub fn local(&self, now: u64) -> Instant {
        self.clock.local(now)
    }

    /// Whether the process lives and takes inputs.
    pub fn is_awake(&self) -> bool {
        self.node.is_some() && self.pause.is_none()
    }

    /// Whether it writes a journal.
    pub fn has_journal(&self) -> bool {
        !matches!(self.role, Role::Worker(_))
    }

    /// The newest durable record; workers promise nothing durable.
    pub fn durable(&self) -> Lsn {
        self.disk.durable()
    }

    /// A counter over all lives.
    pub fn count(&self, stat: Stat) -> u64 {
        self.past.count(stat) + self.node.as_ref().map_or(0, |node| node.stats().count(stat))
    }

    /// The process dies: everything volatile goes.
    pub fn die(&mut self) {
        if let Some(node) = self.node.take() {
            for stat in Stat::ALL {
                self.past.add(*stat, node.stats().count(*stat));
            }
        }
        self.held.clear();
        self.inbox.clear();
        (self.pause, self.armed, self.wish, self.engine_wish) = (None, None, None, None);
        (self.slow_sync, self.fail_sync, self.is_leaving) = (None, None, false);
    }
}

/// Whose disk it is: the `n`-th of a node.
fn identity(place: u16, n: u64) -> Identity {
    let node = u64::from(place) + 1;
    Identity { cluster: 1, node, disk: n * 1_000 + node }
}
