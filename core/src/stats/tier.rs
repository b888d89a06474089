//! Tiers: the windows of a workflow in fixed memory. Young windows are kept as they were cut, older
//! ones added up to ten seconds and to a minute, and what is older than that to one sum.
//!
//! In: closed windows in order. A fold only adds neighbours, so that the sum of everything kept is
//! the sum of all that came (windows-sum). A window belongs to the ten seconds, or the minute, in
//! which it ends. Bounds: `WINDOWS_HOT_MAX`, `WINDOWS_WARM_MAX` and `WINDOWS_COLD_MAX` windows.

use std::collections::VecDeque;

use super::totals::Totals;
use super::window::Window;
use crate::limits::{WINDOWS_COLD_MAX, WINDOWS_HOT_MAX, WINDOWS_WARM_MAX};

/// Plan seconds of a warm window.
pub const WARM_SECS: u32 = 10;
/// Plan seconds of a cold window.
pub const COLD_SECS: u32 = 60;

/// The windows of a workflow, newest fine and oldest coarse.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// What was measured before the oldest kept window.
    before: Totals,
    cold: VecDeque<Window>,
    warm: VecDeque<Window>,
    hot: VecDeque<Window>,
    cells: usize,
    folded: u64,
}

impl Series {
    /// What was measured before the oldest kept window.
    pub const fn before(&self) -> &Totals {
        &self.before
    }

    /// Every kept window, oldest first.
    pub fn windows(&self) -> impl DoubleEndedIterator<Item = &Window> {
        self.cold.iter().chain(&self.warm).chain(&self.hot)
    }

    /// The newest window.
    pub fn newest(&self) -> Option<&Window> {
        self.windows().next_back()
    }

    /// Buckets of all kept windows.
    pub const fn cells(&self) -> usize {
        self.cells
    }

    /// How many windows are kept.
    pub fn len(&self) -> usize {
        self.cold.len().saturating_add(self.warm.len()).saturating_add(self.hot.len())
    }

    /// Whether no window is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many windows were added to an older one or to the sum since this was last asked.
    pub fn take_folded(&mut self) -> u64 {
        std::mem::take(&mut self.folded)
    }

    /// Keeps a window that follows the newest.
    pub fn push(&mut self, window: Window) {
        self.hot.push_back(window);
        if self.hot.len() > WINDOWS_HOT_MAX
            && let Some(oldest) = self.hot.pop_front()
        {
            self.folded = self.folded.saturating_add(1);
            fold(&mut self.warm, oldest, WARM_SECS);
        }
        if self.warm.len() > WINDOWS_WARM_MAX
            && let Some(oldest) = self.warm.pop_front()
        {
            fold(&mut self.cold, oldest, COLD_SECS);
        }
        if self.cold.len() > WINDOWS_COLD_MAX {
            self.drop_oldest();
        }
        self.cells = self.windows().map(|window| window.totals.cells()).sum();
    }

    /// Adds the oldest kept window to the sum before. Whether there was one.
    pub fn drop_oldest(&mut self) -> bool {
        let tiers = [&mut self.cold, &mut self.warm, &mut self.hot];
        let Some(oldest) = tiers.into_iter().find_map(VecDeque::pop_front) else { return false };
        self.folded = self.folded.saturating_add(1);
        self.cells = self.cells.saturating_sub(oldest.totals.cells());
        self.before.merge(&oldest.totals);
        true
    }

    /// The kept windows added up to `width` plan seconds, as far as they are not wider already.
    #[must_use]
    pub fn regrouped(&self, width: u32) -> Vec<Window> {
        let mut groups = VecDeque::new();
        for window in self.windows() {
            fold(&mut groups, window.clone(), width.max(1));
        }
        groups.into()
    }
}

/// Adds a window to the newest of a tier if both end in the same stretch of `width`.
fn fold(tier: &mut VecDeque<Window>, window: Window, width: u32) {
    let stretch = |window: &Window| window.until.saturating_sub(1).checked_div(width);
    match tier.back_mut().filter(|newest| stretch(newest) == stretch(&window)) {
        Some(newest) => newest.extend(&window),
        None => tier.push_back(window),
    }
}
