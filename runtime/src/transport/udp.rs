//! Datagrams between members: one frame each, at most `DATAGRAM_MAX` bytes.
//!
//! A gate and a manager use the port of their TCP listener, a worker any port: whoever has heard
//! from it answers to where it spoke from. Core knows members by number alone, so a datagram
//! carries the addresses that the sender knows of the members it mentions. An address that a
//! member spoke from holds against what others say for `SEEN_FOR`; configured addresses are
//! resolved again and again and hold only where nothing better is known.
//!
//! A datagram of another cluster, role, datacenter or major version is counted and dropped.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::{ClusterId, NodeId};
use hyperscale_core::input::Input;
use hyperscale_core::limits::{DATAGRAM_MAX, MEMBERS_MAX, SWIM_UPDATES_MAX};
use hyperscale_core::membership::{Kind, MemberRole, Message};
use hyperscale_core::wire::frame::{FrameReader, HEADER_LEN, encode_frame};
use hyperscale_core::wire::{self, codec};
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::greeting::{GreetingError, Hello, RoleName};
use super::tcp::Dial;

const CLASS_DATAGRAM: u8 = 2;
/// Addresses of one datagram.
const ADDRESSES_MAX: usize = SWIM_UPDATES_MAX + 1;
/// An address that a member spoke from holds for so long.
const SEEN_FOR: Duration = Duration::from_secs(30);
/// Configured names are resolved so often.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Datagram {
    cluster: ClusterId,
    environment: String,
    datacenter: Option<String>,
    addresses: BoundedVec<(NodeId, SocketAddr), ADDRESSES_MAX>,
    msg: Message,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    addr: SocketAddr,
    seen: Option<Instant>,
}

/// Why a datagram was dropped. Nothing it said reached the node.
#[derive(Debug, thiserror::Error)]
enum Dropped {
    #[error(transparent)]
    Foreign(#[from] GreetingError),
    #[error("not a datagram of ours: {0}")]
    Damaged(String),
}

#[derive(Debug)]
struct Shared {
    me: Hello,
    socket: UdpSocket,
    places: Mutex<HashMap<NodeId, Place>>,
    dropped: AtomicU64,
}

/// A node's socket for datagrams; clones share it.
#[derive(Clone, Debug)]
pub struct Datagrams {
    shared: Arc<Shared>,
}

/// Receives until it is dropped.
#[derive(Debug)]
pub struct Receiver(Vec<JoinHandle<()>>);

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Datagrams {
    /// Binds a socket and feeds what members say into `inbox`; `peers` are where the
    /// configuration says.
    ///
    /// # Errors
    /// When the address cannot be bound (`AddrInUse` when the port is taken).
    pub async fn bind(
        addr: SocketAddr,
        me: Hello,
        peers: Vec<Dial>,
        inbox: mpsc::Sender<Input>,
    ) -> io::Result<(Self, Receiver)> {
        let socket = UdpSocket::bind(addr).await?;
        let (places, dropped) = (Mutex::default(), AtomicU64::new(0));
        let shared = Arc::new(Shared { me, socket, places, dropped });
        let receiving = tokio::spawn(receive(Arc::clone(&shared), inbox));
        let resolving = tokio::spawn(resolve(Arc::clone(&shared), peers));
        Ok((Self { shared }, Receiver(vec![receiving, resolving])))
    }

    /// Where it receives.
    ///
    /// # Errors
    /// What the system says.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.shared.socket.local_addr()
    }

    /// Datagrams that were dropped on arrival.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Sends to a member whose address is known; whether it left.
    pub(super) fn send(&self, to: NodeId, msg: Message) -> bool {
        let Some(place) = self.shared.places().get(&to).copied() else { return false };
        let Some(bytes) = self.shared.encode(to, msg) else { return false };
        self.shared.socket.try_send_to(&bytes, place.addr).is_ok()
    }
}

impl Shared {
    fn places(&self) -> MutexGuard<'_, HashMap<NodeId, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As many addresses go along as the datagram has room for.
    fn encode(&self, to: NodeId, msg: Message) -> Option<Vec<u8>> {
        let mut wanted: Vec<NodeId> = msg.updates.iter().map(|update| update.node).collect();
        if let Kind::Ask { target, .. } = msg.kind {
            wanted.insert(0, target);
        }
        let known = |node: NodeId| Some((node, self.places().get(&node)?.addr));
        let others = wanted.into_iter().filter(|node| *node != to && *node != self.me.node);
        let mut addresses: Vec<_> = others.filter_map(known).take(ADDRESSES_MAX).collect();
        let (cluster, datacenter) = (self.me.cluster, self.me.datacenter.clone());
        let (environment, none) = (self.me.environment.clone(), BoundedVec::default());
        let mut datagram = Datagram { cluster, environment, datacenter, addresses: none, msg };
        loop {
            datagram.addresses = BoundedVec::try_from(addresses.clone()).ok()?;
            match codec::encode(&datagram, DATAGRAM_MAX - HEADER_LEN) {
                Ok(payload) => {
                    let mut out = Vec::with_capacity(payload.len() + HEADER_LEN);
                    encode_frame(CLASS_DATAGRAM, &payload, &mut out).ok()?;
                    return Some(out);
                }
                Err(_) => drop(addresses.pop()?),
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Datagram, Dropped> {
        let damaged = |what: &dyn std::fmt::Display| Dropped::Damaged(what.to_string());
        let mut frames = FrameReader::new();
        frames.push(bytes);
        let frame = frames.next_frame().map_err(|error| damaged(&error))?;
        let frame = frame.filter(|frame| frame.class == CLASS_DATAGRAM);
        let frame = frame.ok_or_else(|| damaged(&"no frame"))?;
        let datagram: Datagram = codec::decode(frame.payload).map_err(|error| damaged(&error))?;
        self.accept(&datagram)?;
        Ok(datagram)
    }

    fn accept(&self, datagram: &Datagram) -> Result<(), GreetingError> {
        let (theirs, ours) = (datagram.cluster, self.me.cluster);
        if theirs != ours {
            return Err(GreetingError::Cluster { theirs, ours });
        }
        let (theirs, ours) = (&datagram.environment, &self.me.environment);
        if theirs != ours {
            let (theirs, ours) = (theirs.clone(), ours.clone());
            return Err(GreetingError::Environment { theirs, ours });
        }
        let (theirs, ours) = (name(datagram.msg.sender.role), self.me.role);
        if (theirs == RoleName::Gate) != (ours == RoleName::Gate) {
            return Err(GreetingError::Role { theirs, ours });
        }
        if let (Some(theirs), Some(ours)) = (&datagram.datacenter, &self.me.datacenter)
            && theirs != ours
        {
            let (theirs, ours) = (theirs.clone(), ours.clone());
            return Err(GreetingError::Datacenter { theirs, ours });
        }
        let node = datagram.msg.sender.node;
        if node == self.me.node { Err(GreetingError::Itself { node }) } else { Ok(()) }
    }

    fn on_datagram(&self, source: SocketAddr, datagram: &Datagram) {
        let now = Instant::now();
        let mut places = self.places();
        let sender = datagram.msg.sender.node;
        for (node, addr) in datagram.addresses.iter().copied() {
            let seen = places.get(&node).and_then(|place| place.seen);
            let is_seen = seen.is_some_and(|at| now.duration_since(at) < SEEN_FOR);
            if !is_seen && (places.len() < MEMBERS_MAX || places.contains_key(&node)) {
                places.insert(node, Place { addr, seen: None });
            }
        }
        if places.len() < MEMBERS_MAX || places.contains_key(&sender) {
            places.insert(sender, Place { addr: source, seen: Some(now) });
        }
    }

    fn drop_it(&self, source: SocketAddr, why: &Dropped) {
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // A stranger may send as much as it likes: the log grows with the logarithm.
        if dropped.is_power_of_two() {
            tracing::warn!(%source, %why, dropped, "a datagram was dropped");
        }
    }
}

async fn receive(shared: Arc<Shared>, inbox: mpsc::Sender<Input>) {
    let mut buffer = [0; DATAGRAM_MAX + 1];
    loop {
        let received = tokio::select! {
            received = shared.socket.recv_from(&mut buffer) => received,
            () = inbox.closed() => return,
        };
        let (length, source) = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "cannot receive a datagram");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        match shared.decode(&buffer[..length]) {
            Ok(datagram) => {
                shared.on_datagram(source, &datagram);
                let from = datagram.msg.sender.node;
                let msg = Box::new(wire::Message::Swim(datagram.msg));
                // A full queue loses it, as a network would.
                let _ = inbox.try_send(Input::Received { from, msg });
            }
            Err(why) => shared.drop_it(source, &why),
        }
    }
}

async fn resolve(shared: Arc<Shared>, peers: Vec<Dial>) {
    loop {
        for peer in &peers {
            let Ok(mut found) = tokio::net::lookup_host(&peer.addr).await else { continue };
            let mut places = shared.places();
            let seen = places.get(&peer.node).and_then(|place| place.seen);
            let is_seen = seen.is_some_and(|at| at.elapsed() < SEEN_FOR);
            if let Some(addr) = found.next().filter(|_| !is_seen) {
                places.insert(peer.node, Place { addr, seen: None });
            }
        }
        tokio::time::sleep(RESOLVE_EVERY).await;
    }
}

fn name(role: MemberRole) -> RoleName {
    match role {
        MemberRole::Gate => RoleName::Gate,
        MemberRole::Manager => RoleName::Manager,
        MemberRole::Worker => RoleName::Worker,
    }
}

#[cfg(test)]
mod tests;
