//! The address book of a node: where each peer is reached at the moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyperscale_core::ids::NodeId;
use hyperscale_core::input::Input;
use hyperscale_core::wire::Message;
use tokio::sync::mpsc;

use super::link;

/// How one peer is reached.
#[derive(Clone, Debug)]
enum Route {
    /// A node in this process.
    Inbox(mpsc::Sender<Input>),
    /// A connection; the number tells it from an earlier one of the same peer.
    Wire(u64, mpsc::Sender<Bytes>),
}

#[derive(Debug, Default)]
struct Book {
    routes: HashMap<NodeId, Route>,
    connections: u64,
    dropped: u64,
}

/// Clones share one book.
#[derive(Clone, Debug)]
pub struct Peers {
    me: NodeId,
    book: Arc<Mutex<Book>>,
}

impl Peers {
    /// An empty book of the node `me`.
    pub fn new(me: NodeId) -> Self {
        Self { me, book: Arc::default() }
    }

    /// Reaches `peer` through its queue in this process.
    pub fn connect_inbox(&self, peer: NodeId, inbox: mpsc::Sender<Input>) {
        self.lock().routes.insert(peer, Route::Inbox(inbox));
    }

    /// Reaches `peer` through a connection from here on; gives the connection's number.
    pub(super) fn connect_wire(&self, peer: NodeId, frames: mpsc::Sender<Bytes>) -> u64 {
        let mut book = self.lock();
        book.connections += 1;
        let connection = book.connections;
        book.routes.insert(peer, Route::Wire(connection, frames));
        connection
    }

    /// Forgets a connection unless a newer one took its place.
    pub(super) fn disconnect_wire(&self, peer: NodeId, connection: u64) {
        let mut book = self.lock();
        if matches!(book.routes.get(&peer), Some(Route::Wire(number, _)) if *number == connection) {
            book.routes.remove(&peer);
        }
    }

    /// Whether there is a way to `peer`.
    pub fn reaches(&self, peer: NodeId) -> bool {
        self.lock().routes.contains_key(&peer)
    }

    /// Sends a message, or drops it when the peer is not connected or does not keep up.
    pub fn send(&self, to: NodeId, msg: Box<Message>) {
        let route = self.lock().routes.get(&to).cloned();
        let sent = match route {
            Some(Route::Inbox(inbox)) => {
                inbox.try_send(Input::Received { from: self.me, msg }).is_ok()
            }
            Some(Route::Wire(_, frames)) => {
                link::encode(&msg).is_some_and(|frame| frames.try_send(frame).is_ok())
            }
            None => false,
        };
        if !sent {
            let mut book = self.lock();
            book.dropped += 1;
            tracing::trace!(%to, dropped = book.dropped, "message dropped");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
