//! A world that does what a directed scenario tells it, step by step. It draws no faults, has no
//! clients of its own, and ends when nobody tells it to go on; the oracles watch as in every world.

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::ids::DiskId;
use hyperscale_core::input::Input;

use super::{Failure, World};
use crate::case::Case;
use crate::host::Host;
use crate::network::{Cargo, Flight, Network};
use crate::oracles::Seen;
use crate::queue::Event;
use crate::truth::Truth;

/// Longer than any scenario, true nanoseconds.
const FOREVER: u64 = 1 << 60;

impl World {
    /// A world without faults or clients, and one more place from which calls are made.
    pub fn scripted(case: Case) -> Self {
        let mut world = Self::new(case, true);
        let places = usize::from(world.case.places()) + 1;
        world.network = Network::new(world.streams, places, world.case.weather);
        world.truth.arrivals = Some(Vec::new());
        world.replies = Some(Vec::new());
        world
    }

    /// Runs to this true time.
    ///
    /// # Errors
    /// The first broken promise; the world stands still since then.
    pub fn run_until(&mut self, at: u64) -> Result<(), Failure> {
        while let Some(next) = self.queue.next_at().filter(|next| *next <= at) {
            self.now = next;
            self.take_next();
            self.end_drained();
            if let Some(failure) = &self.failure {
                return Err(failure.clone());
            }
        }
        self.now = at;
        Ok(())
    }

    /// Asks the gate at this place; the answer comes under this number.
    pub fn call(&mut self, gate: u16, number: u64, command: Command) {
        let digest = hyperscale_core::digest::of(&command);
        let cargo = Cargo::Call(number, Box::new(command));
        self.ship(Flight { from: self.case.places(), to: gate, cargo, digest });
    }

    /// Answers that came since this was last asked.
    pub fn take_replies(&mut self) -> Vec<(u64, Reply)> {
        self.replies.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A process dies, if it lives.
    pub fn kill(&mut self, host: u16) {
        if self.host(host).node.is_some() {
            self.crash(host, None);
            self.hosts[usize::from(host)].is_gone = false;
        }
    }

    /// A process starts, if it is dead.
    pub fn start(&mut self, host: u16) {
        self.queue.push(self.now, Event::Restart { host });
    }

    /// A process stands still.
    pub fn hold(&mut self, host: u16) {
        self.pause(host, FOREVER);
    }

    /// A process that stands still goes on.
    pub fn release_hold(&mut self, host: u16) {
        if let Some(pause) = self.host(host).pause {
            self.queue.push(self.now, Event::Resume { host, pause });
        }
    }

    /// Asks a process to leave; it ends once it has.
    pub fn ask_to_leave(&mut self, host: u16) {
        self.hosts[usize::from(host)].is_leaving = true;
        self.has_leavers = true;
        self.trace(host, || "is asked to leave".to_owned());
        self.offer(host, Input::Drain, 2);
        self.end_drained();
    }

    fn end_drained(&mut self) {
        if !self.has_leavers {
            return;
        }
        for host in 0..self.case.hosts() {
            let place = self.host(host);
            let is_drained = place.node.as_ref().is_some_and(|node| node.is_drained());
            if place.is_leaving && is_drained {
                self.kill(host);
            }
        }
    }

    /// A dead member gets an empty disk and starts in the place of the old one.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn replace_disk(&mut self, host: u16) -> Result<(), String> {
        let disk = &self.hosts[usize::from(host)].disk;
        let (id, durable) = (DiskId::new(disk.identity.disk), disk.durable());
        self.annals.on_wiped(host, id, durable);
        self.hosts[usize::from(host)].replace_disk()?;
        self.observe(Seen::Wiped { host });
        self.start(host);
        Ok(())
    }

    /// Cuts a directed link.
    pub fn cut(&mut self, from: u16, to: u16) {
        self.trace(to, || format!("hears nothing of node {from} from here on"));
        self.network.cut(from, to);
        self.reach.on_links(self.now, &self.network);
    }

    /// Takes every cut back.
    pub fn heal(&mut self) {
        self.network.heal_all();
        self.reach.on_links(self.now, &self.network);
    }

    /// True time.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// A machine.
    pub fn host(&self, host: u16) -> &Host {
        &self.hosts[usize::from(host)]
    }

    /// What engines really did.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }
}
