//! Lives of processes: start from the disk, death, pauses.

use hyperscale_core::ids::{Boot, LogIndex};
use hyperscale_core::input::Input;
use hyperscale_core::invariant::{Inv, Violation};

use super::World;
use crate::disk::Fate;
use crate::faults::Class;
use crate::node::AnyNode;
use crate::oracles::Seen;
use crate::queue::Event;
use crate::streams::Stream;

impl World {
    /// A process starts, from durable bytes only.
    pub(super) fn on_restart(&mut self, host: u16) {
        let streams = self.streams;
        let place = &mut self.hosts[usize::from(host)];
        if place.node.is_some() || place.is_gone {
            return;
        }
        let boot = place.next_boot(streams);
        let life = place.life;
        let minor = self.minor_of_life(host, life);
        let place = &mut self.hosts[usize::from(host)];
        self.tally.minors += u64::from(life > 1 && minor != place.minor);
        place.minor = minor;
        let recovered = match place.disk.open() {
            Ok(recovered) => recovered,
            Err(error) => return self.fail(Violation::new(Inv::JournalTail, error), Some(host)),
        };
        let last = recovered.last;
        place.heard = last;
        match AnyNode::recover(&self.case, host, boot, recovered) {
            Ok(node) => self.hosts[usize::from(host)].node = Some(node),
            Err(error) => return self.fail(Violation::new(Inv::RecoverEqual, error), Some(host)),
        }
        self.trace(host, || format!("boots, journal up to {last:?}"));
        self.annals.on_booted(host, last);
        self.acted[usize::from(host)] = LogIndex::new(0);
        self.observe(Seen::Booted { host, last });
        self.step(host, Input::Wake, 1);
    }

    /// A process dies, with its engine; `down` is how long it stays dead.
    pub(super) fn crash(&mut self, host: u16, down: Option<u64>) {
        self.check_recovery(host);
        let now = self.local(host);
        self.with_engine(host, |engine, scene| engine.die(now, scene));
        let fate = self.fate(host);
        let place = &mut self.hosts[usize::from(host)];
        let was_dirty = place.disk.is_dirty();
        place.disk.crash(fate);
        place.die();
        place.is_gone = down.is_none();
        if was_dirty {
            match fate {
                Fate::Kept => {}
                Fate::Lost => self.tally.lost_writes += 1,
                Fate::Torn { .. } => self.tally.torn += 1,
            }
        }
        self.trace(host, || format!("dies, unsynced bytes {fate:?}"));
        self.calls.retain(|_, (gate, ..)| *gate != host);
        self.observe(Seen::Crashed { host });
        if let Some(down) = down {
            self.queue.push(self.now + down, Event::Restart { host });
        }
    }

    /// What a crash leaves of the bytes that were not synced.
    fn fate(&self, host: u16) -> Fate {
        let life = u64::from(self.hosts[usize::from(host)].life);
        let entity = 1 << 41 | u64::from(host);
        let draw = |n| self.streams.draw(Stream::Crash, entity, life * 4 + n);
        let torn = self.case.has(Class::Torn) && draw(0).chance(600_000);
        if torn {
            let damage = draw(2).chance(400_000).then(|| draw(3).bits());
            return Fate::Torn { keep: draw(1).bits(), damage };
        }
        if self.case.has(Class::LostWrites) && draw(1).chance(900_000) {
            return Fate::Lost;
        }
        Fate::Kept
    }

    /// A process stands still; its engine and its disk go on.
    pub(super) fn pause(&mut self, host: u16, span: u64) {
        let place = &mut self.hosts[usize::from(host)];
        if !place.is_awake() {
            return;
        }
        place.pauses += 1;
        place.pause = Some(place.pauses);
        let pause = place.pauses;
        self.tally.pauses += 1;
        self.tally.long_pauses += u64::from(u128::from(span) > self.case.lease.ttl.as_nanos());
        self.trace(host, || format!("stands still for {} ms", span / 1_000_000));
        self.queue.push(self.now + span, Event::Resume { host, pause });
    }

    /// A process goes on: everything that waited is taken at once, late timers last.
    pub(super) fn on_resume(&mut self, host: u16, pause: u32) {
        let place = &mut self.hosts[usize::from(host)];
        if place.pause != Some(pause) {
            return;
        }
        place.pause = None;
        self.trace(host, || "goes on".to_owned());
        let waiting = std::mem::take(&mut self.hosts[usize::from(host)].inbox);
        for (input, digest) in waiting {
            self.offer(host, input, digest);
        }
        self.hosts[usize::from(host)].wish = None;
        self.plan_wake(host);
    }

    /// recover-equal: folding the durable bytes gives the live durable state, when nothing is
    /// pending.
    pub(super) fn check_recovery(&mut self, host: u16) {
        let place = &self.hosts[usize::from(host)];
        let Some(node) = place.node.as_ref() else { return };
        if !place.has_journal() || place.disk.is_dirty() {
            return;
        }
        if place.heard != place.durable() || node.appended() != place.durable() {
            return;
        }
        let live = node.durable_digest();
        let boot = Boot { ..place.boot };
        let folded = place.disk.read().and_then(|disk| {
            AnyNode::recover(&self.case, host, boot, disk).map(|node| node.durable_digest())
        });
        self.tally.recovery_checks += 1;
        let result = match folded {
            Ok(folded) if folded == live => return,
            Ok(folded) => format!("live {live:016x}, folded {folded:016x}"),
            Err(error) => error,
        };
        self.fail(Violation::new(Inv::RecoverEqual, result), Some(host));
    }
}
