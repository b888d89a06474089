//! The network: messages in flight in a slab, per directed link delay, loss, duplication, damage
//! and cuts.
//!
//! Every draw is keyed by (link, ordinal of the message on that link). A sampled share of the
//! messages goes through the real frame and codec; a damaged frame is refused by its checksum and
//! hence lost. What was in flight when its sender died still arrives.

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::limits;
use hyperscale_core::wire::{Message, codec, frame};
use slab::Slab;

use crate::queue::{Event, Queue};
use crate::streams::{Stream, Streams};

/// How long after a start an echo arrives at most, nanoseconds.
const ECHO_NS: u64 = 800_000_000;

/// What travels.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// Between nodes.
    Message(Box<Message>),
    /// Between nodes of different minors: the minor in whose form it is, and its bytes.
    Frame(u16, Vec<u8>),
    /// A client asks; the number is the client's own.
    Call(u64, Box<Command>),
    /// A gate answers the client's call of this number.
    Reply(u64, Box<Reply>),
}

/// A message in flight.
#[derive(Clone, Debug)]
pub struct Flight {
    /// The sender's place.
    pub from: u16,
    /// The receiver's place.
    pub to: u16,
    /// What it says.
    pub cargo: Cargo,
    /// The digest of that.
    pub digest: u64,
}

impl Flight {
    fn is_datagram(&self) -> bool {
        matches!(&self.cargo, Cargo::Message(msg) if matches!(**msg, Message::Swim(_)))
    }
}

/// What the network does to messages, times in nanoseconds, chances in millionths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// The shortest delay.
    pub delay_min: u64,
    /// The longest ordinary delay.
    pub delay_max: u64,
    /// How often a message is much slower.
    pub spike_ppm: u32,
    /// How much slower at most.
    pub spike_max: u64,
    /// How often a message may be overtaken.
    pub reorder_ppm: u32,
    /// How often a message is lost.
    pub loss_ppm: u32,
    /// How often a message arrives twice.
    pub dup_ppm: u32,
    /// How often the second one of those arrives very late.
    pub late_ppm: u32,
    /// How late at most.
    pub late_max: u64,
    /// How often a message to a process that will die arrives in a later life of it, too.
    pub echo_ppm: u32,
    /// How often a message goes through the wire codec.
    pub wire_ppm: u32,
    /// How often one of those is damaged.
    pub damage_ppm: u32,
}

/// How often each fault did something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fired {
    /// Messages much slower than usual.
    pub spikes: u64,
    /// Messages made slow enough to be overtaken.
    pub reorders: u64,
    /// Messages lost.
    pub losses: u64,
    /// Messages that arrived twice.
    pub dups: u64,
    /// Messages that arrived in a later life, too.
    pub echoes: u64,
    /// Messages damaged.
    pub damages: u64,
    /// Messages that met a cut.
    pub cuts: u64,
    /// Messages sent through the codec.
    pub wired: u64,
}

/// Why a message could not go over the wire although nothing damaged it: a defect of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireDefect(pub String);

/// A directed link.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// Messages sent over it, and datagrams.
    sent: [u64; 2],
    cuts: u8,
    /// When the last message that keeps its place arrives.
    last: u64,
}

/// The links of a sender by receiver, in pages that exist once one of their links was used or cut:
/// most nodes of a large cluster never speak, and neighbours mostly do.
#[derive(Clone, Debug, Default)]
struct Links(Vec<Option<Box<[Link; PAGE]>>>);

const PAGE: usize = 32;

impl Links {
    fn get(&self, to: u16) -> Option<&Link> {
        let to = usize::from(to);
        Some(&self.0.get(to / PAGE)?.as_ref()?[to % PAGE])
    }

    fn to(&mut self, to: u16) -> &mut Link {
        let to = usize::from(to);
        if self.0.len() <= to / PAGE {
            self.0.resize_with(to / PAGE + 1, || None);
        }
        let page = self.0[to / PAGE].get_or_insert_with(|| Box::new([Link::default(); PAGE]));
        &mut page[to % PAGE]
    }
}

/// All links.
#[derive(Debug)]
pub struct Network {
    streams: Streams,
    places: usize,
    /// By sender.
    links: Vec<Links>,
    flights: Slab<Flight>,
    /// When processes start again, by place, in no order.
    restarts: Vec<(u16, u64)>,
    /// What it does at present.
    pub weather: Weather,
    /// How often each fault did something.
    pub fired: Fired,
    buffer: Vec<u8>,
}

impl Network {
    /// Links between so many places.
    pub fn new(streams: Streams, places: usize, weather: Weather) -> Self {
        Self {
            streams,
            places,
            links: vec![Links::default(); places],
            flights: Slab::new(),
            restarts: Vec::new(),
            weather,
            fired: Fired::default(),
            buffer: Vec::new(),
        }
    }

    /// Says when the process at a place will start again.
    pub fn restarts(&mut self, place: u16, at: u64) {
        self.restarts.push((place, at));
    }

    /// Cuts a directed link; cuts add up.
    pub fn cut(&mut self, from: u16, to: u16) {
        let link = self.link(from, to);
        link.cuts = link.cuts.saturating_add(1);
    }

    /// Takes one cut of a directed link back.
    pub fn heal(&mut self, from: u16, to: u16) {
        let link = self.link(from, to);
        link.cuts = link.cuts.saturating_sub(1);
    }

    /// Whether a directed link is cut.
    pub fn is_cut(&self, from: u16, to: u16) -> bool {
        self.links[usize::from(from)].get(to).is_some_and(|link| link.cuts > 0)
    }

    /// Takes every cut back.
    pub fn heal_all(&mut self) {
        let pages = self.links.iter_mut().flat_map(|links| links.0.iter_mut().flatten());
        pages.flat_map(|page| page.iter_mut()).for_each(|link| link.cuts = 0);
    }

    /// Messages in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Takes an arriving message out of the slab.
    pub fn arrive(&mut self, flight: u32) -> Flight {
        self.flights.remove(flight as usize)
    }

    /// Sends at true time `now`.
    ///
    /// # Errors
    /// When the codec refuses or changes an undamaged message.
    pub fn send(
        &mut self,
        now: u64,
        mut flight: Flight,
        queue: &mut Queue,
    ) -> Result<(), WireDefect> {
        let is_datagram = flight.is_datagram();
        // Datagrams and what goes over a connection draw apart.
        let apart = if is_datagram { self.places * self.places } else { 0 };
        let entity = self.number(flight.from, flight.to) + apart as u64;
        let link = self.link(flight.from, flight.to);
        let ordinal = link.sent[usize::from(is_datagram)];
        link.sent[usize::from(is_datagram)] += 1;
        let is_cut = link.cuts > 0;
        let (w, s) = (self.weather, self.streams);
        if is_cut {
            self.fired.cuts += 1;
            return Ok(());
        }
        if s.draw(Stream::NetLoss, entity, ordinal).chance(w.loss_ppm) {
            self.fired.losses += 1;
            return Ok(());
        }
        if w.wire_ppm > 0 && s.draw(Stream::NetWire, entity, ordinal * 3).chance(w.wire_ppm) {
            match self.over_the_wire(entity, ordinal, flight)? {
                Some(decoded) => flight = decoded,
                None => return Ok(()),
            }
        }
        let at = self.arrival(now, &flight, (entity, ordinal));
        if s.draw(Stream::NetDup, entity, ordinal).chance(w.dup_ppm) {
            self.fired.dups += 1;
            let again = |n: u64| s.draw(Stream::NetDup, entity, !(ordinal * 4 + n));
            let is_late = again(1).chance(w.late_ppm);
            let late = if is_late { again(2).below(w.late_max + 1) } else { 0 };
            let again = at + again(0).below(4 * w.delay_max + 1) + late;
            self.launch(again, flight.clone(), queue);
        }
        if s.draw(Stream::NetDup, entity, !(ordinal * 4 + 3)).chance(w.echo_ppm) {
            self.echo(now, (entity, ordinal), &flight, queue);
        }
        self.launch(at, flight, queue);
        Ok(())
    }

    /// Another copy arrives soon after one of the next starts of the receiver, if there will be
    /// one.
    fn echo(&mut self, now: u64, key: (u64, u64), flight: &Flight, queue: &mut Queue) {
        let lives = self.restarts.iter().filter(|(to, at)| *to == flight.to && *at > now);
        let lives: Vec<u64> = lives.map(|(_, at)| *at).collect();
        if lives.is_empty() {
            return;
        }
        let draw = |n: u64| self.streams.draw(Stream::NetDup, 1 << 32 | key.0, key.1 * 2 + n);
        let at = lives[draw(0).below(lives.len() as u64) as usize] + draw(1).below(ECHO_NS);
        self.fired.echoes += 1;
        self.launch(at, flight.clone(), queue);
    }

    fn launch(&mut self, at: u64, flight: Flight, queue: &mut Queue) {
        let link = self.number(flight.from, flight.to);
        let tie = if flight.is_datagram() { 1 << 41 } else { 1 << 40 };
        let flight = self.flights.insert(flight) as u32;
        queue.push_of(at, Event::Deliver { flight }, tie | link);
    }

    /// When a message arrives: after the one before it on the link, unless it is drawn to be
    /// overtaken or is a datagram.
    fn arrival(&mut self, now: u64, flight: &Flight, (entity, ordinal): (u64, u64)) -> u64 {
        let w = self.weather;
        let draw = |n: u64| self.streams.draw(Stream::NetDelay, entity, ordinal * 4 + n);
        let mut delay = draw(0).within(w.delay_min, w.delay_max);
        if w.spike_ppm > 0 && draw(1).chance(w.spike_ppm) {
            self.fired.spikes += 1;
            delay += draw(2).below(w.spike_max + 1);
        }
        if w.reorder_ppm > 0 && draw(3).chance(w.reorder_ppm) {
            self.fired.reorders += 1;
            return now + delay + draw(2).below(4 * w.delay_max + 1);
        }
        if flight.is_datagram() {
            return now + delay;
        }
        let link = self.link(flight.from, flight.to);
        link.last = (now + delay).max(link.last + 1);
        link.last
    }

    /// Encodes and decodes; `None` when the frame was damaged and refused.
    fn over_the_wire(
        &mut self,
        entity: u64,
        ordinal: u64,
        flight: Flight,
    ) -> Result<Option<Flight>, WireDefect> {
        let damaged = self.streams.draw(Stream::NetWire, entity, ordinal * 3 + 1);
        let damaged = damaged.chance(self.weather.damage_ppm);
        let Cargo::Message(msg) = &flight.cargo else {
            // What does not read is lost, as the connection breaks.
            self.fired.damages += u64::from(damaged);
            return Ok((!damaged).then_some(flight));
        };
        self.fired.wired += 1;
        let defect = |what: &dyn std::fmt::Display| WireDefect(format!("{what}: {msg:?}"));
        let payload = codec::encode(msg, limits::FRAME_MAX).map_err(|e| defect(&e))?;
        self.buffer.clear();
        frame::encode_frame(0, &payload, &mut self.buffer).map_err(|e| defect(&e))?;
        if damaged {
            self.fired.damages += 1;
            let bit = self.streams.draw(Stream::NetWire, entity, ordinal * 3 + 2);
            let bit = bit.below(self.buffer.len() as u64 * 8);
            self.buffer[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        let mut reader = frame::FrameReader::new();
        reader.push(&self.buffer);
        let decoded = match reader.next_frame() {
            Ok(Some(frame)) => codec::decode::<Message>(frame.payload).map_err(|e| defect(&e))?,
            Ok(None) | Err(_) if damaged => return Ok(None),
            Ok(None) => return Err(defect(&"the frame is not whole")),
            Err(error) => return Err(defect(&error)),
        };
        if decoded != **msg {
            return Err(defect(&"the codec changed a message"));
        }
        Ok(Some(Flight { cargo: Cargo::Message(Box::new(decoded)), ..flight }))
    }

    fn link(&mut self, from: u16, to: u16) -> &mut Link {
        self.links[usize::from(from)].to(to)
    }

    fn number(&self, from: u16, to: u16) -> u64 {
        u64::from(from) * self.places as u64 + u64::from(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperscale_core::wire::Capacity;

    fn sent(weather: Weather, count: u64) -> (Network, Vec<u64>) {
        let streams = Streams::new(3);
        let mut network = Network::new(streams, 2, weather);
        let mut queue = Queue::new(streams);
        for n in 0..count {
            let msg =
                Box::new(Message::from(Capacity { workers: n as u32, ..Capacity::default() }));
            let flight = Flight { from: 0, to: 1, cargo: Cargo::Message(msg), digest: n };
            network.send(n * 1_000, flight, &mut queue).unwrap();
        }
        let mut order = Vec::new();
        while let Some((_, Event::Deliver { flight })) = queue.pop() {
            order.push(network.arrive(flight).digest);
        }
        (network, order)
    }

    #[test]
    fn a_calm_link_keeps_everything_in_order() {
        let calm = Weather { delay_min: 10, delay_max: 90_000, ..Weather::default() };
        assert_eq!(sent(calm, 200).1, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn every_fault_fires_and_does_what_it_says() {
        let delay = Weather { delay_min: 10, delay_max: 90_000, ..Weather::default() };
        let (network, order) = sent(Weather { loss_ppm: 200_000, ..delay }, 1_000);
        assert_eq!(order.len() as u64, 1_000 - network.fired.losses);
        assert!((150..250).contains(&network.fired.losses));
        let (network, order) = sent(Weather { dup_ppm: 200_000, ..delay }, 1_000);
        assert_eq!(order.len() as u64, 1_000 + network.fired.dups);
        let (network, order) = sent(Weather { reorder_ppm: 200_000, ..delay }, 1_000);
        assert!(network.fired.reorders > 0 && !order.is_sorted());
        let wire = Weather { wire_ppm: 1_000_000, damage_ppm: 300_000, ..delay };
        let (network, order) = sent(wire, 1_000);
        assert_eq!(network.fired.wired, 1_000);
        assert_eq!(order.len() as u64, 1_000 - network.fired.damages);
    }

    #[test]
    fn losing_messages_shifts_no_delay() {
        let delay = Weather { delay_min: 10, delay_max: 900, ..Weather::default() };
        let kept = sent(delay, 300).1;
        let lossy = sent(Weather { loss_ppm: 100_000, ..delay }, 300).1;
        assert!(lossy.len() < kept.len() && lossy.iter().all(|n| kept.contains(n)));
    }

    #[test]
    fn a_cut_is_one_way_and_heals() {
        let streams = Streams::new(3);
        let mut queue = Queue::new(streams);
        let mut network = Network::new(streams, 2, Weather::default());
        let flight = |from, to| {
            let msg = Message::from(Capacity::default());
            Flight { from, to, cargo: Cargo::Message(Box::new(msg)), digest: 0 }
        };
        network.cut(0, 1);
        network.send(0, flight(0, 1), &mut queue).unwrap();
        assert!(queue.is_empty());
        network.send(0, flight(1, 0), &mut queue).unwrap();
        assert_eq!(queue.len(), 1);
        network.heal(0, 1);
        network.send(0, flight(0, 1), &mut queue).unwrap();
        assert_eq!(queue.len(), 2);
    }
}
