//! A circuit breaker for one destination.
//!
//! Closed until so many messages in a row went unanswered; open for a span that every further
//! failure begins anew; then half open: one trial is admitted, and its outcome closes or opens the
//! circuit. Each failed trial doubles the span, up to sixteen times, so that a destination that
//! answers now and then is not asked in a rhythm. Inputs: answers, messages that went unanswered,
//! trials, the clock. Does not do: know what was asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::HealthConfig;
use crate::time::Instant;

/// The last doubling of the open span.
const DOUBLINGS: u32 = 4;

/// Where a circuit stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Circuit {
    /// Messages go.
    #[default]
    Closed,
    /// One trial is admitted.
    HalfOpen,
    /// Nothing goes.
    Open,
}

impl Circuit {
    /// The name people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// The breaker of one destination.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    failures: u32,
    reopened: u32,
    /// Open until then, and half open afterwards.
    until: Option<Instant>,
}

impl Breaker {
    /// Where it stands.
    pub fn circuit(&self, now: Instant) -> Circuit {
        match self.until {
            None => Circuit::Closed,
            Some(until) if now < until => Circuit::Open,
            Some(_) => Circuit::HalfOpen,
        }
    }

    /// The destination answered. Whether that closed the circuit.
    pub fn on_answer(&mut self) -> bool {
        let closed = self.until.is_some();
        *self = Self::default();
        closed
    }

    /// A message went unanswered. Whether that opened the circuit.
    pub fn on_failure(&mut self, now: Instant, config: &HealthConfig) -> bool {
        self.failures = self.failures.saturating_add(1);
        let before = self.circuit(now);
        match before {
            Circuit::Closed if self.failures < config.circuit_failures => return false,
            Circuit::Closed | Circuit::Open => {}
            Circuit::HalfOpen => self.reopened = self.reopened.saturating_add(1),
        }
        self.until = Some(now.after(self.span(config)));
        before != Circuit::Open
    }

    /// A trial is sent while half open: no other is until its outcome is known, or as long as an
    /// open span lasts.
    pub fn on_trial(&mut self, now: Instant, config: &HealthConfig) {
        if self.circuit(now) == Circuit::HalfOpen {
            self.until = Some(now.after(self.span(config)));
        }
    }

    fn span(&self, config: &HealthConfig) -> Duration {
        config.circuit_open.saturating_mul(1 << self.reopened.min(DOUBLINGS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn opened(at: Instant, config: &HealthConfig) -> Breaker {
        let mut breaker = Breaker::default();
        assert!(!breaker.on_failure(at, config));
        assert!(!breaker.on_failure(at, config));
        assert_eq!(breaker.circuit(at), Circuit::Closed);
        assert!(breaker.on_failure(at, config));
        breaker
    }

    #[test]
    fn it_opens_half_opens_and_closes() {
        let (config, start) = (HealthConfig::default(), Instant::ZERO.after(S));
        let mut breaker = opened(start, &config);
        assert_eq!(breaker.circuit(start.after(9 * S)), Circuit::Open);
        assert!(!breaker.on_failure(start.after(5 * S), &config), "it was open");
        assert_eq!(breaker.circuit(start.after(14 * S)), Circuit::Open, "pushed back");
        let trial = start.after(15 * S);
        assert_eq!(breaker.circuit(trial), Circuit::HalfOpen);
        breaker.on_trial(trial, &config);
        assert_eq!(breaker.circuit(trial), Circuit::Open, "one trial at a time");
        assert!(breaker.on_answer());
        assert_eq!(breaker.circuit(trial), Circuit::Closed);
        assert!(!breaker.on_answer(), "it was closed");
    }

    #[test]
    fn answers_between_failures_keep_it_closed() {
        let (config, now) = (HealthConfig::default(), Instant::ZERO);
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.on_failure(now, &config) && !breaker.on_failure(now, &config));
            assert!(!breaker.on_answer());
        }
        assert_eq!(breaker.circuit(now), Circuit::Closed);
    }

    #[test]
    fn a_breaker_that_oscillates_opens_for_longer_each_time() {
        let (config, mut now) = (HealthConfig::default(), Instant::ZERO);
        let mut breaker = opened(now, &config);
        let mut spans = Vec::new();
        for _ in 0..6 {
            let since = now;
            while breaker.circuit(now) == Circuit::Open {
                now = now.after(S);
            }
            spans.push(now.since(since).as_secs());
            assert!(breaker.on_failure(now, &config), "a failed trial opens it again");
        }
        assert_eq!(spans, [10, 20, 40, 80, 160, 160]);
    }
}
