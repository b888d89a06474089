//! The contract of every state machine: input and context in, effects into the sink, events to the
//! parent.
//!
//! A machine owns no clock, no generator and no socket. `Cx` brings them. Effects go to the world
//! in the order of the code; events go to the parent, which must route them.

use std::convert::Infallible;

use crate::effect::Effects;
use crate::ids::{Boot, LogIndex};
use crate::input::Input;
use crate::invariant::Violation;
use crate::journal::{RecoverError, Recovered};
use crate::rng::{Rng, Stream, Streams};
use crate::stat::{Counters, Stat};
use crate::time::Instant;

/// A synchronous state machine.
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it tells its parent; `Infallible` for a role.
    type Event;

    /// Takes one input. All mutation goes through here.
    fn handle(&mut self, cx: &mut Cx<'_>, input: Self::Input) -> Events<Self::Event>;

    /// When it next wants to be woken, and why. Does not change unless state does.
    fn next_wake(&self) -> Option<Wake>;

    /// The invariants that the last step touched, in time proportional to what it touched.
    fn check(&self) -> Result<(), Violation>;
}

/// A machine that a whole process is: what [`crate::node::Node`] holds.
pub trait Role: Machine<Input = Input, Event = Infallible> + Sized {
    /// Its checked configuration.
    type Config: Clone;

    /// Builds the role from durable bytes only.
    ///
    /// # Errors
    /// When the records do not fold: the disk belongs to another role or the journal is
    /// inconsistent.
    fn recover(config: Self::Config, boot: Boot, disk: Recovered) -> Result<Self, RecoverError>;

    /// Walks every invariant of the whole state.
    fn check_all(&self) -> Result<(), Violation>;

    /// A digest of the state that recovery rebuilds. Two nodes that folded the same records agree.
    fn durable_digest(&self) -> u64;

    /// The last applied entry of the group's log, and a digest of the ledger at it: the same on
    /// every node that has applied that entry. Without a ledger, 0 and 0.
    fn ledger_digest(&self) -> (LogIndex, u64);

    /// Whether an operator who asked the node to leave may end its process without harm.
    fn is_drained(&self) -> bool;
}

/// When and why a machine wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wake {
    /// The deadline on the node's clock.
    pub at: Instant,
    /// The reason, for logs and for finding busy loops.
    pub why: &'static str,
}

impl Wake {
    /// The earlier of two wishes.
    pub fn earliest(a: Option<Wake>, b: Option<Wake>) -> Option<Wake> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
            (one, None) | (None, one) => one,
        }
    }
}

/// What travels with an input: the time of the step, randomness, the sink and the counters.
#[derive(Debug)]
pub struct Cx<'a> {
    now: Instant,
    streams: &'a mut Streams,
    /// Where effects go, in order.
    pub out: &'a mut Effects,
    stats: &'a mut Counters,
}

impl<'a> Cx<'a> {
    /// Assembles a context; only `Node` and tests need to.
    pub fn new(
        now: Instant,
        streams: &'a mut Streams,
        out: &'a mut Effects,
        stats: &'a mut Counters,
    ) -> Self {
        Self { now, streams, out, stats }
    }

    /// The instant of this step; equal instants mean the same step.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The random stream of one purpose.
    pub fn rng(&mut self, stream: Stream) -> &mut Rng {
        self.streams.draw(stream)
    }

    /// Counts one decision, refusal or retry.
    pub fn count(&mut self, stat: Stat) {
        self.stats.add(stat, 1);
    }

    /// Counts several at once.
    pub fn count_many(&mut self, stat: Stat, n: u64) {
        self.stats.add(stat, n);
    }
}

/// What a machine tells its parent.
#[must_use = "a child's events must be routed by its parent"]
#[derive(Debug, PartialEq, Eq)]
pub struct Events<E>(Vec<E>);

impl<E> Events<E> {
    /// Nothing to tell. Allocates nothing.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// One thing to tell.
    pub fn one(event: E) -> Self {
        Self(vec![event])
    }

    /// Adds one more.
    pub fn push(&mut self, event: E) {
        self.0.push(event);
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<E> Default for Events<E> {
    fn default() -> Self {
        Self::none()
    }
}

impl<E> IntoIterator for Events<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Our own bug: when the condition is false the node halts, and the step's other effects are void.
#[macro_export]
macro_rules! ensure {
    ($cx:expr, $cond:expr, $inv:expr, $($detail:tt)+) => {
        if !$cond {
            $cx.out.halt($crate::invariant::Violation::new($inv, format!($($detail)+)));
        }
    };
}
