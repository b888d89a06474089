//! Listening and dialling, with back-off.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyperscale_core::ids::NodeId;
use hyperscale_core::input::Input;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

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
            tracing::info!(%node, %role, %addr, "connected");
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
    /// `host:port`.
    pub addr: String,
}

/// Keeps a connection to a peer until the task is aborted or the node ends; backs off between
/// attempts.
pub fn dial(to: Dial, me: Hello, peers: Peers, inbox: mpsc::Sender<Input>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut backoff = BACKOFF_MIN;
        let mut told = String::new();
        while !inbox.is_closed() {
            let failure = match connect(&to, &me).await {
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
    })
}

async fn connect(to: &Dial, me: &Hello) -> Result<Link, String> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&to.addr))
        .await
        .map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))?
        .map_err(|error| error.to_string())?;
    Link::greet(stream, me, Some(to.node)).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
