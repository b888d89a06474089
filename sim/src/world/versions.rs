//! Nodes of different minors: what a message becomes on its way from one to another.
//!
//! A process of a life runs as the previous minor, as this one, or as the next. The machine is the
//! present one in all of them; the border of the process is the frozen codec of its minor: an older
//! process says only what that minor can say, and hears only what it could read. A newer one says,
//! beside what everybody knows, kinds that nobody but its like has heard of.

use hyperscale_core::input::Input;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::limits::FRAME_MAX;
use hyperscale_core::wire::version::{Heard, VERSION, hear, say};
use hyperscale_core::wire::{Message, v1_0};

use super::World;
use crate::case::node_id;
use crate::faults::Class;
use crate::network::{Cargo, Flight};
use crate::streams::Stream;

/// The minor that comes after this one.
const NEXT: u16 = VERSION.minor + 1;

impl World {
    /// The minor that a life of a process runs as.
    pub(super) fn minor_of_life(&self, host: u16, life: u32) -> u16 {
        let is_upgraded = self.is_calm && self.upgrades();
        if !self.case.has(Class::Skew) || is_upgraded {
            return VERSION.minor;
        }
        let mut cursor = self.streams.cursor(Stream::Boot, 1 << 40 | u64::from(host));
        let draws: Vec<u64> = (0..life).map(|_| cursor.draw().below(20)).collect();
        match draws.last() {
            Some(0..8) => 0,
            Some(8..15) | None => VERSION.minor,
            Some(_) => NEXT,
        }
    }

    /// Whether every process is of this minor at the end.
    pub(super) fn upgrades(&self) -> bool {
        self.case.has(Class::Skew) && self.streams.draw(Stream::Boot, 1 << 41, 0).chance(500_000)
    }

    /// What leaves a process as a message, in the form that its peer reads.
    pub(super) fn converse(&mut self, from: u16, to: u16, msg: Box<Message>, digest: u64) {
        if !self.case.has(Class::Skew) {
            return self.ship(Flight { from, to, cargo: Cargo::Message(msg), digest });
        }
        let minor = |host: u16| self.hosts[usize::from(host)].minor;
        let (mine, theirs) = (minor(from), minor(to));
        if mine == 0 && v1_0::Message::of(&msg).is_none() {
            self.tally.unsaid += 1;
            return;
        }
        match say(&msg, mine.min(theirs), FRAME_MAX) {
            Ok(said) => {
                self.tally.older_frames += u64::from(said.minor < VERSION.minor);
                let cargo = Cargo::Frame(said.minor, said.payload);
                self.ship(Flight { from, to, cargo, digest });
            }
            Err(error) => {
                let detail = format!("{error}: {msg:?}");
                self.fail(Violation::new(Inv::CompatibleOnly, detail), Some(from));
            }
        }
        if mine == NEXT && theirs < NEXT {
            self.add_news(from, to);
        }
    }

    /// Now and then, something that only the next minor understands.
    fn add_news(&mut self, from: u16, to: u16) {
        let link = 1 << 42 | u64::from(from) << 16 | u64::from(to);
        self.tally.news += 1;
        let draw = |n| self.streams.draw(Stream::Boot, link, self.tally.news * 4 + n);
        if !draw(0).chance(50_000) {
            return;
        }
        let mut payload = vec![(Message::KINDS + draw(1).below(20) as u32) as u8];
        payload.extend(draw(2).bits().to_le_bytes());
        payload.truncate(1 + draw(3).below(9) as usize);
        let digest = hyperscale_core::digest::of(&payload);
        self.ship(Flight { from, to, cargo: Cargo::Frame(NEXT, payload), digest });
    }

    /// A frame arrives at a process.
    pub(super) fn on_frame(&mut self, (from, to): (u16, u16), frame: (u16, &[u8]), digest: u64) {
        let mine = self.hosts[usize::from(to)].minor;
        if frame.0 == NEXT && mine == NEXT {
            // It came back as one that knows what this is, whatever it is.
            return;
        }
        let from_node = node_id(from);
        match hear(frame.1, frame.0, mine) {
            Ok(Heard::Message(msg)) => {
                self.offer(to, Input::Received { from: from_node, msg }, digest ^ u64::from(from));
            }
            Ok(Heard::Unknown) => {
                self.tally.unknown += u64::from(self.hosts[usize::from(to)].is_awake());
                self.offer(to, Input::Unknown { from: from_node }, digest ^ u64::from(from));
            }
            Err(error) => {
                let detail = format!("a message of minor {} is damage to {mine}: {error}", frame.0);
                self.fail(Violation::new(Inv::CompatibleOnly, detail), Some(to));
            }
        }
    }
}
