//! A role with its sink, clock guard, random streams and counters: what the runtime and the
//! simulator both hold.

use crate::effect::{Effect, Effects};
use crate::ids::{Boot, Lsn, NodeId};
use crate::input::Input;
use crate::invariant::Violation;
use crate::journal::{RecoverError, Recovered};
use crate::machine::{Cx, Role, Wake};
use crate::rng::Streams;
use crate::stat::Counters;
use crate::time::Instant;

/// One node. Inputs go in through [`Node::step`], one at a time; all effects of a step are drained
/// before the next.
#[derive(Debug)]
pub struct Node<R> {
    role: R,
    out: Effects,
    streams: Streams,
    stats: Counters,
    last: Option<Instant>,
}

impl<R: Role> Node<R> {
    /// Builds a node from what its disk holds. There is no other constructor.
    ///
    /// # Errors
    /// When the role cannot be folded from the records; nothing was written.
    pub fn recover(
        node: NodeId,
        config: R::Config,
        boot: Boot,
        disk: Recovered,
    ) -> Result<Self, RecoverError> {
        let last = disk.last;
        Ok(Self {
            role: R::recover(config, boot, disk)?,
            out: Effects::new(last),
            streams: Streams::new(boot.entropy, node.get(), boot.id.get()),
            stats: Counters::default(),
            last: None,
        })
    }

    /// Takes one input at one instant and gives the effects, in order. A clock that stands still or
    /// steps back is read as one nanosecond later than before. A halted node gives nothing
    /// more.
    pub fn step(&mut self, now: Instant, input: Input) -> std::vec::Drain<'_, Effect> {
        if !self.out.halted() {
            let now = self.guard(now);
            let mut cx = Cx::new(now, &mut self.streams, &mut self.out, &mut self.stats);
            let never = self.role.handle(&mut cx, input);
            debug_assert!(never.is_empty());
        }
        self.out.drain()
    }

    /// When the node next wants [`Input::Wake`], and why.
    pub fn next_wake(&self) -> Option<Wake> {
        if self.out.halted() { None } else { self.role.next_wake() }
    }

    /// The invariants that the last step touched.
    ///
    /// # Errors
    /// The first broken one.
    pub fn check(&self) -> Result<(), Violation> {
        self.role.check()
    }

    /// The role, read-only.
    pub fn role(&self) -> &R {
        &self.role
    }

    /// The counters of this boot.
    pub fn stats(&self) -> &Counters {
        &self.stats
    }

    /// The newest append, durable or not.
    pub fn appended(&self) -> Lsn {
        self.out.appended()
    }

    /// Whether the node stopped itself on a broken invariant.
    pub fn halted(&self) -> bool {
        self.out.halted()
    }

    fn guard(&mut self, now: Instant) -> Instant {
        let now = match self.last {
            Some(last) if now <= last => Instant::from_nanos(last.as_nanos().saturating_add(1)),
            Some(_) | None => now,
        };
        self.last = Some(now);
        now
    }
}
