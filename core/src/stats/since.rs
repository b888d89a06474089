//! Taking cumulative totals apart: what lies between two states of one source, and how much of it
//! there is. The inverse of `merge`: `a.since(b)` merged with `b` is `a` wherever `a` is not below.

use super::histogram::Histogram;
use super::totals::{Errors, StepTotals, Totals};

impl Totals {
    /// What was added since `before`, counter by counter and bucket by bucket; nothing where
    /// `before` is higher.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        if self.coarse != before.coarse {
            let (mut one, mut other) = (self.clone(), before.clone());
            one.coarsen(other.coarse);
            other.coarsen(one.coarse);
            return one.since(&other);
        }
        let mut steps = self.steps.clone();
        for (step, before) in steps.iter_mut().zip(before.steps.iter()) {
            *step = step.since(before);
        }
        Self {
            iterations: self.iterations.saturating_sub(before.iterations),
            interrupted: self.interrupted.saturating_sub(before.interrupted),
            dropped: self.dropped.saturating_sub(before.dropped),
            iteration_duration: self.iteration_duration.since(&before.iteration_duration),
            start_lag: self.start_lag.since(&before.start_lag),
            steps,
            coarse: self.coarse,
            watched: self.watched.saturating_sub(before.watched),
            saturated: self.saturated.saturating_sub(before.saturated),
        }
    }

    /// What windows keep: every counter, and of the histograms the requests' durations.
    #[must_use]
    pub fn brief(&self) -> Self {
        let mut steps = self.steps.clone();
        for step in &mut steps {
            let duration = std::mem::take(&mut step.duration);
            step.drop_histograms();
            step.duration = duration;
        }
        let (iteration_duration, start_lag) = (Histogram::default(), Histogram::default());
        Self { iteration_duration, start_lag, steps, ..*self }
    }

    /// Whether nothing is counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        [self.iterations, self.interrupted, self.dropped] == [0; 3]
            && self.iteration_duration.is_empty()
            && self.start_lag.is_empty()
            && self.steps.iter().all(StepTotals::is_zero)
    }

    /// How many buckets its histograms list: what its size is in proportion to.
    #[must_use]
    pub fn cells(&self) -> usize {
        let own = [&self.iteration_duration, &self.start_lag];
        let steps = self.steps.iter().flat_map(StepTotals::histograms);
        own.into_iter().chain(steps).map(|histogram| histogram.buckets().len()).sum()
    }
}

impl StepTotals {
    fn histograms(&self) -> [&Histogram; 7] {
        [
            &self.duration,
            &self.latency,
            &self.blocked,
            &self.connecting,
            &self.sending,
            &self.waiting,
            &self.receiving,
        ]
    }

    fn is_zero(&self) -> bool {
        let counters = [
            self.requests,
            self.failed,
            self.interrupted,
            self.errors.sum(),
            self.checks_passed,
            self.checks_failed,
            self.sent,
            self.received,
        ];
        counters == [0; 8]
            && self.statuses.values().all(|count| *count == 0)
            && self.histograms().iter().all(|histogram| histogram.is_empty())
    }

    fn since(&self, before: &Self) -> Self {
        let mut statuses = self.statuses.clone();
        statuses.retain(|status, count| {
            *count = count.saturating_sub(before.statuses.get(status).copied().unwrap_or(0));
            *count > 0
        });
        Self {
            requests: self.requests.saturating_sub(before.requests),
            failed: self.failed.saturating_sub(before.failed),
            interrupted: self.interrupted.saturating_sub(before.interrupted),
            errors: self.errors.since(before.errors),
            checks_passed: self.checks_passed.saturating_sub(before.checks_passed),
            checks_failed: self.checks_failed.saturating_sub(before.checks_failed),
            sent: self.sent.saturating_sub(before.sent),
            received: self.received.saturating_sub(before.received),
            statuses,
            duration: self.duration.since(&before.duration),
            latency: self.latency.since(&before.latency),
            blocked: self.blocked.since(&before.blocked),
            connecting: self.connecting.since(&before.connecting),
            sending: self.sending.since(&before.sending),
            waiting: self.waiting.since(&before.waiting),
            receiving: self.receiving.since(&before.receiving),
        }
    }
}

impl Errors {
    fn since(self, before: Self) -> Self {
        Self {
            refused: self.refused.saturating_sub(before.refused),
            reset: self.reset.saturating_sub(before.reset),
            timeout: self.timeout.saturating_sub(before.timeout),
            status: self.status.saturating_sub(before.status),
            body: self.body.saturating_sub(before.body),
        }
    }
}
