//! The spans in which a run had no confirmation.
//!
//! The engine counts what it drops in a span at the latest when it issues again, so the number of
//! a closed span is settled by the first progress that shows something started since.

use crate::bounded::BoundedVec;
use crate::input::Progress;
use crate::limits;
use crate::plan::PlanTime;
use crate::wire::Parked;

/// Spans in plan time, ascending. Beyond the cap, spans are folded into the last.
#[derive(Clone, Debug, Default)]
pub(in crate::worker) struct Parks {
    closed: BoundedVec<Parked, { limits::LOSSES_MAX }>,
    open: Option<(PlanTime, Progress)>,
    /// What the last closed span's number is counted from.
    unsettled: Option<Unsettled>,
}

#[derive(Clone, Copy, Debug)]
struct Unsettled {
    before: Progress,
    folded: u64,
}

impl Parks {
    /// A span begins, with the counters known then.
    pub(in crate::worker) fn open(&mut self, from: PlanTime, progress: Progress) {
        self.unsettled = None;
        self.open = Some((from, progress));
    }

    /// The open span ends, if there is one.
    pub(in crate::worker) fn close(&mut self, until: PlanTime) {
        let Some((from, before)) = self.open.take() else { return };
        let until = until.max(from);
        let mut folded = 0;
        if self.closed.push(Parked { from, until, dropped: 0 }).is_err()
            && let Some(last) = self.closed.last_mut()
        {
            last.until = until;
            folded = last.dropped;
        }
        self.unsettled = Some(Unsettled { before, folded });
    }

    /// The engine told its counters.
    pub(in crate::worker) fn observe(&mut self, progress: Progress) {
        if let Some((_, before)) = &mut self.open {
            before.started = progress.started;
        }
        let Some(Unsettled { before, folded }) = self.unsettled else { return };
        if let Some(last) = self.closed.last_mut() {
            last.dropped = folded.saturating_add(progress.dropped.saturating_sub(before.dropped));
        }
        if progress.started > before.started {
            self.unsettled = None;
        }
    }

    /// The spans so far.
    pub(in crate::worker) fn into_closed(self) -> BoundedVec<Parked, { limits::LOSSES_MAX }> {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i64) -> PlanTime {
        PlanTime::from_nanos(nanos)
    }

    fn progress(started: u64, dropped: u64) -> Progress {
        Progress { started, dropped, ..Progress::default() }
    }

    fn span(from: i64, until: i64, dropped: u64) -> Parked {
        Parked { from: at(from), until: at(until), dropped }
    }

    #[test]
    fn settles_when_something_starts_again() {
        let mut parks = Parks::default();
        parks.open(at(5), progress(10, 1));
        parks.close(at(9));
        parks.observe(progress(10, 3));
        parks.observe(progress(11, 4));
        parks.observe(progress(12, 9));
        assert_eq!(parks.into_closed().into_vec(), [span(5, 9, 3)]);
    }

    #[test]
    fn what_a_parked_engine_tells_late_settles_nothing() {
        let mut parks = Parks::default();
        parks.open(at(5), progress(10, 1));
        parks.observe(progress(14, 1));
        parks.close(at(9));
        parks.observe(progress(14, 2));
        parks.observe(progress(15, 6));
        parks.observe(progress(16, 7));
        assert_eq!(parks.into_closed().into_vec(), [span(5, 9, 5)]);
    }

    #[test]
    fn closing_without_an_open_span_is_nothing() {
        let mut parks = Parks::default();
        parks.close(at(9));
        parks.observe(progress(1, 1));
        assert!(parks.into_closed().is_empty());
    }

    #[test]
    fn folds_into_the_last_at_the_cap() {
        let mut parks = Parks::default();
        let mut dropped = 0;
        for i in 0..i64::try_from(limits::LOSSES_MAX).unwrap() + 2 {
            parks.open(at(i * 10), progress(0, dropped));
            parks.close(at(i * 10 + 5));
            dropped += 1;
            parks.observe(progress(0, dropped));
        }
        let spans = parks.into_closed();
        assert_eq!(spans.len(), limits::LOSSES_MAX);
        assert_eq!(spans[0], span(0, 5, 1));
        assert_eq!(spans[limits::LOSSES_MAX - 1], span(10_230, 10_255, 3));
    }
}
