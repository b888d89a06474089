//! What one run has measured since it began, on one thread.
//!
//! Memory does not grow with the number of requests: counters, dense histograms, and one counter
//! per status code.

use std::collections::BTreeMap;

use hyperscale_core::bounded::{BoundedMap, BoundedVec};
use hyperscale_core::limits;
use hyperscale_core::stats::{Busy, Errors, Recorder, StepTotals, Totals};

use super::connection::{ErrorClass, Exchange};
use super::flow::Verdict;

/// Counters and histograms of a run.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) iterations: u64,
    pub(super) interrupted: u64,
    watched: u64,
    saturated: u64,
    iteration_duration: Recorder,
    start_lag: Recorder,
    steps: Vec<StepMeter>,
}

#[derive(Debug, Default)]
struct StepMeter {
    requests: u64,
    interrupted: u64,
    errors: Errors,
    checks_passed: u64,
    checks_failed: u64,
    sent: u64,
    received: u64,
    statuses: BTreeMap<u16, u64>,
    duration: Recorder,
    latency: Recorder,
    blocked: Recorder,
    connecting: Recorder,
    sending: Recorder,
    waiting: Recorder,
    receiving: Recorder,
}

impl Meter {
    /// Nothing measured, of a flow with so many requests.
    pub(super) fn new(requests: usize) -> Self {
        Self {
            iterations: 0,
            interrupted: 0,
            watched: 0,
            saturated: 0,
            iteration_duration: Recorder::new(),
            start_lag: Recorder::new(),
            steps: (0..requests).map(|_| StepMeter::default()).collect(),
        }
    }

    /// An arrival started so many nanoseconds after its planned instant.
    pub(super) fn on_started(&mut self, lag: u64) {
        self.start_lag.record(micros(lag));
    }

    /// So many plan seconds passed in which the thread saw this of itself.
    pub(super) fn on_watched(&mut self, seconds: u32, seen: Busy) {
        self.watched += u64::from(seconds);
        self.saturated += u64::from(if seen.is_saturated() { seconds } else { 0 });
    }

    /// An iteration ran to the end of its flow.
    pub(super) fn on_iteration(&mut self, duration: u64) {
        self.iterations += 1;
        self.iteration_duration.record(micros(duration));
    }

    /// An iteration was open when the run ended, and in it perhaps a request.
    pub(super) fn on_interrupted(&mut self, request: Option<usize>) {
        self.interrupted += 1;
        if let Some(step) = request.and_then(|ordinal| self.steps.get_mut(ordinal)) {
            step.interrupted += 1;
        }
    }

    /// A request ended; `latency` is given for an arrival's first.
    pub(super) fn on_exchange(
        &mut self,
        ordinal: usize,
        exchange: &Exchange,
        verdict: &Verdict,
        latency: Option<u64>,
    ) {
        if let Some(step) = self.steps.get_mut(ordinal) {
            step.on_exchange(exchange, verdict, latency);
        }
    }

    /// Everything measured, as it is reported.
    pub(super) fn totals(&self, dropped: u64) -> Totals {
        let steps: Vec<_> = self.steps.iter().map(StepMeter::totals).collect();
        Totals {
            iterations: self.iterations,
            interrupted: self.interrupted,
            dropped,
            iteration_duration: self.iteration_duration.snapshot(),
            start_lag: self.start_lag.snapshot(),
            coarse: 0,
            steps: BoundedVec::try_from(steps).unwrap_or_default(),
            watched: self.watched,
            saturated: self.saturated,
        }
    }
}

impl StepMeter {
    fn on_exchange(&mut self, exchange: &Exchange, verdict: &Verdict, latency: Option<u64>) {
        self.requests += 1;
        match verdict.failure {
            None => {}
            Some(ErrorClass::Refused) => self.errors.refused += 1,
            Some(ErrorClass::Reset) => self.errors.reset += 1,
            Some(ErrorClass::Timeout) => self.errors.timeout += 1,
            Some(ErrorClass::Status) => self.errors.status += 1,
            Some(ErrorClass::Body) => self.errors.body += 1,
        }
        self.checks_passed += verdict.checks_passed;
        self.checks_failed += verdict.checks_failed;
        self.sent += exchange.sent;
        self.received += exchange.received;
        if let Ok(status) = exchange.result {
            self.on_status(status);
        }
        self.blocked.record(micros(exchange.blocked));
        if exchange.connecting > 0 {
            self.connecting.record(micros(exchange.connecting));
        }
        // What was never written has no duration; a timeout has, and belongs to the tail.
        if exchange.sent > 0 {
            self.duration.record(micros(exchange.duration()));
            self.sending.record(micros(exchange.sending));
            self.waiting.record(micros(exchange.waiting));
            self.receiving.record(micros(exchange.receiving));
            if let Some(latency) = latency {
                self.latency.record(micros(latency));
            }
        }
    }

    /// The last place is kept for code 0, which stands for all codes that found no place.
    fn on_status(&mut self, status: u16) {
        let known = self.statuses.contains_key(&status);
        let place = known || self.statuses.len() < limits::STATUSES_MAX - 1;
        *self.statuses.entry(if place { status } else { 0 }).or_default() += 1;
    }

    fn totals(&self) -> StepTotals {
        let e = self.errors;
        StepTotals {
            requests: self.requests,
            failed: e.refused + e.reset + e.timeout + e.status + e.body,
            interrupted: self.interrupted,
            errors: e,
            checks_passed: self.checks_passed,
            checks_failed: self.checks_failed,
            sent: self.sent,
            received: self.received,
            statuses: BoundedMap::try_from(self.statuses.clone()).unwrap_or_default(),
            duration: self.duration.snapshot(),
            latency: self.latency.snapshot(),
            blocked: self.blocked.snapshot(),
            connecting: self.connecting.snapshot(),
            sending: self.sending.snapshot(),
            waiting: self.waiting.snapshot(),
            receiving: self.receiving.snapshot(),
        }
    }
}

fn micros(nanos: u64) -> u64 {
    nanos / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(result: Result<u16, ErrorClass>) -> Exchange {
        let sent = if result == Err(ErrorClass::Refused) { 0 } else { 10 };
        Exchange {
            result,
            blocked: 1_000,
            connecting: 0,
            sending: 2_000,
            waiting: 30_000,
            receiving: 4_999,
            ended: 0,
            sent,
            received: 7,
        }
    }

    #[test]
    fn classes_sum_to_failed_and_refused_has_no_duration() {
        let mut meter = Meter::new(1);
        let classes = [
            ErrorClass::Refused,
            ErrorClass::Reset,
            ErrorClass::Timeout,
            ErrorClass::Status,
            ErrorClass::Body,
        ];
        for class in classes {
            let verdict = Verdict { failure: Some(class), checks_passed: 1, checks_failed: 2 };
            meter.on_exchange(0, &exchange(Err(class)), &verdict, None);
        }
        meter.on_exchange(0, &exchange(Ok(204)), &Verdict::default(), Some(50_000));
        let totals = meter.totals(3);
        let step = &totals.steps[0];
        assert_eq!((totals.dropped, step.requests, step.failed), (3, 6, 5));
        let all = Errors { refused: 1, reset: 1, timeout: 1, status: 1, body: 1 };
        assert_eq!(step.errors, all);
        assert_eq!((step.checks_passed, step.checks_failed), (5, 10));
        assert_eq!((step.sent, step.received), (50, 42));
        assert_eq!(step.statuses.iter().collect::<Vec<_>>(), [(&204, &1)]);
        assert_eq!((step.duration.count(), step.blocked.count()), (5, 6));
        assert_eq!((step.duration.min(), step.connecting.count()), (Some(36), 0));
        assert_eq!(step.latency.max(), Some(50));
    }

    #[test]
    fn status_codes_without_a_place_are_counted_together() {
        let mut meter = Meter::new(1);
        for status in 200..400 {
            meter.on_exchange(0, &exchange(Ok(status)), &Verdict::default(), None);
        }
        let statuses = &meter.totals(0).steps[0].statuses;
        assert_eq!(statuses.len(), limits::STATUSES_MAX);
        assert_eq!(statuses.values().sum::<u64>(), 200);
        assert_eq!(statuses.get(&0), Some(&(200 - 63)));
    }
}
