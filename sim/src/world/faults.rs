//! Faults begin and end.

use super::World;
use crate::faults::Fault;
use crate::network::Weather;
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
                if between {
                    self.hosts[usize::from(host)].armed = Some((down, class));
                } else {
                    self.tally.crashes.push(class);
                    self.crash(host, down);
                }
            }
            Fault::Pause { host, span } => self.pause(host, span),
            Fault::Cut { links, span } => {
                self.trace(0, || format!("cut {links:?} for {} ms", span / 1_000_000));
                for (from, to) in &links {
                    self.network.cut(*from, *to);
                }
                let index = self.case.faults.len() as u32;
                self.case.faults.push((self.now + span, Fault::Heal { links }));
                self.queue.push(self.now + span, Event::Fault { index });
            }
            Fault::Heal { links } => {
                self.trace(0, || format!("healed {links:?}"));
                for (from, to) in links {
                    self.network.heal(from, to);
                }
            }
            Fault::SlowSync { host, span } => {
                self.hosts[usize::from(host)].slow_sync = Some(span);
            }
            Fault::FailSync { host, down } => {
                self.hosts[usize::from(host)].fail_sync = Some(down);
            }
        }
    }

    /// The liveness phase begins: nothing fails any more, what was down comes back, what stood
    /// still goes on.
    pub(super) fn calm_down(&mut self) {
        self.is_calm = true;
        self.network.heal_all();
        let Weather { delay_min, delay_max, wire_ppm, .. } = self.network.weather;
        self.network.weather = Weather { delay_min, delay_max, wire_ppm, ..Weather::default() };
        for host in 0..self.case.hosts() {
            let place = &mut self.hosts[usize::from(host)];
            (place.armed, place.slow_sync, place.fail_sync) = (None, None, None);
            if let Some(pause) = place.pause {
                self.queue.push(self.now, Event::Resume { host, pause });
            }
            if place.node.is_none() && !place.is_gone {
                self.queue.push(self.now, Event::Restart { host });
            }
        }
    }
}
