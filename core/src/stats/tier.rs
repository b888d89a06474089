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
        self.cells = self.cells.saturating_add(window.totals.cells());
        self.hot.push_back(window);
        if self.hot.len() > WINDOWS_HOT_MAX
            && let Some(oldest) = self.hot.pop_front()
        {
            self.folded = self.folded.saturating_add(1);
            let fewer = fold(&mut self.warm, oldest, WARM_SECS);
            self.cells = self.cells.saturating_sub(fewer);
        }
        if self.warm.len() > WINDOWS_WARM_MAX
            && let Some(oldest) = self.warm.pop_front()
        {
            let fewer = fold(&mut self.cold, oldest, COLD_SECS);
            self.cells = self.cells.saturating_sub(fewer);
        }
        if self.cold.len() > WINDOWS_COLD_MAX {
            self.drop_oldest();
        }
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

/// Adds a window to the newest of a tier if both end in the same stretch of `width`. How many
/// buckets fewer there are.
fn fold(tier: &mut VecDeque<Window>, window: Window, width: u32) -> usize {
    let stretch = |window: &Window| window.until.saturating_sub(1).checked_div(width);
    match tier.back_mut().filter(|newest| stretch(newest) == stretch(&window)) {
        Some(newest) => {
            let before = newest.totals.cells().saturating_add(window.totals.cells());
            newest.extend(&window);
            before.saturating_sub(newest.totals.cells())
        }
        None => {
            tier.push_back(window);
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: u32, until: u32, iterations: u64) -> Window {
        let totals = Box::new(Totals { iterations, ..Totals::default() });
        Window { from, until, shards: 2, of: 2, late: 0, totals }
    }

    fn sum(series: &Series) -> u64 {
        let kept: u64 = series.windows().map(|window| window.totals.iterations).sum();
        kept + series.before().iterations
    }

    #[test]
    fn a_week_of_windows_takes_fixed_memory_and_loses_nothing() {
        let mut series = Series::default();
        let mut all = 0;
        for second in 0..7 * 86_400u32 {
            // Only what is counted matters here: the tiers are cheap to fill without their sum.
            series.push(window(second, second + 1, u64::from(second % 5)));
            all += u64::from(second % 5);
        }
        assert_eq!(sum(&series), all);
        assert!(series.len() <= WINDOWS_HOT_MAX + WINDOWS_WARM_MAX + WINDOWS_COLD_MAX);
        assert!(series.take_folded() > 0);
        let spans = series.windows().map(|one| (one.from, one.until)).collect::<Vec<_>>();
        assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0));
        let widths = |width| spans.iter().filter(|span| span.1 - span.0 == width).count();
        assert!(widths(1) >= WINDOWS_HOT_MAX && widths(10) >= 350 && widths(60) >= 1_430);
        assert!(spans.iter().all(|span| span.1 - span.0 == 1 || span.0 % 10 == 0));
    }

    #[test]
    fn windows_are_added_up_by_the_stretch_they_end_in() {
        let mut series = Series::default();
        for (from, until) in [(0, 3), (3, 5), (5, 6), (6, 12), (12, 13)] {
            series.push(window(from, until, 1));
        }
        let spans = |width| {
            let all = series.regrouped(width);
            all.iter().map(|one| (one.from, one.until, one.totals.iterations)).collect::<Vec<_>>()
        };
        assert_eq!(spans(5), [(0, 5, 2), (5, 6, 1), (6, 13, 2)]);
        assert_eq!(spans(1).len(), 5);
        assert_eq!(spans(60), [(0, 13, 5)]);
    }

    #[test]
    fn the_oldest_goes_to_the_sum_before() {
        let mut series = Series::default();
        series.push(window(0, 1, 3));
        series.push(window(1, 2, 4));
        assert!(series.drop_oldest());
        assert_eq!((series.len(), series.before().iterations, sum(&series)), (1, 3, 7));
        assert!(series.drop_oldest() && !series.drop_oldest());
    }
}
