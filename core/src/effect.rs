//! What a machine can ask of the world, and the sink that stamps each wish with what must be
//! durable first.
//!
//! `Append` gives an `Lsn`. Everything outward carries `after`, the newest append of the node, and
//! may leave only once that is durable (persist-first). A message whose promise rests on an earlier
//! record says so with [`Effects::send_resting_on`]; one that promises nothing has the [`Volatile`]
//! marker.

use crate::api::{Reply, Update};
use crate::ids::{CallId, JobId, Lsn, NodeId, RunId};
use crate::invariant::Violation;
use crate::journal::{Record, Snapshot};
use crate::plan::Slice;
use crate::time::Instant;
use crate::wire::Message;

/// A capability of the world.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Write a record at the end of the journal. The order of appends is the order of the journal.
    Append {
        /// Its position.
        lsn: Lsn,
        /// What to write.
        record: Box<Record>,
    },
    /// Write a snapshot; records up to and including `upto` may go once it is durable.
    Checkpoint {
        /// The last record the snapshot contains.
        upto: Lsn,
        /// The state.
        snapshot: Box<Snapshot>,
    },
    /// Send a message to a node. It may be lost, duplicated, delayed and reordered.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to say.
        msg: Box<Message>,
        /// Leaves only when this is durable.
        after: Lsn,
    },
    /// Answer a client's call.
    Reply {
        /// The call.
        call: CallId,
        /// The answer.
        reply: Box<Reply>,
        /// Leaves only when this is durable.
        after: Lsn,
    },
    /// Tell everyone who watches a job.
    Publish {
        /// The job.
        job: JobId,
        /// The news; its sequence number orders it.
        update: Box<Update>,
        /// Leaves only when this is durable.
        after: Lsn,
    },
    /// Prepare a run in the engine: resolve, open connections, compile the flow. Issues nothing.
    Start {
        /// The run.
        run: RunId,
        /// Its share of the plan.
        slice: Box<Slice>,
        /// Takes effect only when this is durable.
        after: Lsn,
    },
    /// Let a run issue load, within bounds that the engine's threads compare with their own clock
    /// before every batch.
    Permit {
        /// The run.
        run: RunId,
        /// The bounds; they replace the earlier ones.
        permit: Permit,
        /// Takes effect only when this is durable.
        after: Lsn,
    },
    /// End a run: issue nothing more, interrupt what is open, answer `Ended` with final totals.
    Stop {
        /// The run.
        run: RunId,
    },
    /// Our own bug: the node ends with a distinct exit code.
    Halt {
        /// What was broken.
        violation: Box<Violation>,
    },
}

const _: () = assert!(size_of::<Effect>() <= 96);

/// What a run may do until told otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permit {
    /// Nothing is issued at or after this instant of the node's clock.
    pub until: Instant,
    /// Only local items below this index are issued (see `plan::Pacer` for what an item is).
    pub ceiling: u64,
    /// The instant of the node's clock at which plan time is zero; may be in the future, and moves
    /// a little when the worker slews.
    pub zero: Instant,
}

/// A message that asserts nothing durable: it may overtake the journal.
pub trait Volatile {}

/// The one sink of a node. Effects leave in the order they were pushed.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    appended: Lsn,
    halted: bool,
}

impl Effects {
    /// An empty sink whose next append follows `last`, the newest record on disk.
    pub fn new(last: Lsn) -> Self {
        Self { list: Vec::new(), appended: last, halted: false }
    }

    /// The newest append, durable or not.
    pub fn appended(&self) -> Lsn {
        self.appended
    }

    /// Writes a record and gives its position.
    pub fn append(&mut self, record: impl Into<Record>) -> Lsn {
        let lsn = self.appended.next();
        self.appended = lsn;
        self.push(Effect::Append { lsn, record: Box::new(record.into()) });
        lsn
    }

    /// Asks for a snapshot of everything up to and including `upto`.
    pub fn checkpoint(&mut self, upto: Lsn, snapshot: Snapshot) {
        self.push(Effect::Checkpoint { upto, snapshot: Box::new(snapshot) });
    }

    /// Sends once everything appended so far is durable.
    pub fn send(&mut self, to: NodeId, msg: impl Into<Message>) {
        self.send_resting_on(self.appended, to, msg);
    }

    /// Sends once `lsn` is durable: the record that the message's promise rests on.
    pub fn send_resting_on(&mut self, lsn: Lsn, to: NodeId, msg: impl Into<Message>) {
        self.push(Effect::Send { to, msg: Box::new(msg.into()), after: lsn });
    }

    /// Sends at once: the message promises nothing.
    pub fn send_volatile<M: Volatile + Into<Message>>(&mut self, to: NodeId, msg: M) {
        self.send_resting_on(Lsn::new(0), to, msg);
    }

    /// Answers a call once everything appended so far is durable.
    pub fn reply(&mut self, call: CallId, reply: impl Into<Reply>) {
        self.push(Effect::Reply { call, reply: Box::new(reply.into()), after: self.appended });
    }

    /// Tells the watchers of a job once everything appended so far is durable.
    pub fn publish(&mut self, job: JobId, update: Update) {
        self.push(Effect::Publish { job, update: Box::new(update), after: self.appended });
    }

    /// Prepares a run.
    pub fn start(&mut self, run: RunId, slice: Box<Slice>) {
        self.push(Effect::Start { run, slice, after: self.appended });
    }

    /// Lets a run issue load.
    pub fn permit(&mut self, run: RunId, permit: Permit) {
        self.push(Effect::Permit { run, permit, after: self.appended });
    }

    /// Ends a run.
    pub fn stop(&mut self, run: RunId) {
        self.push(Effect::Stop { run });
    }

    /// Ends the node: voids the step's other effects and ignores later ones.
    pub fn halt(&mut self, violation: Violation) {
        if self.halted {
            return;
        }
        self.halted = true;
        self.list.clear();
        self.list.push(Effect::Halt { violation: Box::new(violation) });
    }

    /// Whether the node has ended.
    pub fn halted(&self) -> bool {
        self.halted
    }

    /// The effects of the step, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.list.drain(..)
    }

    fn push(&mut self, effect: Effect) {
        if !self.halted {
            self.list.push(effect);
        }
    }
}
