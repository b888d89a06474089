//! Starts nodes from their configuration: the three programs, and the whole cluster of `run`.
//!
//! What stops a node from starting is exit 104, with nothing lost; what ends a running one is exit
//! 70.

use std::io;
use std::path::PathBuf;

use hyperscale_core::config::ConfigError;
use hyperscale_core::ids::{ClusterId, NodeId};
use hyperscale_core::input::Input;
use hyperscale_runtime::api;
use hyperscale_runtime::config::{GateFile, ManagerFile, PeerFile, WorkerFile, available_cores};
use hyperscale_runtime::load::Engine;
use hyperscale_runtime::local::{Cluster, LocalOptions};
use hyperscale_runtime::node::{self, NodeError, Options, Orders, Running, Seat};
use hyperscale_runtime::transport::{dial, listen};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::args;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;

pub(crate) async fn run_gate(file: GateFile, interrupt: Interrupt) -> Result<(), Failure> {
    let config = file.checked().map_err(|error| invalid(&error))?;
    let (cluster, seat) = (ClusterId::new(file.cluster), Seat::new(NodeId::new(file.node)));
    let started = node::start_gate(seat, cluster, config, &file.state_dir, &Options::default());
    let (running, gate) = started.map_err(refused)?;
    let listener = TcpListener::bind(file.api)
        .await
        .map_err(|error| refused(NodeError::Listen { addr: file.api.to_string(), error }))?;
    for datacenter in &file.datacenters {
        connect(&running, &datacenter.managers);
    }
    tracing::info!(node = file.node, api = %file.api, "gate started");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(api::serve(listener, gate, async {
        let _ = stopped.await;
    }));
    let ended = drained(running, &interrupt).await;
    drop(stop);
    match serving.await {
        Ok(Ok(())) => ended,
        Ok(Err(error)) => ended.and(Err(Failure::other(format!("the API stopped: {error}")))),
        Err(error) => ended.and(Err(Failure::new(Exit::Internal, error))),
    }
}

pub(crate) async fn run_manager(file: ManagerFile, interrupt: Interrupt) -> Result<(), Failure> {
    let config = file.checked().map_err(|error| invalid(&error))?;
    let (cluster, seat) = (ClusterId::new(file.cluster), Seat::new(NodeId::new(file.node)));
    let started = node::start_manager(seat, cluster, config, &file.state_dir, &Options::default());
    let running = started.map_err(refused)?;
    let addr = file.listen.to_string();
    let (hello, peers, inbox) =
        (running.hello.clone(), running.peers.clone(), running.inbox.clone());
    let _listener = listen(&addr, hello, peers, inbox)
        .await
        .map_err(|error| refused(NodeError::Listen { addr, error }))?;
    tracing::info!(node = file.node, listen = %file.listen, "manager started");
    drained(running, &interrupt).await
}

pub(crate) async fn run_worker(file: WorkerFile, interrupt: Interrupt) -> Result<(), Failure> {
    let config = file.checked().map_err(|error| invalid(&error))?;
    let (cluster, seat) = (ClusterId::new(file.cluster), Seat::new(NodeId::new(file.node)));
    let engine = engine(config.cores);
    let started = node::start_worker(seat, cluster, config, engine, &Options::default());
    let running = started.map_err(refused)?;
    connect(&running, &file.managers);
    tracing::info!(node = file.node, "worker started");
    drained(running, &interrupt).await
}

fn connect(running: &Running, peers: &[PeerFile]) {
    for peer in peers {
        let (hello, book) = (running.hello.clone(), running.peers.clone());
        // The task ends with the node's queue.
        drop(dial(peer.dial(), hello, book, running.inbox.clone()));
    }
}

/// The second signal ends the process elsewhere, so only the first is waited for.
async fn drained(running: Running, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut first = true;
    let stop = || {
        let (interrupt, first) = (interrupt.clone(), std::mem::take(&mut first));
        async move {
            if !first {
                std::future::pending::<()>().await;
            }
            interrupt.asked().await;
        }
    };
    node::until_stopped(running, stop).await.map_err(halted)
}

/// The cluster of `run`, and the folder that goes with it.
#[derive(Debug)]
pub(crate) struct Local {
    /// Goes first: nothing may write to the folder when that is removed.
    cluster: Cluster,
    _temporary: Option<TempDir>,
}

impl Local {
    /// Starts gate, manager and worker in this process.
    pub(crate) fn start(args: &args::Run) -> Result<Self, Failure> {
        let (state_dir, temporary) = state_dir(args)
            .map_err(|error| Failure::new(Exit::Invalid, format!("the state folder: {error}")))?;
        let cores = args.cores.unwrap_or_else(available_cores);
        let options = LocalOptions { state_dir, cores, record: args.record.clone() };
        let cluster = Cluster::start(&options, engine(cores)).map_err(refused)?;
        Ok(Self { cluster, _temporary: temporary })
    }

    /// The way to its gate.
    pub(crate) fn gate(&self) -> hyperscale_runtime::calls::Gate {
        self.cluster.gate()
    }

    /// Resolves when a node has failed.
    pub(crate) async fn failed(&mut self) -> Failure {
        halted(self.cluster.failed().await)
    }
}

fn state_dir(args: &args::Run) -> io::Result<(PathBuf, Option<TempDir>)> {
    match &args.state_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            Ok((dir.clone(), None))
        }
        None => {
            let dir = tempfile::Builder::new().prefix("hyperscale-").tempdir()?;
            Ok((dir.path().to_owned(), Some(dir)))
        }
    }
}

fn engine(cores: u16) -> impl FnOnce(mpsc::Sender<Input>) -> io::Result<Orders> {
    move |events| {
        let mut engine = Engine::start(cores, events)?;
        Ok(Box::new(move |order| engine.order(order)))
    }
}

fn invalid(error: &ConfigError) -> Failure {
    Failure::new(Exit::Invalid, error)
}

fn refused(error: NodeError) -> Failure {
    let exit = match &error {
        NodeError::Store(_) | NodeError::Recover(_) | NodeError::Listen { .. } => Exit::Invalid,
        NodeError::Io { .. } => Exit::Other,
        NodeError::Driver(_) | NodeError::Died => Exit::Internal,
    };
    Failure::new(exit, error)
}

fn halted(error: NodeError) -> Failure {
    Failure::new(Exit::Internal, error)
}
