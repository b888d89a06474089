//! Faults begin and end.

use hyperscale_core::consensus::Member;
use hyperscale_core::digest;
use hyperscale_core::ids::DiskId;
use hyperscale_core::input::Input;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::wire::version::VERSION;

use super::World;
use crate::case::host_of;
use crate::faults::{Class, Fault};
use crate::layout::Group;
use crate::network::Weather;
use crate::oracles::Seen;
use crate::queue::Event;

impl World {
    /// A scheduled fault.
    pub(super) fn on_fault(&mut self, index: u32) {
        if self.is_calm {
            return;
        }
        let Some((_, fault)) = self.case.faults.get(index as usize).cloned() else { return };
        match fault {
            Fault::Crash { host, between, down, class } => {
                if self.hosts[usize::from(host)].node.is_none() {
                    return;
                }
                if down.is_none() && !self.can_lose(host) {
                    return;
                }
                if between {
                    self.hosts[usize::from(host)].armed = Some((down, class));
                } else {
                    self.tally.crashes.push(class);
                    self.crash(host, down);
                }
            }
            Fault::Pause { host, span } => self.pause(host, span),
            Fault::Behead { group, down, class } => {
                if let Some(host) = self.leader(group) {
                    self.tally.crashes.push(class);
                    self.crash(host, Some(down));
                }
            }
            Fault::Replace { host, down, class } => self.replace(host, down, class),
            Fault::Drain { host, patience, down } => self.drain(host, patience, down),
            Fault::Leave { host, life, down } => self.end_drain(host, life, down),
            Fault::Depose { group, span, patience, down } => {
                self.depose(group, span, (patience, down));
            }
            Fault::Forget { group, first, after, span, down } => {
                self.forget(group, first, (after, span), down);
            }
            Fault::Cut { links, span, class } => self.sever(links, span, class),
            Fault::Heal { links } => {
                self.trace(0, || format!("healed {links:?}"));
                for (from, to) in links {
                    self.network.heal(from, to);
                }
                self.reach.on_links(self.now, &self.network);
            }
            Fault::SlowSync { host, span } => {
                self.hosts[usize::from(host)].slow_sync = Some(span);
            }
            Fault::Slow { host, slowness } => self.on_slowness(host, slowness),
            Fault::Strain { host, sample } => {
                self.tally.strains += u64::from(self.hosts[usize::from(host)].is_awake());
                self.offer(host, Input::Sampled(sample), digest::of(&sample));
            }
            Fault::FailSync { host, down } => {
                self.hosts[usize::from(host)].fail_sync = Some(down);
            }
        }
    }

    /// These links are cut for a while.
    pub(super) fn sever(&mut self, links: Vec<(u16, u16)>, span: u64, class: Class) {
        self.tally.cuts.push(class);
        self.trace(0, || format!("cut {links:?} for {} ms", span / 1_000_000));
        for (from, to) in &links {
            self.network.cut(*from, *to);
        }
        self.reach.on_links(self.now, &self.network);
        self.later(span, Fault::Heal { links });
    }

    /// A fault that follows from another, after so long.
    pub(super) fn later(&mut self, span: u64, fault: Fault) {
        let index = self.case.faults.len() as u32;
        self.case.faults.push((self.now + span, fault));
        self.queue.push(self.now + span, Event::Fault { index });
    }

    /// Whoever leads a group; of two that both think so the one of the newer term.
    pub(super) fn leader(&self, group: Group) -> Option<u16> {
        let leads = |host: &u16| {
            let view = self.hosts[usize::from(*host)].node.as_ref()?.group()?;
            view.leads.then_some((view.term, *host))
        };
        let members = self.case.layout.members(group);
        members.filter_map(|host| leads(&host)).max().map(|(_, host)| host)
    }

    /// Whether the group of a member can bear the loss of its disk: of the voters chosen last, a
    /// majority keeps its disk.
    fn can_lose(&self, host: u16) -> bool {
        let Some(group) = self.case.layout.group_of(host) else { return true };
        let voters = self.annals.members(group).voters;
        let is_lost = |voter: &&Member| {
            let place = &self.hosts[usize::from(host_of(voter.node))];
            place.place == host || place.is_gone || place.disk.identity.disk != voter.disk.get()
        };
        let lost = voters.iter().filter(is_lost).count();
        // An operator replaces what is in the group, not what is on its way in.
        let own = self.hosts[usize::from(host)].disk.identity.disk;
        let is_in = voters.iter().any(|voter| voter.disk.get() == own);
        let is_whole = voters.len() == self.case.layout.members(group).len();
        is_in && is_whole && lost <= (voters.len() - 1) / 2
    }

    fn replace(&mut self, host: u16, down: u64, class: Class) {
        let place = &self.hosts[usize::from(host)];
        let is_whole = place.node.is_some() && !place.is_gone;
        if !is_whole || !self.can_lose(host) {
            return;
        }
        self.crash(host, Some(down));
        self.tally.replaced.push(class);
        let disk = &self.hosts[usize::from(host)].disk;
        let (id, durable) = (DiskId::new(disk.identity.disk), disk.durable());
        self.annals.on_wiped(host, id, durable);
        if let Err(error) = self.hosts[usize::from(host)].replace_disk() {
            return self.fail(Violation::new(Inv::JournalTail, error), Some(host));
        }
        self.trace(host, || "loses its disk".to_owned());
        self.observe(Seen::Wiped { host });
    }

    pub(super) fn drain(&mut self, host: u16, patience: u64, down: u64) {
        let place = &mut self.hosts[usize::from(host)];
        if !place.is_awake() {
            return;
        }
        place.is_leaving = true;
        let life = place.life;
        self.tally.drains.0 += 1;
        self.trace(host, || "is asked to leave".to_owned());
        self.later(patience, Fault::Leave { host, life, down });
        self.offer(host, Input::Drain, 2);
    }

    fn end_drain(&mut self, host: u16, life: u32, down: u64) {
        let place = &self.hosts[usize::from(host)];
        let Some(node) = place.node.as_ref().filter(|_| place.life == life) else { return };
        self.tally.drains.1 += u64::from(node.is_drained());
        self.crash(host, Some(down));
    }

    /// The liveness phase begins: nothing fails any more, what was down comes back, what stood
    /// still goes on.
    pub(super) fn calm_down(&mut self) {
        self.is_calm = true;
        self.network.heal_all();
        self.reach.on_links(self.now, &self.network);
        let Weather { delay_min, delay_max, wire_ppm, .. } = self.network.weather;
        self.network.weather = Weather { delay_min, delay_max, wire_ppm, ..Weather::default() };
        let upgrades = self.upgrades();
        for host in 0..self.case.hosts() {
            let place = &mut self.hosts[usize::from(host)];
            (place.armed, place.slow_sync, place.fail_sync) = (None, None, None);
            let is_other = place.node.is_some() && place.minor != VERSION.minor;
            if place.is_leaving || is_other && upgrades {
                self.crash(host, Some(0));
                continue;
            }
            if let Some(pause) = place.pause {
                self.queue.push(self.now, Event::Resume { host, pause });
            }
            if place.node.is_none() && !place.is_gone {
                self.queue.push(self.now, Event::Restart { host });
            }
        }
    }
}
