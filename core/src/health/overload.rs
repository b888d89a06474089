//! Overload of one node, judged from samples of itself: the worst of three signals.
//!
//! | signal | busy | stressed | overloaded |
//! |---|---|---|---|
//! | absolute: the newest queue delay | 200 ms | 500 ms | 2 s |
//! | delta: fast over slow average of the delay | +20 % | +50 % | +100 % |
//! | resource: cpu or memory, the higher | 70 % | 85 % | 95 % |
//!
//! The averages forget with 1/10 and 1/50 of each sample. Delta says nothing before `WARM_UP`
//! samples nor below `DELTA_FLOOR`: twice a microsecond is no overload. Nothing is said before
//! `SAMPLES_MIN` samples. The level rises at once and falls after `CALM_SAMPLES` lower ones, to the
//! highest of those. Without samples for `STALE_AFTER` nothing is known, and nothing is shed.
//! Does not do: shed (`flow`).

use std::time::Duration;

use crate::input::Sample;
use crate::time::Instant;

const SAMPLES_MIN: u32 = 3;
const WARM_UP: u32 = 10;
const CALM_SAMPLES: u32 = 2;
const STALE_AFTER: Duration = Duration::from_secs(5);
const DELTA_FLOOR: Duration = Duration::from_millis(20);

const DELAYS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(2)];
const DELTAS_PER_MILLE: [u64; 3] = [200, 500, 1_000];
const RESOURCES_PER_MILLE: [u64; 3] = [700, 850, 950];

/// How overloaded a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Level {
    /// Takes everything.
    #[default]
    Healthy,
    /// Sheds telemetry.
    Busy,
    /// Sheds questions as well.
    Stressed,
    /// Sheds new work as well.
    Overloaded,
}

/// The averages and the level they led to.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    fast: u64,
    slow: u64,
    samples: u32,
    level: Level,
    /// Samples in a row below the level, and the highest of them.
    calmer: u32,
    below: Level,
    fresh_until: Instant,
}

impl Level {
    /// The name operators see.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Healthy => "healthy",
            Level::Busy => "busy",
            Level::Stressed => "stressed",
            Level::Overloaded => "overloaded",
        }
    }
}

impl Detector {
    /// The level at this instant.
    pub fn level(&self, now: Instant) -> Level {
        if now < self.fresh_until { self.level } else { Level::Healthy }
    }

    /// Takes a sample. Whether the level changed.
    pub fn on_sample(&mut self, now: Instant, sample: &Sample) -> bool {
        let before = self.level(now);
        if now >= self.fresh_until {
            *self = Self::default();
        }
        self.fresh_until = now.after(STALE_AFTER);
        self.samples = self.samples.saturating_add(1);
        let delay = micros(sample.delay);
        let first = self.samples == 1;
        self.fast = if first { delay } else { drawn_to(self.fast, delay, 10) };
        self.slow = if first { delay } else { drawn_to(self.slow, delay, 50) };
        let resource = u64::from(sample.cpu.max(sample.memory));
        let seen = rank(delay, &DELAYS.map(micros))
            .max(self.delta())
            .max(rank(resource, &RESOURCES_PER_MILLE));
        if self.samples >= SAMPLES_MIN {
            self.settle(seen);
        }
        self.level != before
    }

    fn delta(&self) -> Level {
        if self.samples < WARM_UP || self.fast < micros(DELTA_FLOOR) {
            return Level::Healthy;
        }
        let above = self.fast.saturating_sub(self.slow);
        let base = self.slow.max(micros(DELTA_FLOOR));
        rank(above.saturating_mul(1_000).checked_div(base).unwrap_or(0), &DELTAS_PER_MILLE)
    }

    fn settle(&mut self, seen: Level) {
        if seen >= self.level {
            (self.level, self.calmer, self.below) = (seen, 0, Level::Healthy);
            return;
        }
        self.calmer = self.calmer.saturating_add(1);
        self.below = self.below.max(seen);
        if self.calmer >= CALM_SAMPLES {
            (self.level, self.calmer, self.below) = (self.below, 0, Level::Healthy);
        }
    }
}

fn rank(value: u64, steps: &[u64; 3]) -> Level {
    match steps.iter().filter(|step| value >= **step).count() {
        0 => Level::Healthy,
        1 => Level::Busy,
        2 => Level::Stressed,
        _ => Level::Overloaded,
    }
}

/// Moves an average towards a value by one part in so many.
const fn drawn_to(average: u64, value: u64, parts: u64) -> u64 {
    if value >= average {
        average.saturating_add((value - average) / parts)
    } else {
        average.saturating_sub((average - value) / parts)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(250);

    #[derive(Default)]
    struct Rig {
        detector: Detector,
        now: Instant,
    }

    impl Rig {
        fn sees(&mut self, ms: u64, cpu: u16, memory: u16) -> Level {
            self.now = self.now.after(EVERY);
            let delay = Duration::from_millis(ms);
            let sample = Sample { delay, cpu, memory, ..Sample::default() };
            self.detector.on_sample(self.now, &sample);
            self.detector.level(self.now)
        }

        fn settled(n: u32, ms: u64) -> Self {
            let mut rig = Self::default();
            for _ in 0..n {
                rig.sees(ms, 0, 0);
            }
            rig
        }
    }

    #[test]
    fn each_signal_alone_raises_the_level_at_once() {
        for (cpu, memory) in [(720, 0), (0, 720)] {
            assert_eq!(Rig::settled(3, 1).sees(1, cpu, memory), Level::Busy);
        }
        assert_eq!(Rig::settled(3, 1).sees(1, 870, 100), Level::Stressed);
        assert_eq!(Rig::settled(3, 1).sees(1, 0, 951), Level::Overloaded);
        assert_eq!(Rig::settled(3, 1).sees(200, 0, 0), Level::Busy);
        assert_eq!(Rig::settled(3, 1).sees(500, 0, 0), Level::Stressed);
        assert_eq!(Rig::settled(3, 1).sees(2_000, 0, 0), Level::Overloaded);
    }

    #[test]
    fn a_rise_over_the_usual_delay_counts_after_the_warm_up_and_above_the_floor() {
        let mut warm = Rig::settled(20, 60);
        let levels: Vec<Level> = (0..8).map(|_| warm.sees(190, 0, 0)).collect();
        assert_eq!(levels[0], Level::Healthy, "below 20 %");
        assert!(levels.contains(&Level::Busy) && levels.contains(&Level::Stressed), "{levels:?}");
        let mut cold = Rig::settled(3, 60);
        assert!((0..6).all(|_| cold.sees(190, 0, 0) == Level::Healthy));
        let mut small = Rig::settled(20, 1);
        assert!((0..20).all(|_| small.sees(15, 0, 0) == Level::Healthy));
    }

    #[test]
    fn the_first_samples_say_nothing() {
        let mut rig = Rig::default();
        assert_eq!(rig.sees(5_000, 999, 999), Level::Healthy);
        assert_eq!(rig.sees(5_000, 999, 999), Level::Healthy);
        assert_eq!(rig.sees(5_000, 999, 999), Level::Overloaded);
    }

    #[test]
    fn the_level_falls_after_two_lower_samples_to_the_higher_of_them() {
        let mut rig = Rig::settled(3, 1);
        assert_eq!(rig.sees(1, 960, 0), Level::Overloaded);
        assert_eq!(rig.sees(1, 0, 0), Level::Overloaded);
        assert_eq!(rig.sees(1, 960, 0), Level::Overloaded, "one calm sample is none");
        assert_eq!(rig.sees(1, 710, 0), Level::Overloaded);
        assert_eq!(rig.sees(1, 0, 0), Level::Busy);
        assert_eq!(rig.sees(1, 0, 0), Level::Busy);
        assert_eq!(rig.sees(1, 0, 0), Level::Healthy);
    }

    #[test]
    fn without_samples_nothing_is_known() {
        let mut rig = Rig::settled(3, 1);
        rig.sees(1, 960, 0);
        let later = rig.now.after(STALE_AFTER);
        assert_eq!(rig.detector.level(later), Level::Healthy);
        assert_eq!(rig.detector.level(rig.now), Level::Overloaded);
    }
}
