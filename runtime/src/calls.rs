//! Calls of clients to a gate in this process: each waits for its one reply.

use std::sync::{Arc, Mutex, PoisonError};

use hyperscale_core::api::{Command, Reply, Tenant, Update};
use hyperscale_core::flow::Class;
use hyperscale_core::ids::{CallId, JobId};
use hyperscale_core::input::Input;
use slab::Slab;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Live updates kept for a slow watcher before it is told that it lagged, and asks the gate. Each
/// has every histogram of its job, so few.
const UPDATES_BUFFERED: usize = 8;

/// One place of so many in the gate's queue is left to cancels.
const RESERVED: usize = 8;

/// The gate is gone or its queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// The gate takes no more inputs for now.
    #[error("the gate is overloaded, try again")]
    Busy,
    /// The gate ended while the call was open: it may or may not have been done; retry with the
    /// same key.
    #[error("the gate ended, the outcome is unknown")]
    Gone,
}

/// A live update as watchers get it.
pub type Published = (JobId, Arc<Update>);

#[derive(Debug, Default)]
struct Waiting {
    slots: Slab<(u32, oneshot::Sender<Reply>)>,
    generation: u32,
}

/// The calling side: clones share one gate.
#[derive(Clone, Debug)]
pub struct Gate {
    inbox: mpsc::Sender<Input>,
    waiting: Arc<Mutex<Waiting>>,
    updates: broadcast::Sender<Published>,
    leaving: watch::Sender<bool>,
}

impl Gate {
    /// A way to call the gate whose queue is `inbox`.
    pub fn new(inbox: mpsc::Sender<Input>) -> Self {
        let (updates, _) = broadcast::channel(UPDATES_BUFFERED);
        let (leaving, _) = watch::channel(false);
        Self { inbox, waiting: Arc::default(), updates, leaving }
    }

    /// Asks and waits for the reply. Dropping the future forgets the call; what was asked may still
    /// be done.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ask(&self, command: Command) -> Result<Reply, CallError> {
        self.ask_as(Tenant::default(), command).await
    }

    /// As [`Gate::ask`], for a client outside this process. A cancel waits for its place in a queue
    /// that is full, and anything else leaves the last places to cancels.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ask_as(&self, client: Tenant, command: Command) -> Result<Reply, CallError> {
        let (sender, receiver) = oneshot::channel();
        let call = self.open(sender);
        let _forget = Forget { gate: self, call };
        let waits = Class::of_command(&command) == Class::Control;
        let input = Input::Called { call, client, command: Box::new(command) };
        if waits {
            self.inbox.send(input).await.map_err(|_| CallError::Gone)?;
        } else if self.inbox.capacity() <= self.inbox.max_capacity() / RESERVED {
            return Err(CallError::Busy);
        } else {
            self.inbox.try_send(input).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => CallError::Busy,
                mpsc::error::TrySendError::Closed(_) => CallError::Gone,
            })?;
        }
        receiver.await.map_err(|_| CallError::Gone)
    }

    /// Live updates of all jobs from here on.
    pub fn updates(&self) -> broadcast::Receiver<Published> {
        self.updates.subscribe()
    }

    /// Delivers a reply; a call that was given up ignores it.
    pub fn reply(&self, call: CallId, reply: Reply) {
        if let Some(sender) = self.close(call) {
            let _ = sender.send(reply);
        }
    }

    /// Delivers an update to whoever watches.
    pub fn publish(&self, job: JobId, update: Update) {
        let _ = self.updates.send((job, Arc::new(update)));
    }

    /// Asks for the gate's process to leave; whoever runs it hears.
    pub fn drain(&self) {
        self.leaving.send_replace(true);
    }

    /// Resolves when somebody asked for the gate to leave.
    pub async fn asked_to_drain(&self) {
        // The sender is part of self, so the flag cannot be given up.
        let _ = self.leaving.subscribe().wait_for(|leaving| *leaving).await;
    }

    /// Ends every open call with [`CallError::Gone`]: the gate stopped.
    pub fn hang_up(&self) {
        self.lock().slots.clear();
    }

    fn open(&self, sender: oneshot::Sender<Reply>) -> CallId {
        let mut waiting = self.lock();
        waiting.generation = waiting.generation.wrapping_add(1);
        let generation = waiting.generation;
        let key = waiting.slots.insert((generation, sender));
        CallId::new(u64::from(generation) << 32 | (key as u64 & 0xffff_ffff))
    }

    fn close(&self, call: CallId) -> Option<oneshot::Sender<Reply>> {
        let mut waiting = self.lock();
        let key = (call.get() & 0xffff_ffff) as usize;
        let generation = (call.get() >> 32) as u32;
        let (found, _) = waiting.slots.get(key)?;
        (*found == generation).then(|| waiting.slots.remove(key).1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Forget<'a> {
    gate: &'a Gate,
    call: CallId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.gate.close(self.call);
    }
}

#[cfg(test)]
mod tests {
    use hyperscale_core::api::Refusal;

    use super::*;

    #[tokio::test]
    async fn a_reply_reaches_its_call_and_a_late_one_nobody() {
        let (inbox, mut inputs) = mpsc::channel(4);
        let gate = Gate::new(inbox);
        let asking = tokio::spawn({
            let gate = gate.clone();
            async move { gate.ask(Command::List).await }
        });
        let Some(Input::Called { call, command, .. }) = inputs.recv().await else {
            panic!("no call");
        };
        assert_eq!(*command, Command::List);
        gate.reply(call, Reply::Refused(Refusal::NotReady));
        assert_eq!(asking.await.unwrap(), Ok(Reply::Refused(Refusal::NotReady)));
        gate.reply(call, Reply::Jobs(Vec::new()));
        assert!(gate.lock().slots.is_empty());
    }

    #[tokio::test]
    async fn a_gate_that_ends_answers_gone() {
        let (inbox, mut inputs) = mpsc::channel(4);
        let gate = Gate::new(inbox);
        let asking = tokio::spawn({
            let gate = gate.clone();
            async move { gate.ask(Command::List).await }
        });
        let _ = inputs.recv().await;
        gate.hang_up();
        assert_eq!(asking.await.unwrap(), Err(CallError::Gone));
        drop(inputs);
        assert_eq!(gate.ask(Command::List).await, Err(CallError::Gone));
    }
}
