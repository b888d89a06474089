//! Frames that wait for one peer. When there are too many the oldest go: every message may be lost,
//! and a newer one of its kind says more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Frames that wait at most.
const FRAMES_MAX: usize = 1024;
/// Their bytes; one frame may wait whatever its size.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
struct Frames {
    queue: VecDeque<Bytes>,
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
    /// Queues a frame; gives how many older ones were dropped for it.
    pub(super) fn push(&self, frame: Bytes) -> u64 {
        let mut frames = self.lock();
        let mut dropped = 0;
        while !frames.queue.is_empty()
            && (frames.queue.len() >= FRAMES_MAX || frames.bytes + frame.len() > BYTES_MAX)
        {
            frames.pop();
            dropped += 1;
        }
        frames.bytes += frame.len();
        frames.queue.push_back(frame);
        drop(frames);
        self.filled.notify_one();
        dropped
    }

    /// The oldest frame; waits for one. `None` once the queue was closed.
    pub(super) async fn pop(&self) -> Option<Bytes> {
        loop {
            {
                let mut frames = self.lock();
                if frames.closed {
                    return None;
                }
                if let Some(frame) = frames.pop() {
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
    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.queue.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_make_room_by_number_and_by_size() {
        let outbox = Outbox::default();
        for n in 0..=FRAMES_MAX as u64 {
            let dropped = outbox.push(n.to_le_bytes().to_vec().into());
            assert_eq!(dropped, u64::from(n == FRAMES_MAX as u64));
        }
        assert_eq!(outbox.pop().await, Some(1_u64.to_le_bytes().to_vec().into()));
        let large = Bytes::from(vec![0; BYTES_MAX]);
        assert_eq!(outbox.push(large.clone()), FRAMES_MAX as u64 - 1);
        assert_eq!(outbox.pop().await, Some(large));
        assert_eq!(outbox.lock().bytes, 0);
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
