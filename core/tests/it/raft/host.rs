//! One member with its disk, its clock and what its role holds.

use std::collections::VecDeque;

use hyperscale_core::consensus::{ConsensusConfig, Event, Group, Input, Message as GroupMessage};
use hyperscale_core::effect::{Effect, Effects};
use hyperscale_core::ids::{
    Boot, BootId, DiskId, JobId, LogIndex, Lsn, NodeId, PartId, PartIx, Term,
};
use hyperscale_core::journal::{LedgerSnapshot, Record, Snapshot};
use hyperscale_core::machine::{Cx, Machine as _};
use hyperscale_core::manager::{ManagerCommand, ManagerLedger};
use hyperscale_core::rng::Streams;
use hyperscale_core::stat::Counters;
use hyperscale_core::time::Instant;
use hyperscale_core::wire::Message;

pub(super) type Command = ManagerCommand;
pub(super) type Envelope = GroupMessage<Command>;

/// The command with this number.
pub(super) fn command(number: u64) -> Command {
    let part = PartId { job: JobId::new(number), part: PartIx::new(0) };
    ManagerCommand::Close { part }
}

/// The number of a command.
pub(super) fn number(command: &Command) -> u64 {
    match command {
        ManagerCommand::Close { part } => part.job.get(),
        _ => 0,
    }
}

/// What was appended; the first `durable` records survive every crash.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) snapshot: Option<(Lsn, Snapshot)>,
    pub(super) records: Vec<(Lsn, Record)>,
    pub(super) durable: Lsn,
    pub(super) last: Lsn,
    checkpoint: Option<(Lsn, Snapshot)>,
}

impl Disk {
    /// Everything up to `lsn` is durable, and a snapshot that it covers.
    fn on_synced(&mut self, lsn: Lsn) {
        self.durable = self.durable.max(lsn);
        if let Some((upto, snapshot)) = self.checkpoint.take_if(|(upto, _)| *upto <= lsn) {
            self.records.retain(|(lsn, _)| *lsn > upto);
            self.snapshot = Some((upto, snapshot));
        }
    }

    /// A crash keeps `kept` of the records that were not durable.
    pub(super) fn crash(&mut self, kept: usize) {
        let durable = self.durable;
        let synced = self.records.iter().filter(|(lsn, _)| *lsn <= durable).count();
        self.records.truncate(synced + kept);
        let upto = self.snapshot.as_ref().map_or(Lsn::new(0), |(upto, _)| *upto);
        self.last = self.records.last().map_or(upto.max(durable), |(lsn, _)| *lsn);
        self.durable = self.last;
        self.checkpoint = None;
    }
}

/// The rate of a clock against true time, parts per million, and its origin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    pub(super) ppm: i64,
    pub(super) origin: u64,
}

impl Clock {
    pub(super) fn local(self, now: u64) -> Instant {
        let rate = u128::try_from(1_000_000 + self.ppm).unwrap();
        let passed = u128::from(now) * rate / 1_000_000;
        Instant::from_nanos(self.origin + u64::try_from(passed).unwrap())
    }

    /// The first true instant at which the clock shows `local` or later.
    pub(super) fn when(self, local: Instant) -> u64 {
        let rate = u128::try_from(1_000_000 + self.ppm).unwrap();
        let passed = u128::from(local.as_nanos().saturating_sub(self.origin));
        u64::try_from((passed * 1_000_000).div_ceil(rate)).unwrap()
    }
}

/// A running member.
pub(super) struct Life {
    pub(super) group: Group<Command>,
    pub(super) out: Effects,
    streams: Streams,
    pub(super) stats: Counters,
    /// What waits for the disk.
    pub(super) held: VecDeque<(Lsn, NodeId, Envelope)>,
    pub(super) ledger: ManagerLedger,
    pub(super) applied: LogIndex,
    pub(super) leads: Option<Term>,
    last: Instant,
}

/// A member, running or not.
pub(super) struct Host {
    pub(super) node: NodeId,
    pub(super) disk_id: DiskId,
    pub(super) boots: u64,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    pub(super) life: Option<Life>,
    pub(super) syncing: bool,
}

/// What one step did to the world.
pub(super) struct Stepped {
    pub(super) effects: Vec<Effect>,
    pub(super) events: Vec<Event<Command>>,
}

impl Host {
    pub(super) fn new(node: u64, disk: u64) -> Self {
        Self {
            node: NodeId::new(node),
            disk_id: DiskId::new(disk),
            boots: 0,
            clock: Clock::default(),
            disk: Disk::default(),
            life: None,
            syncing: false,
        }
    }

    /// Writes a record as a command-line tool would, before the first boot.
    pub(super) fn inscribe(&mut self, record: Record) {
        self.disk.last = self.disk.last.next();
        self.disk.records.push((self.disk.last, record));
        self.disk.durable = self.disk.last;
    }

    /// A group folded from what is on disk, and its ledger.
    pub(super) fn fold(&self, config: &ConsensusConfig) -> (Group<Command>, ManagerLedger) {
        let boot = Boot { id: BootId::new(self.boots), entropy: 7, disk: self.disk_id };
        let mut group = Group::new(self.node, config.clone(), boot);
        let mut ledger = ManagerLedger::default();
        let of = |held| match held {
            LedgerSnapshot::Manager(held) => *held,
            LedgerSnapshot::Gate(_) => panic!("a gate's ledger"),
        };
        if let Some((_, snapshot)) = &self.disk.snapshot {
            group.replay_snapshot(snapshot.head.clone());
            ledger = of(snapshot.ledger.clone());
        }
        for (lsn, record) in &self.disk.records {
            let record = record.of_managers().unwrap();
            if let Some(installed) = group.replay(*lsn, record).unwrap() {
                ledger = of(*installed);
            }
        }
        (group, ledger)
    }

    pub(super) fn boot(&mut self, now: u64, config: &ConsensusConfig, entropy: u64) {
        self.boots += 1;
        let (group, ledger) = self.fold(config);
        let applied = group.committed();
        let last = self.clock.local(now);
        self.life = Some(Life {
            group,
            out: Effects::new(self.disk.last),
            streams: Streams::new(entropy, self.node.get(), self.boots),
            stats: Counters::default(),
            held: VecDeque::new(),
            ledger,
            applied,
            leads: None,
            last,
        });
    }

    /// One input, and what the role does with the events.
    pub(super) fn step(&mut self, now: u64, input: Input<Command>) -> Stepped {
        let local = self.clock.local(now);
        let mut events = Vec::new();
        let mut effects = Vec::new();
        let Some(life) = &mut self.life else { return Stepped { effects, events } };
        life.last = Instant::from_nanos(life.last.as_nanos() + 1).max(local);
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Life { group, out, streams, stats, last, .. } = life;
            let news = group.handle(&mut Cx::new(*last, streams, out, stats), input);
            let mut is_wanted = false;
            for event in news {
                life.on_event(&event);
                is_wanted |= event == Event::LedgerWanted;
                events.push(event);
            }
            life.group.check().unwrap();
            effects.extend(life.out.drain());
            if is_wanted {
                let ledger = LedgerSnapshot::Manager(Box::new(life.ledger.clone()));
                inputs.push_back(Input::Ledger(Box::new(ledger)));
            }
        }
        for effect in &effects {
            match effect {
                Effect::Append { lsn, record } => {
                    assert_eq!(*lsn, self.disk.last.next());
                    self.disk.last = *lsn;
                    self.disk.records.push((*lsn, (**record).clone()));
                }
                Effect::Send { to, msg, after } => {
                    let Message::Managers(msg) = &**msg else { panic!("{msg:?}") };
                    life.held.push_back((*after, *to, msg.clone()));
                }
                _ => panic!("{effect:?}"),
            }
        }
        Stepped { effects, events }
    }

    /// What may leave.
    pub(super) fn released(&mut self) -> Vec<(NodeId, Envelope)> {
        let durable = self.disk.durable;
        let Some(life) = &mut self.life else { return Vec::new() };
        let (free, held) = life.held.drain(..).partition(|(after, ..)| *after <= durable);
        life.held = held;
        let free: VecDeque<_> = free;
        free.into_iter().map(|(_, to, msg)| (to, msg)).collect()
    }

    pub(super) fn on_synced(&mut self, lsn: Lsn) {
        self.disk.on_synced(lsn);
    }

    /// The role takes a snapshot.
    pub(super) fn checkpoint(&mut self) {
        let Some(life) = &mut self.life else { return };
        let (upto, head) = life.group.snapshot();
        let ledger = LedgerSnapshot::Manager(Box::new(life.ledger.clone()));
        let newer = self.disk.snapshot.as_ref().is_none_or(|(held, _)| *held < upto);
        if newer && upto > Lsn::new(0) {
            self.disk.checkpoint = Some((upto, Snapshot { head, ledger }));
            self.disk.on_synced(self.disk.durable);
        }
    }

    pub(super) fn local(&self, now: u64) -> Instant {
        let local = self.clock.local(now);
        self.life.as_ref().map_or(local, |life| life.last.max(local))
    }
}

impl Life {
    fn on_event(&mut self, event: &Event<Command>) {
        match event {
            Event::Committed { index, command, .. } => {
                assert!(*index > self.applied, "{index:?} after {:?}", self.applied);
                let _ = self.ledger.apply(*index, command);
                self.applied = *index;
            }
            Event::Installed { index, ledger } => {
                assert!(*index > self.applied, "{index:?} installed over {:?}", self.applied);
                let LedgerSnapshot::Manager(ledger) = &**ledger else { panic!("foreign") };
                self.ledger = (**ledger).clone();
                self.applied = *index;
            }
            Event::Led { term } => {
                assert_eq!(self.leads.replace(*term), None, "led twice without standing down");
            }
            Event::StoodDown => {
                assert!(self.leads.take().is_some(), "stood down without having led");
            }
            Event::Followed { .. } | Event::Readable { .. } | Event::LedgerWanted => {}
        }
    }
}
