//! The address book of a node: where each peer is reached at the moment.
//!
//! Two nodes that are configured with each other keep two connections, one that each dialled. A
//! node sends over the one it dialled, else over the one it accepted; a newer connection of the
//! same direction takes the place of the older.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyperscale_core::flow::Class;
use hyperscale_core::ids::NodeId;
use hyperscale_core::input::Input;
use hyperscale_core::wire::Message;
use tokio::sync::mpsc;

use super::link;
use super::outbox::{Dropped, Outbox};
use super::udp::Datagrams;

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    /// This node.
    Dialled,
    /// The peer.
    Accepted,
}

/// A connection; the number tells it from an earlier one of the same peer.
#[derive(Clone, Debug)]
struct Wire {
    number: u64,
    /// In the form of this minor the peer is talked to.
    minor: u16,
    outbox: Outbox,
}

/// How one peer is reached.
#[derive(Clone, Debug, Default)]
struct Routes {
    inbox: Option<mpsc::Sender<Input>>,
    dialled: Option<Wire>,
    accepted: Option<Wire>,
}

#[derive(Debug, Default)]
struct Book {
    routes: HashMap<NodeId, Routes>,
    datagrams: Option<Datagrams>,
    connections: u64,
    dropped: Dropped,
}

/// Clones share one book.
#[derive(Clone, Debug)]
pub struct Peers {
    me: NodeId,
    book: Arc<Mutex<Book>>,
}

impl Routes {
    fn wire(&mut self, direction: Direction) -> &mut Option<Wire> {
        match direction {
            Direction::Dialled => &mut self.dialled,
            Direction::Accepted => &mut self.accepted,
        }
    }

    fn is_empty(&self) -> bool {
        self.inbox.is_none() && self.dialled.is_none() && self.accepted.is_none()
    }
}

impl Peers {
    /// An empty book of the node `me`.
    pub fn new(me: NodeId) -> Self {
        Self { me, book: Arc::default() }
    }

    /// Reaches `peer` through its queue in this process.
    pub fn connect_inbox(&self, peer: NodeId, inbox: mpsc::Sender<Input>) {
        self.lock().routes.entry(peer).or_default().inbox = Some(inbox);
    }

    /// What members say to each other goes through this socket, unless a queue is there.
    pub fn connect_datagrams(&self, datagrams: Datagrams) {
        self.lock().datagrams = Some(datagrams);
    }

    /// Reaches `peer` through a connection from here on; gives the connection's number.
    pub(super) fn connect_wire(
        &self,
        peer: NodeId,
        direction: Direction,
        (minor, outbox): (u16, Outbox),
    ) -> u64 {
        let mut book = self.lock();
        book.connections += 1;
        let number = book.connections;
        let routes = book.routes.entry(peer).or_default();
        let older = routes.wire(direction).replace(Wire { number, minor, outbox });
        if let Some(older) = older {
            older.outbox.close();
        }
        number
    }

    /// Forgets a connection unless a newer one took its place.
    pub(super) fn disconnect_wire(&self, peer: NodeId, direction: Direction, number: u64) {
        let mut book = self.lock();
        let Some(routes) = book.routes.get_mut(&peer) else { return };
        routes.wire(direction).take_if(|wire| wire.number == number);
        if routes.is_empty() {
            book.routes.remove(&peer);
        }
    }

    /// Whether there is a way to `peer`.
    pub fn reaches(&self, peer: NodeId) -> bool {
        self.lock().routes.contains_key(&peer)
    }

    /// Sends a message, or drops it when the peer is not connected or does not keep up.
    pub fn send(&self, to: NodeId, msg: Box<Message>) {
        let (routes, datagrams) = {
            let book = self.lock();
            (book.routes.get(&to).cloned().unwrap_or_default(), book.datagrams.clone())
        };
        let class = Class::of(&msg);
        let mut dropped = Dropped::default();
        let lost = match (routes.inbox, *msg) {
            (Some(inbox), msg) => {
                let msg = Box::new(msg);
                inbox.try_send(Input::Received { from: self.me, msg }).is_err()
            }
            (None, Message::Swim(msg)) => !datagrams.is_some_and(|socket| socket.send(to, msg)),
            (None, msg) => match routes.dialled.or(routes.accepted) {
                Some(wire) => match link::encode(&msg, wire.minor) {
                    Some(frame) => {
                        dropped = wire.outbox.push(class, frame);
                        false
                    }
                    None => true,
                },
                None => true,
            },
        };
        dropped[class.index()] += u64::from(lost);
        if dropped != Dropped::default() {
            self.on_dropped(dropped);
            tracing::trace!(%to, ?dropped, "messages dropped");
        }
    }

    /// Messages dropped since the start, by class.
    pub fn dropped(&self) -> [u64; 4] {
        self.lock().dropped
    }

    pub(super) fn on_dropped(&self, dropped: Dropped) {
        let mut book = self.lock();
        for (sum, more) in book.dropped.iter_mut().zip(dropped) {
            *sum += more;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
