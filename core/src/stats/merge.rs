//! Adding up totals: element by element, whatever the lengths; counters saturate.

use super::histogram::Histogram;
use super::totals::{Errors, StepTotals, Totals};

impl Totals {
    /// Forgets the histograms and keeps the counters.
    pub fn drop_histograms(&mut self) {
        self.iteration_duration = Histogram::default();
        self.start_lag = Histogram::default();
        for step in &mut self.steps {
            step.drop_histograms();
        }
    }

    /// Adds `other`. Steps are added by place; missing ones count as empty.
    pub fn merge(&mut self, other: &Self) {
        self.coarsen(other.coarse);
        let finer = (other.coarse < self.coarse).then(|| {
            let mut finer = other.clone();
            finer.coarsen(self.coarse);
            finer
        });
        let other = finer.as_ref().unwrap_or(other);
        add(&mut self.iterations, other.iterations);
        add(&mut self.interrupted, other.interrupted);
        add(&mut self.dropped, other.dropped);
        add(&mut self.watched, other.watched);
        add(&mut self.saturated, other.saturated);
        self.iteration_duration.merge(&other.iteration_duration);
        self.start_lag.merge(&other.start_lag);
        for (place, theirs) in other.steps.iter().enumerate() {
            match self.steps.get_mut(place) {
                Some(ours) => ours.merge(theirs),
                None => {
                    // Both vectors have the same cap, so this one is not full.
                    let _ = self.steps.push(theirs.clone());
                }
            }
        }
    }
}

impl StepTotals {
    pub(super) fn drop_histograms(&mut self) {
        let all = [
            &mut self.duration,
            &mut self.latency,
            &mut self.blocked,
            &mut self.connecting,
            &mut self.sending,
            &mut self.waiting,
            &mut self.receiving,
        ];
        all.into_iter().for_each(|histogram| *histogram = Histogram::default());
    }

    /// Adds `other`. Status codes beyond the cap of distinct ones are left out of `statuses` and
    /// nowhere else.
    pub fn merge(&mut self, other: &Self) {
        add(&mut self.requests, other.requests);
        add(&mut self.failed, other.failed);
        add(&mut self.interrupted, other.interrupted);
        self.errors.merge(other.errors);
        add(&mut self.checks_passed, other.checks_passed);
        add(&mut self.checks_failed, other.checks_failed);
        add(&mut self.sent, other.sent);
        add(&mut self.received, other.received);
        for (status, count) in &other.statuses {
            self.on_status(*status, *count);
        }
        self.duration.merge(&other.duration);
        self.latency.merge(&other.latency);
        self.blocked.merge(&other.blocked);
        self.connecting.merge(&other.connecting);
        self.sending.merge(&other.sending);
        self.waiting.merge(&other.waiting);
        self.receiving.merge(&other.receiving);
    }

    /// Counts `count` responses with `status`. A new code beyond the cap of distinct ones is left
    /// out.
    pub fn on_status(&mut self, status: u16, count: u64) {
        let held = self.statuses.get(&status).copied().unwrap_or(0);
        // The only error is the cap, and it leaves the map as it was.
        let _ = self.statuses.insert(status, held.saturating_add(count));
    }
}

impl Errors {
    /// Adds `other`.
    pub fn merge(&mut self, other: Self) {
        add(&mut self.refused, other.refused);
        add(&mut self.reset, other.reset);
        add(&mut self.timeout, other.timeout);
        add(&mut self.status, other.status);
        add(&mut self.body, other.body);
    }

    /// All classes together.
    pub fn sum(&self) -> u64 {
        [self.refused, self.reset, self.timeout, self.status, self.body]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
