//! How often workers are asked to report: a level by how far reports outrun what this node takes.
//!
//! In: every report taken, the number of runs that report. Out: a level, told to every worker whose
//! heartbeat lists runs for as long as it lasts. Each report is work of `1 / reports_per_second`;
//! what is not worked off fills a queue of `DEPTH`, and the level follows its fill: 70, 85, 95 %.
//! It falls by one step at a time, after `HOLD` below the mark, and only if the reports to come
//! would fit: so it does not swing. Costs no accuracy: totals are cumulative, and ends are not
//! reports. Heartbeats, confirmations and ends are never asked to wait.

use std::time::Duration;

use super::Manager;
use crate::ids::{BootId, NodeId};
use crate::machine::Cx;
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::{Pressure as Told, PressureLevel};

/// The longest time of work that may wait.
const DEPTH: Duration = Duration::from_secs(2);
/// A level lasts so long at least.
const HOLD: Duration = Duration::from_secs(5);
/// How far below its mark the fill must fall before a level ends, in percent of the depth.
const SLACK: u64 = 20;

/// The level and what it follows from.
#[derive(Clone, Debug)]
pub(super) struct Pressure {
    per_second: u32,
    /// Work that waits, and as of when.
    work: Duration,
    at: Instant,
    level: PressureLevel,
    since: Instant,
}

const fn mark(level: PressureLevel) -> u64 {
    match level {
        PressureLevel::None => 0,
        PressureLevel::Throttle => 70,
        PressureLevel::Batch => 85,
        PressureLevel::Skip => 95,
    }
}

impl Pressure {
    /// None yet; this node takes so many reports a second.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            work: Duration::ZERO,
            at: Instant::ZERO,
            level: PressureLevel::None,
            since: Instant::ZERO,
        }
    }

    /// The level.
    pub(super) const fn level(&self) -> PressureLevel {
        self.level
    }

    /// Runs are asked to report once in so many plan seconds.
    pub(super) const fn report_every(&self) -> u32 {
        self.level.report_every()
    }

    /// A report was taken.
    pub(super) fn on_report(&mut self, cx: &mut Cx<'_>) {
        self.drain(cx.now());
        let cost = Duration::from_secs(1).checked_div(self.per_second).unwrap_or_default();
        self.work = self.work.saturating_add(cost).min(DEPTH);
        let fill = self.fill();
        let all = [PressureLevel::Throttle, PressureLevel::Batch, PressureLevel::Skip];
        let reached = all.into_iter().rev().find(|level| fill >= mark(*level));
        if let Some(reached) = reached.filter(|reached| *reached > self.level) {
            cx.count(Stat::PressureRaised);
            (self.level, self.since) = (reached, cx.now());
        }
    }

    /// Time has passed; so many runs report.
    pub(super) fn ease(&mut self, cx: &mut Cx<'_>, runs: usize) {
        self.drain(cx.now());
        let lower = match self.level {
            PressureLevel::None => return,
            PressureLevel::Throttle => PressureLevel::None,
            PressureLevel::Batch => PressureLevel::Throttle,
            PressureLevel::Skip => PressureLevel::Batch,
        };
        let runs = u64::try_from(runs).unwrap_or(u64::MAX);
        let per_second = u64::from(self.per_second);
        let taken = per_second.saturating_mul(u64::from(lower.report_every()));
        // Runs report on the same plan seconds, all at once.
        let depth = per_second.saturating_mul(DEPTH.as_secs());
        let burst = runs.saturating_mul(100).checked_div(depth).unwrap_or(u64::MAX);
        let fits = runs <= taken && burst < mark(self.level);
        let is_calm = self.fill().saturating_add(SLACK) < mark(self.level);
        if is_calm && fits && cx.now() >= self.since.after(HOLD) {
            cx.count(Stat::PressureLowered);
            (self.level, self.since) = (lower, cx.now());
        }
    }

    fn drain(&mut self, now: Instant) {
        self.work = self.work.saturating_sub(now.since(self.at));
        self.at = self.at.max(now);
    }

    /// Percent of the depth.
    fn fill(&self) -> u64 {
        let share = self.work.as_nanos().saturating_mul(100).checked_div(DEPTH.as_nanos());
        share.and_then(|share| u64::try_from(share).ok()).unwrap_or(u64::MAX)
    }
}

impl Manager {
    /// A worker's heartbeat came: it is told how often to report, while that is less than always.
    pub(super) fn press(&mut self, cx: &mut Cx<'_>, worker: NodeId, boot: BootId) {
        self.pressure.ease(cx, self.sync.runs.len());
        let level = self.pressure.level();
        if level > PressureLevel::None && self.may_speak(cx) {
            cx.count(Stat::PressureTold);
            cx.out.send_volatile(worker, Told { boot, level });
        }
    }

    /// How often workers are asked to report.
    pub fn pressure(&self) -> PressureLevel {
        self.pressure.level()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effects;
    use crate::ids::Lsn;
    use crate::rng::Streams;
    use crate::stat::Counters;

    fn at(ms: u64, act: impl FnOnce(&mut Cx<'_>)) {
        let mut streams = Streams::new(1, 2, 3);
        let (mut out, mut stats) = (Effects::new(Lsn::new(0)), Counters::default());
        let now = Instant::from_nanos(ms * 1_000_000);
        act(&mut Cx::new(now, &mut streams, &mut out, &mut stats));
    }

    fn burst(pressure: &mut Pressure, ms: u64, reports: u32) {
        at(ms, |cx| (0..reports).for_each(|_| pressure.on_report(cx)));
    }

    #[test]
    fn levels_follow_the_fill_up_and_fall_one_by_one_when_the_load_fits() {
        let mut pressure = Pressure::new(100);
        burst(&mut pressure, 10_000, 139);
        assert_eq!(pressure.level(), PressureLevel::None);
        burst(&mut pressure, 10_000, 1);
        assert_eq!(pressure.level(), PressureLevel::Throttle);
        burst(&mut pressure, 10_000, 30);
        assert_eq!(pressure.level(), PressureLevel::Batch);
        burst(&mut pressure, 10_000, 1_000);
        assert_eq!(pressure.level(), PressureLevel::Skip);
        // The queue is empty, but so many runs would fill it again.
        at(30_000, |cx| pressure.ease(cx, 501));
        assert_eq!(pressure.level(), PressureLevel::Skip);
        let mut seen = Vec::new();
        for second in 31..50 {
            at(second * 1_000, |cx| pressure.ease(cx, 90));
            seen.push(pressure.level());
        }
        seen.dedup();
        let falling = [PressureLevel::Batch, PressureLevel::Throttle, PressureLevel::None];
        assert_eq!(seen, falling);
    }

    #[test]
    fn a_level_that_the_load_needs_stays() {
        let mut pressure = Pressure::new(100);
        let mut changes = 0;
        for second in 0..120u64 {
            let before = pressure.level();
            let every = u64::from(pressure.report_every());
            let due = if second.is_multiple_of(every) { 180 } else { 0 };
            burst(&mut pressure, second * 1_000, due);
            at(second * 1_000 + 900, |cx| pressure.ease(cx, 180));
            changes += u32::from(before != pressure.level());
        }
        assert_ne!(pressure.level(), PressureLevel::None);
        assert!(changes <= 4, "{changes} changes");
    }
}
