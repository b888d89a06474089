//! The engine's outside: a fixed set of threads, each with an executor of its own.
//!
//! Inputs: the node's orders. Outputs: `EngineEvent`s as inputs of the node. A run lives on one
//! thread from its start to its end, because a shard is sized for one core. `Permit` and `Stop`
//! travel as the latest value of a watched cell per run, which cannot fill up and which a thread
//! that was stalled reads when it wakes; until then it holds an older, shorter permit.
//!
//! It decides nothing: what may be issued is the pacer's, what must end is the node's.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use hyperscale_core::effect::Permit;
use hyperscale_core::ids::RunId;
use hyperscale_core::input::{EngineEvent, Input};
use hyperscale_core::limits::RUNS_PER_WORKER_MAX;
use hyperscale_core::plan::Slice;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use super::execute;
use crate::demo::Shop;
use crate::driver::EngineOrder;
use crate::node::Orders;

/// The load engine of a worker. Dropping it ends every run without a report.
#[derive(Debug)]
pub struct Engine {
    threads: Vec<CoreThread>,
    runs: BTreeMap<RunId, Placed>,
    events: mpsc::Sender<Input>,
    shop: Option<Shop>,
}

#[derive(Debug)]
struct CoreThread {
    starts: Option<mpsc::Sender<Start>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Placed {
    thread: usize,
    control: watch::Sender<Control>,
}

/// The newest orders for a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Control {
    pub(super) permit: Option<Permit>,
    pub(super) stop: bool,
}

/// A run to prepare.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) run: RunId,
    pub(super) slice: Slice,
    /// Where `base_url: demo` leads.
    pub(super) demo: Option<SocketAddr>,
    pub(super) control: watch::Receiver<Control>,
}

impl Engine {
    /// Starts `cores` threads, at least one; their events go to the node's queue. Raises the
    /// process's soft limit of open files to the hard one, since every user has a connection.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(cores: u16, events: mpsc::Sender<Input>) -> io::Result<Self> {
        let limit = getrlimit(Resource::Nofile);
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        {
            // Connections above the soft limit will fail, and be counted.
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
        let threads = (0..cores.max(1)).map(|core| CoreThread::start(core, events.clone()));
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { threads, runs: BTreeMap::new(), events, shop: None })
    }

    /// Carries out an order; never blocks. A permit or a stop for a run that ended is ignored: its
    /// `Ended` is on the way.
    pub fn order(&mut self, order: EngineOrder) {
        match order {
            EngineOrder::Start { run, slice } => self.on_start(run, *slice),
            EngineOrder::Permit { run, permit } => {
                self.control(run, |control| control.permit = Some(permit));
            }
            EngineOrder::Stop { run } => self.control(run, |control| control.stop = true),
        }
    }

    /// The engine as a node takes it: dropping the orders drops the engine.
    pub fn into_orders(mut self) -> Orders {
        Box::new(move |order| self.order(order))
    }

    fn control(&self, run: RunId, change: impl FnOnce(&mut Control)) {
        if let Some(placed) = self.runs.get(&run) {
            placed.control.send_modify(change);
        }
    }

    fn on_start(&mut self, run: RunId, slice: Slice) {
        self.runs.retain(|_, placed| !placed.control.is_closed());
        if self.runs.contains_key(&run) {
            return;
        }
        if let Err(reason) = self.place(run, slice) {
            let event = EngineEvent::PrepareFailed { run, reason };
            // A full queue loses it: the manager gives up on the run when it is not ready in time.
            drop(self.events.try_send(Input::Engine(Box::new(event))));
        }
    }

    fn place(&mut self, run: RunId, slice: Slice) -> Result<(), String> {
        let demo = if slice.base_url == "demo" { Some(self.demo()?) } else { None };
        let load = |thread: &usize| self.runs.values().filter(|p| p.thread == *thread).count();
        let thread = (0..self.threads.len()).min_by_key(load).unwrap_or(0);
        let (control, watched) = watch::channel(Control::default());
        let start = Start { run, slice, demo, control: watched };
        let starts = self.threads.get(thread).and_then(|thread| thread.starts.as_ref());
        let sent = starts.is_some_and(|starts| starts.try_send(start).is_ok());
        if !sent {
            return Err("the load engine takes no more runs".to_owned());
        }
        self.runs.insert(run, Placed { thread, control });
        Ok(())
    }

    fn demo(&mut self) -> Result<SocketAddr, String> {
        if self.shop.is_none() {
            let shop = Shop::start().map_err(|error| format!("no demo shop: {error}"))?;
            self.shop = Some(shop);
        }
        self.shop.as_ref().map(Shop::address).ok_or_else(String::new)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.runs.clear();
        for thread in &mut self.threads {
            drop(thread.starts.take());
        }
        for thread in &mut self.threads {
            if let Some(thread) = thread.thread.take() {
                // A panic there has ended the process.
                drop(thread.join());
            }
        }
    }
}

impl CoreThread {
    fn start(core: u16, events: mpsc::Sender<Input>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (starts, received) = mpsc::channel(RUNS_PER_WORKER_MAX);
        let thread = std::thread::Builder::new()
            .name(format!("load-{core}"))
            .spawn(move || serve(runtime, received, &events))?;
        Ok(Self { starts: Some(starts), thread: Some(thread) })
    }
}

fn serve(runtime: Runtime, mut starts: mpsc::Receiver<Start>, events: &mpsc::Sender<Input>) {
    let _fuse = Fuse;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        while let Some(start) = starts.recv().await {
            tokio::task::spawn_local(execute::run(start, events.clone()));
        }
    });
    drop(local);
    // A name that is being resolved must not hold up the end.
    runtime.shutdown_timeout(Duration::ZERO);
}

/// Ends the process when the thread panics: a run that vanished without a word would hold its
/// shard for ever, while a process that ended is replaced after its lease.
#[derive(Debug)]
pub(super) struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests;
