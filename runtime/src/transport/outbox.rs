//! Frames that wait for one peer, by class. Every peer has its own queue, so one that does not keep
//! up harms nobody else.
//!
//! What is more important goes first. When there are too many frames room is made by the least
//! important class that has any, its oldest first: every message may be lost, and a newer one of
//! its kind says more. A frame never displaces a more important one; when only such wait, it is dropped
//! itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyperscale_core::flow::Class;
use tokio::sync::Notify;

/// Frames that wait at most.
const FRAMES_MAX: usize = 1024;
/// Their bytes; one frame may wait whatever its size.
const BYTES_MAX: usize = 32 << 20;

/// Frames dropped, by class.
pub(super) type Dropped = [u64; 4];

#[derive(Debug, Default)]
struct Frames {
    queues: [VecDeque<Bytes>; 4],
    bytes: usize,
    closed: bool,
}

/// A bounded queue of frames; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    frames: Arc<Mutex<Frames>>,
    filled: Arc<Notify>,
}

impl Outbox {
    /// Queues a frame; gives what was dropped for it, which may be itself.
    pub(super) fn push(&self, class: Class, frame: Bytes) -> Dropped {
        let mut frames = self.lock();
        let mut dropped = Dropped::default();
        while !frames.has_room(frame.len()) {
            let Some(victim) = frames.least().filter(|least| *least >= class) else {
                dropped[class.index()] += 1;
                return dropped;
            };
            frames.take(victim);
            dropped[victim.index()] += 1;
        }
        frames.bytes += frame.len();
        frames.queues[class.index()].push_back(frame);
        drop(frames);
        self.filled.notify_one();
        dropped
    }

    /// The oldest frame of the most important class; waits for one. `None` once the queue was
    /// closed.
    pub(super) async fn pop(&self) -> Option<Bytes> {
        loop {
            {
                let mut frames = self.lock();
                if frames.closed {
                    return None;
                }
                if let Some(frame) = Class::ALL.into_iter().find_map(|class| frames.take(class)) {
                    return Some(frame);
                }
            }
            self.filled.notified().await;
        }
    }

    /// Ends the queue: what waits is not sent.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Frames {
    fn has_room(&self, bytes: usize) -> bool {
        let waiting: usize = self.queues.iter().map(VecDeque::len).sum();
        waiting == 0 || (waiting < FRAMES_MAX && self.bytes + bytes <= BYTES_MAX)
    }

    /// The least important class that has any.
    fn least(&self) -> Option<Class> {
        Class::ALL.into_iter().rev().find(|class| !self.queues[class.index()].is_empty())
    }

    fn take(&mut self, class: Class) -> Option<Bytes> {
        let frame = self.queues[class.index()].pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: u64) -> Bytes {
        n.to_le_bytes().to_vec().into()
    }

    #[tokio::test]
    async fn the_oldest_make_room_by_number_and_by_size() {
        let outbox = Outbox::default();
        for n in 0..=FRAMES_MAX as u64 {
            let dropped = outbox.push(Class::Data, frame(n));
            assert_eq!(dropped, [0, 0, u64::from(n == FRAMES_MAX as u64), 0]);
        }
        assert_eq!(outbox.pop().await, Some(frame(1)));
        let large = Bytes::from(vec![0; BYTES_MAX]);
        let dropped = outbox.push(Class::Data, large.clone());
        assert_eq!(dropped, [0, 0, FRAMES_MAX as u64 - 1, 0]);
        assert_eq!(outbox.pop().await, Some(large));
        assert_eq!(outbox.lock().bytes, 0);
    }

    #[tokio::test]
    async fn the_least_important_make_room_and_never_for_less_important_ones() {
        let outbox = Outbox::default();
        for n in 0..FRAMES_MAX as u64 {
            let class = if n < 4 { Class::ALL[n as usize] } else { Class::Telemetry };
            assert_eq!(outbox.push(class, frame(n)), Dropped::default());
        }
        assert_eq!(outbox.push(Class::Control, frame(9_000)), [0, 0, 0, 1]);
        for _ in 0..FRAMES_MAX - 4 {
            assert_eq!(outbox.push(Class::Control, frame(9_001)), [0, 0, 0, 1]);
        }
        assert_eq!(outbox.push(Class::Control, frame(9_002)), [0, 0, 1, 0]);
        assert_eq!(outbox.push(Class::Telemetry, frame(9_003)), [0, 0, 0, 1]);
        assert_eq!(outbox.push(Class::Data, frame(9_004)), [0, 0, 1, 0]);
        assert_eq!(outbox.push(Class::Dispatch, frame(9_005)), [0, 1, 0, 0]);
        assert_eq!(outbox.pop().await, Some(frame(0)), "control first, the oldest first");
        assert_eq!(outbox.pop().await, Some(frame(9_000)));
    }

    #[test]
    fn a_peer_that_does_not_keep_up_costs_no_other_a_frame() {
        let (slow, quick) = (Outbox::default(), Outbox::default());
        let mut dropped = 0;
        for n in 0..10 * FRAMES_MAX as u64 {
            dropped += slow.push(Class::Telemetry, frame(n)).iter().sum::<u64>();
        }
        assert_eq!(dropped, 9 * FRAMES_MAX as u64);
        assert_eq!(quick.push(Class::Telemetry, frame(1)), Dropped::default());
    }

    #[tokio::test]
    async fn a_closed_one_ends_whoever_waits() {
        let outbox = Outbox::default();
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.pop().await }
        });
        outbox.close();
        assert_eq!(waiting.await.expect("joined"), None);
    }
}
