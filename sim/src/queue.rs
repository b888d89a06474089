//! The event queue: ordered by (true time, drawn tie-break, sequence). Nothing is scheduled that
//! does not happen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::streams::{Stream, Streams};

/// What the queue holds: small and plain, everything big lives in slabs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A message in flight arrives.
    Deliver {
        /// Its place in the network's slab.
        flight: u32,
    },
    /// A node asked to be woken. Ignored unless it is the node's current wish.
    Wake {
        /// Which node.
        host: u16,
        /// The wish's number.
        wish: u32,
    },
    /// An fsync of a node's disk ends.
    Synced {
        /// Which node.
        host: u16,
        /// The life that began it.
        life: u32,
    },
    /// A worker's engine has something to do or to say.
    Engine {
        /// Which node.
        host: u16,
        /// The wish's number.
        wish: u32,
    },
    /// A fault begins or ends.
    Fault {
        /// Its place in the case's list.
        index: u32,
    },
    /// A node that died starts again.
    Restart {
        /// Which node.
        host: u16,
    },
    /// A paused node goes on.
    Resume {
        /// Which node.
        host: u16,
        /// The pause that ends.
        pause: u32,
    },
    /// A client acts.
    Client {
        /// Which client.
        client: u16,
        /// The wish's number.
        wish: u32,
    },
    /// Somebody asks about a client's job.
    Aside {
        /// Its place in the case's list.
        index: u32,
    },
    /// The observer looks whether the case is over.
    Look,
}

impl Event {
    /// The stable name whose ordinals key the tie-break.
    fn entity(self) -> u64 {
        match self {
            Event::Deliver { flight } => 1 << 40 | u64::from(flight),
            Event::Wake { host, .. }
            | Event::Synced { host, .. }
            | Event::Engine { host, .. }
            | Event::Restart { host }
            | Event::Resume { host, .. } => 16 + u64::from(host),
            Event::Fault { .. } => 2,
            Event::Client { client, .. } => 1 << 20 | u64::from(client),
            Event::Look => 3,
            Event::Aside { .. } => 4,
        }
    }
}

/// An event and its place in the order: true time, tie-break, sequence.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    order: u64,
    event: Event,
}

impl Entry {
    fn key(&self) -> u128 {
        u128::from(self.at) << 64 | u128::from(self.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest one is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Events to come.
#[derive(Clone, Debug)]
pub struct Queue {
    heap: BinaryHeap<Entry>,
    streams: Streams,
    /// Half of a key: overflows loudly after four billion events.
    sequence: u32,
}

impl Queue {
    /// An empty queue that draws its tie-breaks from these streams.
    pub fn new(streams: Streams) -> Self {
        Self { heap: BinaryHeap::new(), streams, sequence: 0 }
    }

    /// Schedules an event at a true time.
    pub fn push(&mut self, at: u64, event: Event) {
        self.push_of(at, event, event.entity());
    }

    /// Schedules an event of this entity. The tie-break is a function of entity and time, never of
    /// what else is scheduled; events of one entity at one instant keep their order.
    pub fn push_of(&mut self, at: u64, event: Event, entity: u64) {
        let tie = self.streams.bits(Stream::Sched, entity, at);
        self.sequence += 1;
        let order = tie << 32 | u64::from(self.sequence);
        self.heap.push(Entry { at, order, event });
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// The time of the next event.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Events scheduled.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is scheduled.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_orders_and_ties_are_drawn() {
        let order = |seed| {
            let mut queue = Queue::new(Streams::new(seed));
            for client in 0..20 {
                queue.push(5, Event::Client { client, wish: 0 });
            }
            queue.push(4, Event::Look);
            assert_eq!(queue.pop(), Some((4, Event::Look)));
            std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }
}
