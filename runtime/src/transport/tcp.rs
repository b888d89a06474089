//! Listening and dialling, with back-off.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyperscale_core::discovery::Chooser;
use hyperscale_core::ids::NodeId;
use hyperscale_core::input::Input;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock;
use crate::discovery::{Names, Target, TargetError};

use super::greeting::Hello;
use super::link::Link;
use super::peers::{Direction, Peers};

/// Connections one node accepts at a time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16_384;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A bound listener; dropping it closes it and every connection it accepted.
#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts peers and feeds what they say into `inbox`.
///
/// # Errors
/// When the address cannot be bound (`AddrInUse` when the port is taken).
pub async fn listen(
    addr: &str,
    me: Hello,
    peers: Peers,
    inbox: mpsc::Sender<Input>,
) -> io::Result<Listener> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let task = tokio::spawn(accept(listener, me, peers, inbox));
    Ok(Listener { addr, task })
}

async fn accept(listener: TcpListener, me: Hello, peers: Peers, inbox: mpsc::Sender<Input>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, addr)) => {
                let (me, peers, inbox) = (me.clone(), peers.clone(), inbox.clone());
                connections.spawn(serve(stream, addr, me, peers, inbox));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BACKOFF_MIN).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    addr: SocketAddr,
    me: Hello,
    peers: Peers,
    inbox: mpsc::Sender<Input>,
) {
    match Link::greet(stream, &me, None).await {
        Ok(link) => {
            let (node, role) = (link.peer.node, link.peer.role);
            let (minor, features) = (link.minor, link.features());
            tracing::info!(%node, %role, %addr, minor, %features, "connected");
            let reason = link.run(Direction::Accepted, &peers, &inbox).await;
            tracing::info!(%node, %role, %addr, reason, "disconnected");
        }
        Err(error) => tracing::warn!(%addr, %error, "a peer was refused"),
    }
}

/// A peer to keep a connection to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dial {
    /// Who is expected there.
    pub node: NodeId,
    /// `host:port`, `dns://host:port` or `srv://_service._proto.name`.
    pub addr: String,
}

/// Addresses of one name that are tried before the name is asked about again.
const TRIES_MAX: usize = 8;

/// A peer that is looked for.
#[derive(Debug)]
struct Search {
    to: Dial,
    target: Result<Target, String>,
    names: Names,
    chooser: Chooser,
    /// Nothing that was known before was of use.
    fresh: bool,
}

impl Search {
    fn new(to: Dial, me: NodeId, names: Names) -> Self {
        let target = to.addr.parse().map_err(|error: TargetError| error.to_string());
        Self { to, target, names, chooser: Chooser::new(me.get()), fresh: false }
    }

    /// Connects to the first address at which the peer answers.
    async fn connect(&mut self, me: &Hello) -> Result<Link, String> {
        let target = self.target.as_ref().map_err(Clone::clone)?;
        let found = self.names.resolve(target, std::mem::replace(&mut self.fresh, true)).await;
        self.chooser.on_resolved(found.map_err(|error| error.to_string())?);
        let order = self.chooser.order(clock::now());
        let order: Vec<String> =
            order.into_iter().take(TRIES_MAX).map(|of| of.address.clone()).collect();
        let mut failure = String::new();
        for address in order {
            match connect(&address, self.to.node, me).await {
                Ok(link) => {
                    self.chooser.on_worked(&address);
                    self.fresh = false;
                    return Ok(link);
                }
                Err(error) => {
                    self.chooser.on_failed(clock::now(), &address);
                    failure = error;
                }
            }
        }
        Err(failure)
    }
}

/// Keeps a connection to a peer until the task is aborted or the node ends; backs off between
/// attempts.
pub fn dial(to: Dial, me: Hello, peers: Peers, inbox: mpsc::Sender<Input>) -> JoinHandle<()> {
    let search = Search::new(to, me.node, Names::system());
    tokio::spawn(keep(search, me, peers, inbox))
}

async fn keep(mut search: Search, me: Hello, peers: Peers, inbox: mpsc::Sender<Input>) {
    let to = search.to.clone();
    let mut backoff = BACKOFF_MIN;
    let mut told = String::new();
    while !inbox.is_closed() {
        let failure = match search.connect(&me).await {
            Ok(link) => {
                tracing::info!(node = %to.node, addr = to.addr, "connected");
                (backoff, told) = (BACKOFF_MIN, String::new());
                link.run(Direction::Dialled, &peers, &inbox).await
            }
            Err(failure) => failure,
        };
        if failure != told {
            tracing::warn!(node = %to.node, addr = to.addr, failure, "not connected");
            told = failure;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn connect(address: &str, node: NodeId, me: &Hello) -> Result<Link, String> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))?
        .map_err(|error| error.to_string())?;
    Link::greet(stream, me, Some(node)).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
