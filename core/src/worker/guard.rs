//! Guard: keeps the machine under a worker from running out of processor or memory.
//!
//! In: samples of how busy the process is, and the clock. Out: take no new runs, take them again,
//! end the newest run. Both values are smoothed (integers, a quarter of the newest sample), so one
//! spike moves nothing.
//!
//! | level | from (processor, memory) | what it does |
//! |---|---|---|
//! | Normal | - | nothing |
//! | Warned | 850, 750 | says so |
//! | Throttled | 970, 850 | takes no new runs; heartbeats show no free core |
//! | Stopping | -, 950 | ends the newest run, then the next one after `SETTLE` while it lasts |
//!
//! A higher level is entered when its threshold was exceeded for `GRACE`, at once when memory is at
//! `MEMORY_LAST`; a lower one when every sample of `CALM` was `SLACK` below the threshold of the
//! present level. A busy processor never ends a run: what it costs is flagged in the totals. A
//! guard that hears no samples for `STALE` knows nothing and is back to normal: a lost sampler must
//! not take a worker out of service. Every transition is counted and logged once.
//!
//! Does not do: ending runs. `execution` does, in good order, and the managers declare what was not
//! issued.

use core::time::Duration;

use crate::input::Sample;
use crate::invariant::{Inv, Violation};
use crate::machine::{Cx, Events, Machine, Wake};
use crate::stat::Stat;
use crate::time::Instant;

const CPU_WARN: u32 = 850;
const CPU_THROTTLE: u32 = 970;
const MEMORY_WARN: u32 = 750;
const MEMORY_THROTTLE: u32 = 850;
const MEMORY_STOP: u32 = 950;
/// From here on nothing is waited for.
const MEMORY_LAST: u32 = 980;
const SLACK: u32 = 50;
const GRACE: Duration = Duration::from_secs(2);
const CALM: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_secs(2);
const STALE: Duration = Duration::from_secs(10);
/// Averages are kept in sixteenths of a thousandth.
const SCALE: u32 = 16;

/// How near the machine is to its limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Level {
    /// Far from them.
    #[default]
    Normal,
    /// Near.
    Warned,
    /// At one: no new runs.
    Throttled,
    /// Memory is about to run out: runs are ended.
    Stopping,
}

/// What can happen to the guard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// The samples may have stopped.
    Wake,
    /// A new sample.
    Sampled(Sample),
}

/// What the worker must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// Take new runs, or none.
    Throttle(bool),
    /// End the newest run.
    EndNewest,
}

/// Smoothed use of the machine, and the level it led to.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    cpu: Option<u32>,
    memory: Option<u32>,
    level: Level,
    /// Since when a higher level is called for.
    above_since: Option<Instant>,
    /// Since when every sample called for a lower one.
    below_since: Option<Instant>,
    /// When the newest run may be ended next.
    next_end: Option<Instant>,
    /// When the samples are too old to mean anything.
    stale_at: Option<Instant>,
}

impl Guard {
    /// The present level.
    pub(super) const fn level(&self) -> Level {
        self.level
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        if self.stale_at.is_none_or(|at| at > cx.now()) {
            return Events::none();
        }
        let level = self.level;
        *self = Self { level, ..Self::default() };
        self.move_to(cx, Level::Normal)
    }

    fn on_sampled(&mut self, cx: &mut Cx<'_>, sample: Sample) -> Events<Event> {
        let now = cx.now();
        smooth(&mut self.cpu, sample.cpu);
        smooth(&mut self.memory, sample.memory);
        self.stale_at = Some(now.after(STALE));
        let is_last = u32::from(sample.memory) >= MEMORY_LAST;
        let wanted = if is_last { Level::Stopping } else { self.wanted(0) };
        let mut events = Events::none();
        if wanted > self.level {
            self.below_since = None;
            let since = *self.above_since.get_or_insert(now);
            if is_last || now.since(since) >= GRACE {
                events = self.move_to(cx, wanted);
            }
        } else {
            self.above_since = None;
            events = self.relax(cx);
        }
        if self.level == Level::Stopping
            && self.next_end.is_none_or(|at| at <= now)
            && self.is_full(is_last)
        {
            self.next_end = Some(now.after(SETTLE));
            events.push(Event::EndNewest);
        }
        events
    }

    /// One level down, to where the averages point, when they did so for long enough.
    fn relax(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        let lower = self.wanted(SLACK);
        if lower >= self.level {
            self.below_since = None;
            return Events::none();
        }
        let since = *self.below_since.get_or_insert(cx.now());
        if cx.now().since(since) < CALM { Events::none() } else { self.move_to(cx, lower) }
    }

    /// The level that the averages call for when every threshold is lowered by `slack`.
    fn wanted(&self, slack: u32) -> Level {
        let reaches = |average: Option<u32>, threshold: u32| {
            average.is_some_and(|average| average >= threshold.saturating_sub(slack) * SCALE)
        };
        if reaches(self.memory, MEMORY_STOP) {
            Level::Stopping
        } else if reaches(self.memory, MEMORY_THROTTLE) || reaches(self.cpu, CPU_THROTTLE) {
            Level::Throttled
        } else if reaches(self.memory, MEMORY_WARN) || reaches(self.cpu, CPU_WARN) {
            Level::Warned
        } else {
            Level::Normal
        }
    }

    /// Whether memory still is about to run out.
    fn is_full(&self, is_last: bool) -> bool {
        is_last || self.wanted(0) == Level::Stopping
    }

    fn move_to(&mut self, cx: &mut Cx<'_>, to: Level) -> Events<Event> {
        let from = core::mem::replace(&mut self.level, to);
        (self.above_since, self.below_since) = (None, None);
        if from == to {
            return Events::none();
        }
        cx.count(match to {
            Level::Normal => Stat::GuardRelaxed,
            Level::Warned => Stat::GuardWarned,
            Level::Throttled => Stat::GuardThrottled,
            Level::Stopping => Stat::GuardStopping,
        });
        let average = |value: Option<u32>| value.unwrap_or(0) / SCALE;
        let (cpu, memory) = (average(self.cpu), average(self.memory));
        tracing::warn!(?from, ?to, cpu, memory, "resources, in thousandths");
        if to < Level::Stopping {
            self.next_end = None;
        }
        let (was, is) = (from >= Level::Throttled, to >= Level::Throttled);
        if was == is { Events::none() } else { Events::one(Event::Throttle(is)) }
    }
}

/// A quarter of the newest value goes into the average.
fn smooth(average: &mut Option<u32>, permille: u16) {
    let new = u32::from(permille.min(1000)) * SCALE;
    *average = Some(average.map_or(new, |old| (old * 3 + new) / 4));
}

impl Machine for Guard {
    type Input = Input;
    type Event = Event;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Event> {
        match input {
            Input::Wake => self.on_wake(cx),
            Input::Sampled(sample) => self.on_sampled(cx, sample),
        }
    }

    fn next_wake(&self) -> Option<Wake> {
        Some(Wake { at: self.stale_at?, why: "samples are too old" })
    }

    fn check(&self) -> Result<(), Violation> {
        if self.level == Level::Normal || self.stale_at.is_some() {
            return Ok(());
        }
        let detail = format!("{:?} without a sample", self.level);
        Err(Violation::new(Inv::LifecycleLegal, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::samples::Bench;

    const SECOND: u64 = 1_000_000_000;

    struct Rig {
        bench: Bench,
        guard: Guard,
        at: u64,
    }

    impl Rig {
        fn new() -> Self {
            Self { bench: Bench::default(), guard: Guard::default(), at: SECOND }
        }

        /// A sample each half second, `count` of them; all events.
        fn sample(&mut self, cpu: u16, memory: u16, count: u32) -> Vec<Event> {
            let mut told = Vec::new();
            for _ in 0..count {
                self.at += SECOND / 2;
                let sample = Sample { cpu, memory, ..Sample::default() };
                let guard = &mut self.guard;
                self.bench.step(self.at, |cx| {
                    told.extend(guard.handle(cx, Input::Sampled(sample)));
                });
                assert_eq!(self.guard.check(), Ok(()));
            }
            told
        }

        fn wake(&mut self, at: u64) -> Vec<Event> {
            self.at = at;
            let mut told = Vec::new();
            let guard = &mut self.guard;
            self.bench.step(at, |cx| told.extend(guard.handle(cx, Input::Wake)));
            told
        }
    }

    #[test]
    fn a_spike_moves_nothing_and_a_busy_processor_ends_no_run() {
        let mut rig = Rig::new();
        rig.sample(100, 100, 4);
        assert_eq!(rig.sample(1000, 970, 1), []);
        assert_eq!(rig.sample(100, 100, 10), []);
        assert_eq!(rig.guard.level(), Level::Normal);
        assert_eq!(rig.sample(1000, 100, 60), [Event::Throttle(true)]);
        assert_eq!(rig.guard.level(), Level::Throttled);
        assert_eq!(rig.bench.stats.count(Stat::GuardThrottled), 1);
    }

    #[test]
    fn levels_rise_with_grace_and_fall_with_slack() {
        let mut rig = Rig::new();
        rig.sample(100, 780, 4);
        assert_eq!(rig.guard.level(), Level::Normal, "grace is not over");
        rig.sample(100, 780, 2);
        assert_eq!(rig.guard.level(), Level::Warned);
        assert_eq!(rig.sample(100, 880, 20), [Event::Throttle(true)]);
        assert_eq!(rig.sample(100, 830, 60), [], "within the slack");
        assert_eq!(rig.sample(100, 600, 60), [Event::Throttle(false)]);
        assert_eq!(rig.guard.level(), Level::Normal);
        let count = |stat| rig.bench.stats.count(stat);
        assert_eq!((count(Stat::GuardWarned), count(Stat::GuardThrottled)), (1, 1));
        assert_eq!(count(Stat::GuardRelaxed), 1);
    }

    #[test]
    fn the_newest_run_ends_again_and_again_while_memory_is_full() {
        let mut rig = Rig::new();
        rig.sample(100, 100, 2);
        assert_eq!(rig.sample(100, 990, 1), [Event::Throttle(true), Event::EndNewest]);
        assert_eq!(rig.sample(100, 990, 3), [], "what was ended needs time to give way");
        assert_eq!(rig.sample(100, 990, 2), [Event::EndNewest]);
        let relaxed = rig.sample(100, 300, 40);
        assert_eq!(relaxed, [Event::Throttle(false)]);
    }

    #[test]
    fn without_samples_it_is_back_to_normal() {
        let mut rig = Rig::new();
        rig.sample(100, 990, 1);
        let wake = rig.guard.next_wake().unwrap().at.as_nanos();
        assert_eq!(rig.wake(wake - 1), []);
        assert_eq!(rig.wake(wake), [Event::Throttle(false)]);
        assert_eq!((rig.guard.level(), rig.guard.next_wake()), (Level::Normal, None));
    }
}
