//! From evidence of the moment to a class that can be relied on.
//!
//! A failure (degraded, unhealthy) must last before it counts; meanwhile the destination is busy at
//! best. Recovery goes step by step, unhealthy, degraded, busy, healthy, never skipping one and
//! never turning back unless a new failure lasts; the first step is taken at once, so that the last
//! resort is there when it is needed. Being full is no failure: healthy and busy follow each other
//! freely. One that fails too often is flapping: it stays degraded until it was well for long.
//! What was never well is judged by its first good evidence at once. Does not do: gather evidence.

use std::collections::VecDeque;

use super::{HealthClass, HealthConfig};
use crate::time::Instant;

/// Failures remembered; a configuration asks for no more.
const FAILURES_MAX: usize = 16;

/// A class that changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// What it was.
    pub from: HealthClass,
    /// What it is.
    pub to: HealthClass,
    /// It flaps from here on.
    pub flaps: bool,
}

/// The judgement of one destination.
#[derive(Clone, Debug, Default)]
pub struct Damper {
    class: HealthClass,
    /// It has been well.
    was_well: bool,
    is_recovering: bool,
    /// Since when the evidence is at least degraded, and unhealthy.
    degraded_since: Option<Instant>,
    unhealthy_since: Option<Instant>,
    /// Since when it is better than the class.
    better_since: Option<Instant>,
    failures: VecDeque<Instant>,
    flaps: bool,
}

impl Damper {
    /// The class that counts.
    pub fn class(&self) -> HealthClass {
        self.class
    }

    /// Whether it was ever well.
    pub fn was_well(&self) -> bool {
        self.was_well
    }

    /// Whether it fails so often that it is held back.
    pub fn is_flapping(&self) -> bool {
        self.flaps
    }

    /// Takes the evidence of this instant. `sure`: a failure in it has lasted long enough already.
    pub fn judge(
        &mut self,
        now: Instant,
        (evidence, sure): (HealthClass, bool),
        config: &HealthConfig,
    ) -> Option<Moved> {
        let (from, flapped) = (self.class, self.flaps);
        if !self.was_well {
            self.was_well = evidence != HealthClass::Unhealthy;
            self.class = evidence;
        } else if evidence.is_failure() && evidence >= self.class {
            self.fail(now, (evidence, sure), config);
        } else {
            self.recover(now, evidence, config);
        }
        let flaps = self.flaps && !flapped;
        (from != self.class || flaps).then_some(Moved { from, to: self.class, flaps })
    }

    fn fail(&mut self, now: Instant, (evidence, sure): (HealthClass, bool), config: &HealthConfig) {
        self.better_since = None;
        let since = *self.degraded_since.get_or_insert(now);
        let mut lasting =
            (sure || now.since(since) >= config.failure_lasts).then_some(HealthClass::Degraded);
        if evidence == HealthClass::Unhealthy {
            let since = *self.unhealthy_since.get_or_insert(now);
            if sure || now.since(since) >= config.failure_lasts {
                lasting = Some(evidence);
            }
        } else {
            self.unhealthy_since = None;
        }
        match lasting {
            Some(lasting) if lasting > self.class => {
                if !self.class.is_failure() {
                    self.note_failure(now, config);
                }
                self.class = lasting;
                self.is_recovering = true;
            }
            Some(_) => {}
            // What may be failing is nobody's first choice.
            None => self.class = self.class.max(HealthClass::Busy),
        }
    }

    fn recover(&mut self, now: Instant, evidence: HealthClass, config: &HealthConfig) {
        self.unhealthy_since = None;
        if !evidence.is_failure() {
            self.degraded_since = None;
        }
        if !self.is_recovering {
            self.class = evidence;
            return;
        }
        let next = match self.class {
            HealthClass::Unhealthy => HealthClass::Degraded,
            HealthClass::Degraded => HealthClass::Busy,
            HealthClass::Busy | HealthClass::Healthy => HealthClass::Healthy,
        };
        if next < evidence {
            self.better_since = None;
            return;
        }
        let since = *self.better_since.get_or_insert(now);
        let step = match self.class {
            HealthClass::Unhealthy => std::time::Duration::ZERO,
            HealthClass::Degraded if self.flaps => config.flap_hold,
            HealthClass::Degraded | HealthClass::Busy | HealthClass::Healthy => {
                config.recovery_step
            }
        };
        if now.since(since) < step {
            return;
        }
        self.class = next;
        self.better_since = Some(now);
        if next < HealthClass::Degraded {
            self.flaps = false;
        }
        if next == HealthClass::Healthy {
            self.is_recovering = false;
            self.better_since = None;
        }
    }

    fn note_failure(&mut self, now: Instant, config: &HealthConfig) {
        if self.failures.len() >= FAILURES_MAX {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        self.failures.retain(|at| now.since(*at) <= config.flap_window);
        let often = u32::try_from(self.failures.len()).unwrap_or(u32::MAX) >= config.flaps;
        self.flaps |= often;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::HealthClass::{Busy, Degraded, Healthy, Unhealthy};
    use super::*;

    /// Judges the evidence once a second; the class after each.
    fn judged(damper: &mut Damper, now: &mut u64, evidence: &[HealthClass]) -> Vec<HealthClass> {
        let config = HealthConfig { recovery_step: Duration::from_secs(2), ..Default::default() };
        let mut judge = |evidence: &HealthClass| {
            *now += 1;
            let at = Instant::ZERO.after(Duration::from_secs(*now));
            damper.judge(at, (*evidence, false), &config);
            damper.class()
        };
        evidence.iter().map(&mut judge).collect()
    }

    #[test]
    fn a_failure_must_last_and_full_is_busy() {
        let (mut damper, mut now) = (Damper::default(), 0);
        let seen = judged(&mut damper, &mut now, &[Unhealthy, Healthy, Busy, Healthy]);
        assert_eq!(seen, [Unhealthy, Healthy, Busy, Healthy]);
        let seen = judged(&mut damper, &mut now, &[Unhealthy, Unhealthy, Healthy]);
        assert_eq!(seen, [Busy, Busy, Healthy], "too short");
        let seen = judged(&mut damper, &mut now, &[Unhealthy; 6]);
        assert_eq!(seen, [Busy, Busy, Busy, Busy, Busy, Unhealthy]);
    }

    #[test]
    fn recovery_is_stepwise_and_monotonic() {
        let (mut damper, mut now) = (Damper::default(), 0);
        judged(&mut damper, &mut now, &[Healthy]);
        judged(&mut damper, &mut now, &[Unhealthy; 6]);
        let seen = judged(&mut damper, &mut now, &[Healthy; 6]);
        assert_eq!(seen, [Degraded, Degraded, Busy, Busy, Healthy, Healthy]);
        assert!(seen.is_sorted_by(|a, b| a >= b));
        judged(&mut damper, &mut now, &[Unhealthy; 6]);
        let seen = judged(&mut damper, &mut now, &[Healthy, Unhealthy, Healthy, Healthy, Healthy]);
        assert_eq!(seen, [Degraded, Degraded, Degraded, Degraded, Busy], "the step began anew");
    }

    #[test]
    fn what_fails_often_is_held_at_degraded_until_it_was_well_for_long() {
        let (mut damper, mut now) = (Damper::default(), 0);
        judged(&mut damper, &mut now, &[Healthy]);
        for _ in 0..3 {
            assert!(!damper.is_flapping());
            judged(&mut damper, &mut now, &[Unhealthy; 6]);
            judged(&mut damper, &mut now, &[Healthy; 6]);
        }
        assert!(damper.is_flapping());
        assert_eq!(damper.class(), Degraded);
        let seen = judged(&mut damper, &mut now, &[Healthy; 60]);
        assert_eq!(seen.iter().filter(|class| **class == Degraded).count(), 54, "a minute in all");
        assert_eq!(damper.class(), Healthy);
        assert!(!damper.is_flapping());
    }
}
