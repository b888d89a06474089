//! A first-in first-out queue whose cap is set when it is made.

use std::collections::{VecDeque, vec_deque};

/// A queue of at most `max` elements.
#[derive(Clone, Debug)]
pub struct BoundedQueue<T> {
    items: VecDeque<T>,
    max: usize,
}

impl<T> BoundedQueue<T> {
    /// Empty, for at most `max` elements; allocates nothing yet.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { items: VecDeque::new(), max }
    }

    /// Appends `item` at the back.
    ///
    /// # Errors
    /// The item, when the queue is full; the queue is unchanged.
    pub fn push_back(&mut self, item: T) -> Result<(), T> {
        if self.is_full() {
            return Err(item);
        }
        self.items.push_back(item);
        Ok(())
    }

    /// Removes and returns the element that was appended first.
    pub fn pop_front(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    /// The element that was appended first.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.items.front()
    }

    /// The element that was appended last.
    #[must_use]
    pub fn back(&self) -> Option<&T> {
        self.items.back()
    }

    /// The elements from front to back.
    pub fn iter(&self) -> vec_deque::Iter<'_, T> {
        self.items.iter()
    }

    /// Keeps the elements for which `keep` holds, in their order.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.items.retain(keep);
    }

    /// Removes every element.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// How many elements are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether one more element would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.max
    }

    /// The cap.
    #[must_use]
    pub const fn max(&self) -> usize {
        self.max
    }
}

impl<'a, T> IntoIterator for &'a BoundedQueue<T> {
    type Item = &'a T;
    type IntoIter = vec_deque::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
