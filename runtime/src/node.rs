//! Puts a node together: disk, machine, driver, transport, and for a worker the engine.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperscale_core::api::{Reply, Update};
use hyperscale_core::config::{GateConfig, ManagerConfig, WorkerConfig};
use hyperscale_core::consensus::ConsensusConfig;
use hyperscale_core::gate::Gate;
use hyperscale_core::ids::{Boot, CallId, ClusterId, DiskId, JobId, NodeId};
use hyperscale_core::input::Input;
use hyperscale_core::journal::{RecoverError, Recovered};
use hyperscale_core::limits;
use hyperscale_core::machine::Role;
use hyperscale_core::manager::Manager;
use hyperscale_core::node::Node;
use hyperscale_core::wire::Message;
use hyperscale_core::wire::version::{Features, VERSION};
use hyperscale_core::worker::Worker;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::driver::{Driver, DriverError, End, EngineOrder, World, sampler};
use crate::events::EventLog;
use crate::record::Recorder;
use crate::store::{Disk, Expect, Journal, Owner, StoreError};
use crate::transport::{Datagrams, Dial, Hello, Peers, Receiver, RoleName};
use crate::{boot, calls};

/// Why a node did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its records do not make a node of this role.
    #[error("the journal cannot be replayed: {0}")]
    Recover(#[from] RecoverError),
    /// It failed while it ran.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A socket could not be opened.
    #[error("cannot listen on {addr}: {error}")]
    Listen {
        /// The address.
        addr: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The port for datagrams could not be opened.
    #[error("cannot receive datagrams of members (UDP) on {addr}: {error}")]
    Datagrams {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The load engine or the recording could not be started.
    #[error("{what}: {error}")]
    Io {
        /// What.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// The node's task ended by a panic.
    #[error("the node's task died")]
    Died,
}

/// Takes a worker's orders to its load engine; dropping it ends the engine.
pub type Orders = Box<dyn FnMut(EngineOrder) + Send>;

/// A node's place before it runs: its queue and its address book, so that peers can be connected
/// before the first input.
#[derive(Debug)]
pub struct Seat {
    /// Its queue.
    pub inbox: mpsc::Sender<Input>,
    /// Where it will find its peers.
    pub peers: Peers,
    inputs: mpsc::Receiver<Input>,
}

impl Seat {
    /// A seat for `node`.
    pub fn new(node: NodeId) -> Self {
        let (inbox, inputs) = mpsc::channel(limits::INBOX_MAX);
        Self { inbox, peers: Peers::new(node), inputs }
    }
}

/// Where a node is and how it is observed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Record every input into this file.
    pub record: Option<PathBuf>,
    /// The environment it belongs to; `default` if none is named.
    pub environment: Option<String>,
    /// Write what happens here.
    pub event_log: Option<EventLog>,
    /// Measure how the node copes. Only where the process is the node's alone.
    pub sampling: Option<Sampling>,
}

/// What a node's measurements are compared with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sampling {
    /// Bytes that the process may use; without it, what its control group or the machine has.
    pub memory_max: Option<u64>,
}

/// The environment of a node that names none.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// A node that runs.
#[derive(Debug)]
pub struct Running {
    /// Its queue.
    pub inbox: mpsc::Sender<Input>,
    /// Where it finds its peers.
    pub peers: Peers,
    /// Who it says it is.
    pub hello: Hello,
    task: JoinHandle<Result<End, DriverError>>,
}

impl Running {
    /// Asks the node to finish what it has and take nothing new.
    pub async fn drain(&self) {
        let _ = self.inbox.send(Input::Drain).await;
    }

    /// Waits until the node has ended.
    ///
    /// # Errors
    /// When it failed.
    pub async fn ended(&mut self) -> Result<(), NodeError> {
        match (&mut self.task).await {
            Ok(Ok(End::Drained)) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(NodeError::Died),
        }
    }
}

/// Lets members speak to a node in datagrams, until the receiver is dropped.
///
/// # Errors
/// [`NodeError::Datagrams`]; the node hears no member.
pub async fn open_datagrams(
    running: &Running,
    addr: SocketAddr,
    peers: Vec<Dial>,
) -> Result<Receiver, NodeError> {
    let bound = Datagrams::bind(addr, running.hello.clone(), peers, running.inbox.clone()).await;
    let (datagrams, receiver) = bound.map_err(|error| NodeError::Datagrams { addr, error })?;
    running.peers.connect_datagrams(datagrams);
    Ok(receiver)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A node before it runs: what all roles have in common.
struct Start<'a> {
    cluster: ClusterId,
    role: RoleName,
    node: NodeId,
    datacenter: Option<String>,
    boot: Boot,
    options: &'a Options,
}

#[derive(Serialize)]
struct Head<'a> {
    build: &'a str,
    role: RoleName,
    node: NodeId,
    boot: Boot,
    config: String,
}

impl<'a> Start<'a> {
    fn new(cluster: ClusterId, role: RoleName, node: NodeId, options: &'a Options) -> Self {
        Self { cluster, role, node, datacenter: None, boot: boot::draw(), options }
    }

    /// A node with peers must have been formed; one alone forms itself.
    fn disk(&self, dir: &Path, group: &ConsensusConfig) -> Result<Disk, StoreError> {
        let owner = Owner { cluster: self.cluster, role: self.role, node: self.node };
        let alone = Expect::Any(DiskId::new(boot::entropy()));
        Disk::open(dir, owner, if group.peers.is_empty() { alone } else { Expect::Formed })
    }

    fn recorder(&self, config: &impl std::fmt::Debug) -> Result<Option<Recorder>, NodeError> {
        let Some(path) = &self.options.record else { return Ok(None) };
        let head = Head {
            build: env!("CARGO_PKG_VERSION"),
            role: self.role,
            node: self.node,
            boot: self.boot,
            config: format!("{config:?}"),
        };
        let created = Recorder::create(path, &head).map(Some);
        created.map_err(|error| NodeError::Io { what: "the recording", error })
    }

    fn run<R, W>(
        mut self,
        config: R::Config,
        disk: Disk,
        seat: Seat,
        world: impl FnOnce(Peers) -> W,
    ) -> Result<Running, NodeError>
    where
        R: Role + Send + 'static,
        R::Config: std::fmt::Debug,
        W: World + Send + 'static,
    {
        self.boot.disk = disk.id;
        let recorder = self.recorder(&config)?;
        let node = Node::<R>::recover(self.node, config, self.boot, disk.recovered)?;
        let Seat { inbox, peers, inputs } = seat;
        if let Some(sampling) = self.options.sampling {
            sampler::start(&inbox, peers.clone(), sampling.memory_max);
        }
        let driver = Driver::new(node, world(peers.clone()), disk.journal, inputs);
        let events = self.options.event_log.as_ref().map(|log| log.of(self.node));
        let driver = driver.recording(recorder).observed(events);
        let task = tokio::spawn(driver.run(R::is_drained));
        let environment = self.options.environment.clone();
        let hello = Hello {
            cluster: self.cluster,
            role: self.role,
            node: self.node,
            datacenter: self.datacenter,
            disk: self.boot.disk,
            boot: self.boot.id,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            environment: environment.unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()),
            features: Features::of_minor(VERSION.minor),
        };
        Ok(Running { inbox, peers, hello, task })
    }
}

/// Starts a gate on the disk at `dir`; it talks to whom its seat's peers reach.
///
/// # Errors
/// [`NodeError`]; nothing runs.
pub fn start_gate(
    seat: Seat,
    cluster: ClusterId,
    config: GateConfig,
    dir: &Path,
    options: &Options,
) -> Result<(Running, calls::Gate), NodeError> {
    let start = Start::new(cluster, RoleName::Gate, config.node, options);
    let disk = start.disk(dir, &config.consensus)?;
    let gate = calls::Gate::new(seat.inbox.clone());
    let world = |peers| Outside { peers, gate: Some(gate.clone()), engine: None };
    let running = start.run::<Gate, _>(config, disk, seat, world)?;
    Ok((running, gate))
}

/// Starts a manager on the disk at `dir`.
///
/// # Errors
/// [`NodeError`]; nothing runs.
pub fn start_manager(
    seat: Seat,
    cluster: ClusterId,
    config: ManagerConfig,
    dir: &Path,
    options: &Options,
) -> Result<Running, NodeError> {
    let mut start = Start::new(cluster, RoleName::Manager, config.node, options);
    start.datacenter = Some(config.datacenter.clone());
    let disk = start.disk(dir, &config.consensus)?;
    let world = |peers| Outside { peers, gate: None, engine: None };
    start.run::<Manager, _>(config, disk, seat, world)
}

/// Starts a worker with its engine.
///
/// # Errors
/// [`NodeError`]; nothing runs.
pub fn start_worker(
    seat: Seat,
    cluster: ClusterId,
    config: WorkerConfig,
    engine: impl FnOnce(mpsc::Sender<Input>) -> std::io::Result<Orders>,
    options: &Options,
) -> Result<Running, NodeError> {
    let start = Start::new(cluster, RoleName::Worker, config.node, options);
    let disk =
        Disk { id: DiskId::new(0), recovered: Recovered::default(), journal: Journal::none() };
    let engine = engine(seat.inbox.clone())
        .map_err(|error| NodeError::Io { what: "the load engine", error })?;
    // The task ends with the node's queue.
    sampler::start(&seat.inbox, seat.peers.clone(), None);
    let world = |peers| Outside { peers, gate: None, engine: Some(engine) };
    start.run::<Worker, _>(config, disk, seat, world)
}

/// The outside of a node in this process.
struct Outside {
    peers: Peers,
    gate: Option<calls::Gate>,
    engine: Option<Orders>,
}

impl World for Outside {
    fn send(&mut self, to: NodeId, msg: Box<Message>) {
        self.peers.send(to, msg);
    }

    fn reply(&mut self, call: CallId, reply: Box<Reply>) {
        if let Some(gate) = &self.gate {
            gate.reply(call, *reply);
        }
    }

    fn publish(&mut self, job: JobId, update: Box<Update>) {
        if let Some(gate) = &self.gate {
            gate.publish(job, *update);
        }
    }

    fn order(&mut self, order: EngineOrder) {
        if let Some(engine) = &mut self.engine {
            engine(order);
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.hang_up();
        }
    }
}

/// Runs a started node until `stop` resolves, then drains it: until it has ended, but no longer
/// than `patience`, or until `stop` resolves again. The stages are the node's: nothing new is
/// taken, runs end or are handed over, what was reported is acknowledged, what waits for the
/// journal has left. Its event log is closed after all of that.
///
/// # Errors
/// When the node failed.
pub async fn until_stopped<F: Future<Output = ()>>(
    mut running: Running,
    patience: Duration,
    mut stop: impl FnMut() -> F,
) -> Result<(), NodeError> {
    tokio::select! {
        ended = running.ended() => return ended,
        () = stop() => {}
    }
    tracing::info!("draining; a second signal ends at once");
    running.drain().await;
    tokio::select! {
        ended = running.ended() => ended,
        () = stop() => Ok(()),
        () = tokio::time::sleep(patience) => {
            tracing::warn!(?patience, "not drained in time; ending all the same");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
