//! Spells in which a gate does not cope.

use super::shapes::MS;
use super::{Fault, Ground};
use crate::streams::{Stream, Streams};

/// A driver measures so often.
const EVERY: u64 = 250 * MS;
/// It measures on for so many times after a spell.
const AFTER: u64 = 8;

/// What the driver of a gate measures, and how much is asked of the gate at that moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slowness {
    /// How long inputs wait.
    pub delay_ms: u32,
    /// Per mille.
    pub cpu: u16,
    /// Per mille.
    pub memory: u16,
    /// Calls that come at once.
    pub calls: u16,
}

/// Every gate may have a spell, the first has one.
pub(super) fn spells(streams: Streams, ground: Ground, list: &mut Vec<(u64, Fault)>) {
    for host in ground.layout.gates() {
        let mut cursor = streams.cursor(Stream::Flow, u64::from(host));
        if host > 0 && !cursor.chance(400_000) {
            continue;
        }
        let at = cursor.within(100 * MS, ground.until / 2);
        let samples = cursor.within(4, 40);
        let (delay, most) = (cursor.pick(&[1, 100, 600, 2_500]), cursor.pick(&[0, 4, 40]));
        let busy = cursor.pick(&[100_u16, 720, 870, 990]);
        for n in 0..samples + AFTER {
            let is_over = n >= samples;
            let delay_ms = cursor.within(delay / 2, delay * 2) as u32;
            let cpu = busy + cursor.within(0, 9) as u16;
            let calls = cursor.within(most / 2, most) as u16;
            let slowness = match is_over {
                true => Slowness { delay_ms: 1, cpu: 20, memory: 20, calls: 0 },
                false => Slowness { delay_ms, cpu, memory: 20, calls },
            };
            list.push((at + n * EVERY, Fault::Slow { host, slowness }));
        }
    }
}
