//! Starts nodes from their configuration: the three programs, and the whole cluster of `run`.
//!
//! What stops a node from starting is exit 104, with nothing lost; what ends a running one is exit
//! 70.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hyperscale_core::config::ConfigError;
use hyperscale_core::ids::{ClusterId, NodeId};
use hyperscale_core::input::Input;
use hyperscale_runtime::api;
use hyperscale_runtime::config::{
    GateFile, ManagerFile, NodeFile, PeerFile, WorkerFile, available_cores,
};
use hyperscale_runtime::events::EventLog;
use hyperscale_runtime::load::Engine;
use hyperscale_runtime::local::{Cluster, LocalOptions};
use hyperscale_runtime::node::{self, NodeError, Options, Orders, Running, Sampling, Seat};
use hyperscale_runtime::store::StoreError;
use hyperscale_runtime::transport::{Dial, Listener, Receiver, dial, listen};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::args;
use crate::daemon::Launch;
use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) async fn run_gate(file: GateFile, launch: Launch) -> Result<(), Failure> {
    let config = file.checked().map_err(|error| invalid(&error))?;
    let (cluster, seat) = (ClusterId::new(file.cluster), Seat::new(NodeId::new(file.node)));
    let memory_max = file.admission.memory_max_mb.map(|mb| mb.saturating_mul(1 << 20));
    let sampling = Some(Sampling { memory_max });
    let options = Options { sampling, ..options!(file)? };
    let started = node::start_gate(seat, cluster, config, &file.state_dir, &options);
    let (running, gate) = started.map_err(|error| unformed(error, &launch))?;
    let listener = TcpListener::bind(file.api)
        .await
        .map_err(|error| refused(NodeError::Listen { addr: file.api.to_string(), error }))?;
    let _peers = match file.listen {
        Some(addr) => Some(open(&running, addr, file.dials()).await?),
        None => None,
    };
    connect(&running, file.dials());
    for datacenter in &file.datacenters {
        connect(&running, datacenter.managers.iter().map(PeerFile::dial));
    }
    tracing::info!(node = file.node, api = %file.api, disk = %running.hello.disk, "gate started");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(api::serve(listener, gate.clone(), file.apis(), async {
        let _ = stopped.await;
    }));
    let asked = async {
        tokio::select! {
            () = launch.interrupt.asked() => {}
            () = gate.asked_to_drain() => {}
        }
    };
    let ended = drained(running, file.drain_timeout_ms, asked).await;
    drop(stop);
    match serving.await {
        Ok(Ok(())) => ended,
        Ok(Err(error)) => ended.and(Err(Failure::other(format!("the API stopped: {error}")))),
        Err(error) => ended.and(Err(Failure::new(Exit::Internal, error))),
    }
}

pub(crate) async fn run_manager(file: ManagerFile, launch: Launch) -> Result<(), Failure> {
    let config = file.checked().map_err(|error| invalid(&error))?;
    let (cluster, seat) = (ClusterId::new(file.cluster), Seat::new(NodeId::new(file.node)));
    let options = options!(file)?;
    let started = node::start_manager(seat, cluster, config, &file.state_dir, &options);
    let running = started.map_err(|error| unformed(error, &launch))?;
    let _listener = open(&running, file.listen, file.dials()).await?;
    connect(&running, file.dials());
    let disk = running.hello.disk;
    tracing::info!(node = file.node, listen = %file.listen, %disk, "manager started");
    drained(running, file.drain_timeout_ms, launch.interrupt.asked()).await
}

pub(crate) async fn run_worker(file: WorkerFile, launch: Launch) -> Result<(), Failure> {
    let config = file.checked().map_err(|error| invalid(&error))?;
    let (cluster, seat) = (ClusterId::new(file.cluster), Seat::new(NodeId::new(file.node)));
    let engine = engine(config.cores);
    let options = options!(file)?;
    let started = node::start_worker(seat, cluster, config, engine, &options);
    let running = started.map_err(refused)?;
    let managers: Vec<Dial> = file.managers.iter().map(PeerFile::dial).collect();
    let any = any_port(&managers).await;
    let _datagrams =
        node::open_datagrams(&running, any, managers.clone()).await.map_err(refused)?;
    connect(&running, managers);
    tracing::info!(node = file.node, "worker started");
    drained(running, file.drain_timeout_ms, launch.interrupt.asked()).await
}

/// What every node's file says about how it is observed.
macro_rules! options {
    ($file:expr) => {
        event_log($file.event_log.as_ref(), $file.node).map(|event_log| Options {
            record: $file.record.clone(),
            environment: Some($file.environment.clone()),
            sampling: None,
            event_log,
        })
    };
}
use options;

fn event_log(path: Option<&PathBuf>, node: u64) -> Result<Option<EventLog>, Failure> {
    let Some(path) = path else { return Ok(None) };
    EventLog::open(path, NodeId::new(node)).map(Some).map_err(|error| {
        Failure::new(Exit::Invalid, format!("the event log {}: {error}", path.display()))
    })
}

/// Any port, in the address family of the managers.
async fn any_port(managers: &[Dial]) -> SocketAddr {
    for manager in managers {
        if let Ok(mut found) = tokio::net::lookup_host(&manager.addr).await
            && found.next().is_some_and(|addr| addr.is_ipv6())
        {
            return SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        }
    }
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
}

/// Lets peers connect, and members speak.
async fn open(
    running: &Running,
    addr: SocketAddr,
    members: Vec<Dial>,
) -> Result<(Listener, Receiver), Failure> {
    let datagrams = node::open_datagrams(running, addr, members).await.map_err(refused)?;
    let addr = addr.to_string();
    let (hello, peers) = (running.hello.clone(), running.peers.clone());
    let listener = listen(&addr, hello, peers, running.inbox.clone())
        .await
        .map_err(|error| refused(NodeError::Listen { addr, error }))?;
    Ok((listener, datagrams))
}

fn connect(running: &Running, peers: impl IntoIterator<Item = Dial>) {
    for peer in peers {
        let (hello, book) = (running.hello.clone(), running.peers.clone());
        // The task ends with the node's queue.
        drop(dial(peer, hello, book, running.inbox.clone()));
    }
}

/// The second signal ends the process elsewhere, so only the first is waited for.
async fn drained(
    running: Running,
    patience_ms: u64,
    asked: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let mut asked = Some(asked);
    let stop = || {
        let asked = asked.take();
        async {
            match asked {
                Some(asked) => asked.await,
                None => std::future::pending().await,
            }
        }
    };
    let patience = Duration::from_millis(patience_ms);
    node::until_stopped(running, patience, stop).await.map_err(halted)
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
        let record = args.record.clone();
        let event_log = event_log(args.event_log.as_ref(), 0)?;
        let options = LocalOptions { state_dir, cores, record, event_log };
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

/// A node that has peers must not begin a group by itself: after a lost disk there would be two.
fn unformed(error: NodeError, launch: &Launch) -> Failure {
    let NodeError::Store(StoreError::Unformed { path }) = error else { return refused(error) };
    let mut message = format!(
        "{} holds no state, and this node has peers. Run one of these, then start it again:",
        path.display()
    );
    for (what, when) in [
        ("init", "the first node of a new group"),
        ("join", "a further node of the group"),
        ("replace --disk OLD", "a node that lost the disk OLD, see `hyperscale cluster`"),
    ] {
        let file = launch.config.display();
        message += &format!("\n  hyperscale cluster {what} --config {file}   # {when}");
    }
    Failure::new(Exit::Invalid, message)
}

fn refused(error: NodeError) -> Failure {
    let exit = match &error {
        NodeError::Store(_)
        | NodeError::Recover(_)
        | NodeError::Listen { .. }
        | NodeError::Datagrams { .. } => Exit::Invalid,
        NodeError::Io { .. } => Exit::Other,
        NodeError::Driver(_) | NodeError::Died => Exit::Internal,
    };
    Failure::new(exit, error)
}

fn halted(error: NodeError) -> Failure {
    Failure::new(Exit::Internal, error)
}
