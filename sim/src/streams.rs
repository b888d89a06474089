//! Counter-keyed random streams: every draw is a function of (seed, stream, entity, ordinal).
//!
//! The entity is a stable name (a link, a node, a workflow) and the ordinal counts the draws of
//! that entity, so that switching one fault class off, or removing one node's fault, shifts no
//! other draw (stream-independence).

/// What a draw is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u64)]
pub enum Stream {
    /// How many nodes, cores and clients; configured timeouts.
    Topology = 1,
    /// The plans that clients submit.
    Plan,
    /// How long a message travels.
    NetDelay,
    /// Whether a message is lost.
    NetLoss,
    /// Whether a message arrives twice.
    NetDup,
    /// Whether a message goes through the wire codec, and whether it is damaged there.
    NetWire,
    /// When and how the network is cut.
    NetPartition,
    /// When processes die, and what their disks lose.
    Crash,
    /// When processes stand still.
    Pause,
    /// Offsets and rates of clocks.
    Clock,
    /// Latency of the disks.
    Disk,
    /// The order of events at the same instant.
    Sched,
    /// Service times of the load.
    Load,
    /// What clients do, and when.
    Client,
    /// Entropy of boots.
    Boot,
    /// Which fault classes are on, and how strong they are.
    Swarm,
    /// Which steps are checked in full.
    Check,
    /// What gates take, and when they do not cope.
    Flow,
    /// How many reports managers take.
    Pressure,
}

/// The streams of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// The streams of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// 64 bits for this name.
    #[inline]
    pub const fn bits(self, stream: Stream, entity: u64, ordinal: u64) -> u64 {
        let key =
            splitmix(self.seed ^ (stream as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ entity);
        splitmix(key.wrapping_add(ordinal.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// The draw with this name.
    #[inline]
    pub const fn draw(self, stream: Stream, entity: u64, ordinal: u64) -> Draw {
        Draw(self.bits(stream, entity, ordinal))
    }

    /// A cursor over the ordinals of one entity.
    pub const fn cursor(self, stream: Stream, entity: u64) -> Cursor {
        Cursor { streams: self, stream, entity, ordinal: 0 }
    }
}

/// The finaliser of splitmix64 after one step of its counter; a bijection.
#[inline]
const fn splitmix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 64 drawn bits, to be read once.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// As they are.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A number below `n`; 0 when `n` is 0.
    pub const fn below(self, n: u64) -> u64 {
        ((self.0 as u128 * n as u128) >> 64) as u64
    }

    /// A number in `min..=max`.
    pub const fn within(self, min: u64, max: u64) -> u64 {
        if max <= min { min } else { min + self.below(max - min + 1) }
    }

    /// True in `ppm` of a million draws.
    pub const fn chance(self, ppm: u32) -> bool {
        self.below(1_000_000) < ppm as u64
    }
}

/// Draws of one entity, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    streams: Streams,
    stream: Stream,
    entity: u64,
    ordinal: u64,
}

impl Cursor {
    /// The next draw.
    pub fn draw(&mut self) -> Draw {
        let draw = self.streams.draw(self.stream, self.entity, self.ordinal);
        self.ordinal += 1;
        draw
    }

    /// The next draw, as a number in `min..=max`.
    pub fn within(&mut self, min: u64, max: u64) -> u64 {
        self.draw().within(min, max)
    }

    /// The next draw, true in `ppm` of a million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        self.draw().chance(ppm)
    }

    /// One of these, evenly.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.draw().below(of.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_its_name_only() {
        let streams = Streams::new(7);
        let before = streams.bits(Stream::NetDelay, 3, 9);
        let mut other = streams.cursor(Stream::NetLoss, 3);
        for _ in 0..100 {
            other.draw();
        }
        assert_eq!(before, streams.bits(Stream::NetDelay, 3, 9));
        assert_ne!(before, streams.bits(Stream::NetDelay, 3, 10));
        assert_ne!(before, streams.bits(Stream::NetDelay, 4, 9));
        assert_ne!(before, streams.bits(Stream::NetLoss, 3, 9));
        assert_ne!(before, Streams::new(8).bits(Stream::NetDelay, 3, 9));
    }

    #[test]
    fn draws_are_even() {
        let mut cursor = Streams::new(1).cursor(Stream::Load, 0);
        let mut counts = [0_u32; 8];
        for _ in 0..80_000 {
            counts[cursor.draw().below(8) as usize] += 1;
        }
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
        assert!((0..100).all(|_| (3..=5).contains(&cursor.within(3, 5))));
        assert!((0..100).all(|_| cursor.chance(1_000_000) && !cursor.chance(0)));
    }
}
