//! Totals as metrics with k6's names.

use std::collections::BTreeMap;

use hyperscale_core::stats::{Errors, Histogram, StepTotals, Totals};

use super::document::{Counter, Metric, Rate, Values};
use super::format::micros;
use super::trend::trend;

/// Sums over steps, workflows or both.
#[derive(Clone, Default, Debug)]
pub(super) struct Sum {
    pub(super) checks_passed: u64,
    pub(super) checks_failed: u64,
    requests: u64,
    failed: u64,
    open: u64,
    errors: Errors,
    sent: u64,
    received: u64,
    statuses: BTreeMap<u16, u64>,
    times: [Histogram; TIMES.len()],
    iterations: u64,
    interrupted: u64,
    dropped: u64,
    iteration_duration: Histogram,
    start_lag: Histogram,
}

const TIMES: [&str; 7] = [
    "http_req_duration",
    "http_req_latency",
    "http_req_blocked",
    "http_req_connecting",
    "http_req_sending",
    "http_req_waiting",
    "http_req_receiving",
];

impl Sum {
    /// Adds a workflow with all its steps.
    pub(super) fn add(&mut self, totals: &Totals) {
        self.iterations += totals.iterations;
        self.interrupted += totals.interrupted;
        self.dropped += totals.dropped;
        self.iteration_duration.merge(&totals.iteration_duration);
        self.start_lag.merge(&totals.start_lag);
        for step in &totals.steps {
            self.add_step(step);
        }
    }

    /// Adds one step.
    pub(super) fn add_step(&mut self, step: &StepTotals) {
        self.requests += step.requests;
        self.failed += step.failed;
        self.open += step.interrupted;
        self.errors.merge(step.errors);
        self.checks_passed += step.checks_passed;
        self.checks_failed += step.checks_failed;
        self.sent += step.sent;
        self.received += step.received;
        for (status, count) in step.statuses.iter() {
            *self.statuses.entry(*status).or_default() += count;
        }
        let times = [
            &step.duration,
            &step.latency,
            &step.blocked,
            &step.connecting,
            &step.sending,
            &step.waiting,
            &step.receiving,
        ];
        for (samples, histogram) in self.times.iter_mut().zip(times) {
            samples.merge(histogram);
        }
    }

    /// Checks, as k6 names them.
    pub(super) fn checks(&self, seconds: f64) -> Vec<Metric> {
        let total = self.checks_passed + self.checks_failed;
        vec![
            counter("checks_total", "default", total, seconds),
            rate("checks_succeeded", self.checks_passed, total),
            rate("checks_failed", self.checks_failed, total),
        ]
    }

    /// Requests and bytes.
    pub(super) fn http(&self, seconds: f64) -> Vec<Metric> {
        let mut found = vec![counter("http_reqs", "default", self.requests, seconds)];
        if self.requests > 0 {
            found.push(rate("http_req_failed", self.failed, self.requests));
        }
        for (name, samples) in TIMES.iter().zip(&self.times) {
            found.extend(time(name, samples));
        }
        for (status, count) in &self.statuses {
            let name = format!("http_reqs{{status:{status}}}");
            found.push(counter(&name, "default", *count, seconds));
        }
        let Errors { refused, reset, timeout, status, body } = self.errors;
        let classes =
            [("refused", refused), ("reset", reset), ("timeout", timeout), ("status", status)];
        for (class, count) in classes.into_iter().chain([("body", body)]) {
            if count > 0 {
                let name = format!("http_reqs{{error:{class}}}");
                found.push(counter(&name, "default", count, seconds));
            }
        }
        if self.open > 0 {
            found.push(counter("http_reqs_interrupted", "default", self.open, seconds));
        }
        found.push(counter("data_sent", "data", self.sent, seconds));
        found.push(counter("data_received", "data", self.received, seconds));
        found
    }

    /// Requests, bytes and iterations.
    pub(super) fn all(&self, seconds: f64) -> Vec<Metric> {
        let mut found = self.http(seconds);
        found.push(counter("iterations", "default", self.iterations, seconds));
        found.push(counter("iterations_interrupted", "default", self.interrupted, seconds));
        found.push(counter("dropped_iterations", "default", self.dropped, seconds));
        found.extend(time("iteration_duration", &self.iteration_duration));
        found.extend(time("iteration_start_lag", &self.start_lag));
        let checks = self.checks_passed + self.checks_failed;
        if checks > 0 {
            found.push(rate("checks", self.checks_passed, checks));
        }
        found
    }
}

/// The metrics of a workflow's totals after so many seconds.
pub fn workflow_metrics(totals: &Totals, seconds: f64) -> Vec<Metric> {
    let mut sum = Sum::default();
    sum.add(totals);
    sum.all(seconds)
}

fn counter(name: &str, contains: &str, count: u64, seconds: f64) -> Metric {
    let rate = if seconds > 0.0 { micros(count as f64 / seconds) } else { 0.0 };
    metric(name, "counter", contains, Values::Counter(Counter { count, rate }))
}

fn rate(name: &str, matches: u64, total: u64) -> Metric {
    let rate = if total > 0 { micros(matches as f64 / total as f64) } else { 0.0 };
    metric(name, "rate", "default", Values::Rate(Rate { rate, matches, total }))
}

fn time(name: &str, samples: &Histogram) -> Option<Metric> {
    Some(metric(name, "trend", "time", Values::Trend(trend(samples)?)))
}

fn metric(name: &str, kind: &str, contains: &str, values: Values) -> Metric {
    Metric { name: name.to_owned(), kind: kind.to_owned(), contains: contains.to_owned(), values }
}
