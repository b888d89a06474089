//! What a simulated run has measured, in a form that is cheap to add to and turns into `Totals`.

use hyperscale_core::bounded::{BoundedMap, BoundedVec};
use hyperscale_core::stats::{Errors, Recorder, StepTotals, Totals};

/// How a simulated request ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Status 200.
    Ok,
    /// Status 500.
    Status,
    /// The connection broke.
    Reset,
    /// No answer in time.
    Timeout,
}

#[derive(Clone, Debug, Default)]
struct StepMeter {
    requests: u64,
    interrupted: u64,
    errors: Errors,
    ok: u64,
    status_500: u64,
    duration: Recorder,
    latency: Recorder,
}

/// What a run has measured since it began.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// Iterations that ended.
    pub iterations: u64,
    /// Iterations open when the run ended.
    pub interrupted: u64,
    /// Arrivals dropped, from the pacer.
    pub dropped: u64,
    /// Plan seconds in which the generator watched itself.
    pub watched: u64,
    /// Of those, the ones in which it was at its limit.
    pub saturated: u64,
    iteration_duration: Recorder,
    start_lag: Recorder,
    steps: Vec<StepMeter>,
}

impl Meter {
    /// A meter for so many request steps.
    pub fn new(steps: usize) -> Self {
        Self { steps: vec![StepMeter::default(); steps], ..Self::default() }
    }

    /// An open-loop iteration started so late.
    pub fn on_lag(&mut self, us: u64) {
        self.start_lag.record(us);
    }

    /// A request ended. `latency` is from the arrival's planned instant, for an open loop's first
    /// request.
    pub fn on_request(&mut self, step: usize, outcome: Outcome, times: (u64, Option<u64>)) {
        let meter = &mut self.steps[step];
        meter.requests += 1;
        meter.duration.record(times.0);
        if let Some(latency) = times.1 {
            meter.latency.record(latency);
        }
        match outcome {
            Outcome::Ok => meter.ok += 1,
            Outcome::Status => {
                meter.status_500 += 1;
                meter.errors.status += 1;
            }
            Outcome::Reset => meter.errors.reset += 1,
            Outcome::Timeout => meter.errors.timeout += 1,
        }
    }

    /// An iteration ended.
    pub fn on_iteration(&mut self, us: u64) {
        self.iterations += 1;
        self.iteration_duration.record(us);
    }

    /// An iteration was open when the run ended; with the step whose request was open, if one was.
    pub fn on_interrupted(&mut self, step: Option<usize>) {
        self.interrupted += 1;
        if let Some(step) = step {
            self.steps[step].interrupted += 1;
        }
    }

    /// Requests that ended.
    pub fn requests(&self) -> u64 {
        self.steps.iter().map(|step| step.requests).sum()
    }

    /// As nodes report it.
    pub fn totals(&self) -> Totals {
        let steps: Vec<StepTotals> = self.steps.iter().map(StepMeter::totals).collect();
        Totals {
            iterations: self.iterations,
            interrupted: self.interrupted,
            dropped: self.dropped,
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
    fn totals(&self) -> StepTotals {
        let Errors { refused, reset, timeout, status, body } = self.errors;
        let statuses = [(200, self.ok), (500, self.status_500)].into_iter().filter(|(_, n)| *n > 0);
        StepTotals {
            requests: self.requests,
            failed: refused + reset + timeout + status + body,
            interrupted: self.interrupted,
            errors: self.errors,
            sent: self.requests * 80,
            received: (self.ok + self.status_500) * 200,
            statuses: BoundedMap::try_from(statuses.collect::<std::collections::BTreeMap<_, _>>())
                .unwrap_or_default(),
            duration: self.duration.snapshot(),
            latency: self.latency.snapshot(),
            ..StepTotals::default()
        }
    }
}
