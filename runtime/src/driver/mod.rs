//! Drives one node: the one task that owns it.
//!
//! Inputs come through one bounded queue. The clock is read after an input is taken from the queue,
//! never before. Every effect of a step is taken before the next step; an effect whose `after` is
//! not durable is held. Appends go to the journal's own thread, which writes and syncs whatever has
//! gathered (group commit) and answers with the newest durable record; that comes back as
//! `Input::Durable`. One timer serves the node. A storage error or a halt ends the node: it
//! never continues on a guess.
//!
//! Does not do: decide anything.

mod hold;
mod observer;
pub(crate) mod sampler;
mod world;

use std::time::Duration;

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::Lsn;
use hyperscale_core::input::Input;
use hyperscale_core::invariant::Violation;
use hyperscale_core::machine::Role;
use hyperscale_core::node::Node;
use tokio::sync::mpsc;

use crate::clock;
use crate::events::EventLog;
use crate::record::Recorder;
use crate::store::{Journal, StoreError};
use hold::Hold;
use observer::Observer;
pub use world::{EngineOrder, World};

/// Why a node ended.
#[derive(Debug)]
pub enum End {
    /// Asked to drain and nothing is left to do, or every sender of inputs is gone.
    Drained,
}

/// Why a node failed. It must not be stepped again; a restart recovers from its disk.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The journal could not be written or synced.
    #[error("the journal failed: {0}")]
    Storage(#[from] StoreError),
    /// The node found one of its own invariants broken.
    #[error("the node halted: {0}")]
    Halted(Violation),
}

/// A node with its queue, its journal and its way to the world.
#[derive(Debug)]
pub struct Driver<R, W> {
    node: Node<R>,
    world: W,
    journal: Journal,
    inbox: mpsc::Receiver<Input>,
    hold: Hold,
    recorder: Option<Recorder>,
    observer: Option<Observer>,
}

impl<R: Role, W: World> Driver<R, W> {
    /// Assembles a driver; `journal` must be the one the node was recovered from.
    pub fn new(node: Node<R>, world: W, journal: Journal, inbox: mpsc::Receiver<Input>) -> Self {
        let hold = Hold::new(node.appended());
        Self { node, world, journal, inbox, hold, recorder: None, observer: None }
    }

    /// Records every `(now, input)`, so that the node's life can be replayed.
    #[must_use]
    pub fn recording(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    /// Writes down what happens.
    #[must_use]
    pub fn observed(mut self, log: Option<EventLog>) -> Self {
        self.observer = log.map(Observer::new);
        self
    }

    /// Runs until `drained` holds after [`Input::Drain`] was taken, or the node fails.
    ///
    /// # Errors
    /// [`DriverError`]; whatever was not durable is lost, and nobody was told about it.
    pub async fn run(mut self, drained: impl Fn(&R) -> bool) -> Result<End, DriverError> {
        let mut draining = false;
        let mut input = Input::Wake;
        loop {
            draining |= matches!(input, Input::Drain);
            self.step(input)?;
            if draining && drained(self.node.role()) && self.hold.is_empty() {
                return Ok(End::Drained);
            }
            input = match self.next_input().await? {
                Some(input) => input,
                None => return Ok(End::Drained),
            };
        }
    }

    async fn next_input(&mut self) -> Result<Option<Input>, DriverError> {
        let wait = self.node.next_wake().map(|wake| wake.at.since(clock::now()));
        if wait == Some(Duration::ZERO) {
            return Ok(Some(self.ready_input()?.unwrap_or(Input::Wake)));
        }
        let timer = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            durable = self.journal.durable() => Ok(Some(Input::Durable(durable?))),
            input = self.inbox.recv() => Ok(input),
            () = timer => Ok(Some(Input::Wake)),
        }
    }

    /// What is already queued goes before a deadline that has passed: a durable record may make the
    /// wake needless, and a wake that is always due must not starve the queue.
    fn ready_input(&mut self) -> Result<Option<Input>, DriverError> {
        if let Some(durable) = self.journal.try_durable()? {
            return Ok(Some(Input::Durable(durable)));
        }
        Ok(self.inbox.try_recv().ok())
    }

    fn step(&mut self, input: Input) -> Result<(), DriverError> {
        let now = clock::now();
        let input = sampler::arrived(now, input);
        if let Some(recorder) = &mut self.recorder {
            recorder.record(now, &input);
        }
        if let Some(observer) = &mut self.observer {
            observer.on_input(now, &input, self.node.stats());
        }
        if let Input::Durable(lsn) = input {
            for effect in self.hold.release(lsn) {
                perform(&mut self.world, effect);
            }
        }
        for effect in self.node.step(now, input) {
            if let Some(observer) = &self.observer {
                observer.on_effect(&effect);
            }
            match effect {
                Effect::Append { lsn, record } => self.journal.append(lsn, &record)?,
                Effect::Checkpoint { upto, snapshot } => {
                    self.journal.checkpoint(upto, &snapshot)?;
                }
                Effect::Halt { violation } => return Err(DriverError::Halted(*violation)),
                effect @ (Effect::Send { .. }
                | Effect::Reply { .. }
                | Effect::Publish { .. }
                | Effect::Start { .. }
                | Effect::Permit { .. }
                | Effect::Stop { .. }) => {
                    if let Some(effect) = self.hold.admit(effect) {
                        perform(&mut self.world, effect);
                    }
                }
            }
        }
        Ok(())
    }
}

fn perform<W: World>(world: &mut W, effect: Effect) {
    match effect {
        Effect::Send { to, msg, after: _ } => world.send(to, msg),
        Effect::Reply { call, reply, after: _ } => world.reply(call, reply),
        Effect::Publish { job, update, after: _ } => world.publish(job, update),
        Effect::Start { run, slice, after: _ } => world.order(EngineOrder::Start { run, slice }),
        Effect::Permit { run, permit, after: _ } => {
            world.order(EngineOrder::Permit { run, permit })
        }
        Effect::Stop { run } => world.order(EngineOrder::Stop { run }),
        Effect::Append { .. } | Effect::Checkpoint { .. } | Effect::Halt { .. } => {}
    }
}

/// The record an effect waits for; 0 for none.
fn after(effect: &Effect) -> Lsn {
    match effect {
        Effect::Send { after, .. }
        | Effect::Reply { after, .. }
        | Effect::Publish { after, .. }
        | Effect::Start { after, .. }
        | Effect::Permit { after, .. } => *after,
        Effect::Append { .. }
        | Effect::Checkpoint { .. }
        | Effect::Stop { .. }
        | Effect::Halt { .. } => Lsn::new(0),
    }
}
