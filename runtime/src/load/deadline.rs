//! Deadlines of the exchanges of one thread.
//!
//! Arming a runtime timer per request would cost more than parsing its response. A connection
//! keeps one slot for life and writes its deadline there; one task per thread calls `expire` every
//! `TICK_NS`, which walks the slots and wakes those that are due. A deadline thus fires up to
//! `TICK_NS` late and never early.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use slab::Slab;

/// How often `expire` is to be called, in nanoseconds.
pub const TICK_NS: u64 = 10_000_000;

/// The slots of one thread.
#[derive(Debug, Default)]
pub struct Deadlines {
    slots: RefCell<Slab<Slot>>,
    /// The instant of the newest `expire`.
    reached: Cell<u64>,
}

#[derive(Debug)]
struct Slot {
    at: u64,
    waker: Option<Waker>,
}

/// A slot of `Deadlines`, given back with `remove`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotId(usize);

impl Deadlines {
    /// A new slot, not armed.
    pub fn insert(&self) -> SlotId {
        SlotId(self.slots.borrow_mut().insert(Slot { at: u64::MAX, waker: None }))
    }

    /// Gives a slot back.
    pub fn remove(&self, id: SlotId) {
        self.slots.borrow_mut().try_remove(id.0);
    }

    /// Sets the deadline of a slot, in nanoseconds of the thread's clock.
    pub fn arm(&self, id: SlotId, at: u64) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(id.0) {
            slot.at = at;
        }
    }

    /// Forgets the deadline of a slot.
    pub fn disarm(&self, id: SlotId) {
        self.arm(id, u64::MAX);
    }

    /// Whether the deadline was reached; if not, the task is woken when it is.
    pub fn poll_expired(&self, id: SlotId, cx: &Context<'_>) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(id.0) else { return false };
        if slot.at <= self.reached.get() {
            return true;
        }
        if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        false
    }

    /// Wakes everything that is due.
    pub fn expire(&self, now: u64) {
        self.reached.set(now);
        for (_, slot) in &*self.slots.borrow() {
            if slot.at <= now
                && let Some(waker) = &slot.waker
            {
                waker.wake_by_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn fires_when_reached_and_not_when_disarmed() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let cx = Context::from_waker(&waker);
        let deadlines = Deadlines::default();
        let (a, b) = (deadlines.insert(), deadlines.insert());
        deadlines.arm(a, 100);
        deadlines.arm(b, 100);
        assert!(!deadlines.poll_expired(a, &cx) && !deadlines.poll_expired(b, &cx));
        deadlines.disarm(b);
        deadlines.expire(99);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        deadlines.expire(100);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(deadlines.poll_expired(a, &cx) && !deadlines.poll_expired(b, &cx));
        deadlines.arm(a, 200);
        assert!(!deadlines.poll_expired(a, &cx));
        deadlines.remove(a);
        deadlines.expire(300);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }
}
