//! P1, by what engines really issued: one run per shard at a time, no index twice, never more than
//! the plan.

use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::plan::{Executor, PlanTime, Schedule};

use super::{Oracle, Seen, View, Wants, broken};
use crate::truth::{BUCKET_NS, WorkflowTruth};

/// At every true instant at most one worker may issue for a shard.
///
/// The ground truth compares permissions when each takes effect; at the end the instants of issue
/// are compared too.
#[derive(Debug, Default)]
pub(super) struct RunExclusive {
    judged: u64,
}

impl Oracle for RunExclusive {
    fn inv(&self) -> Inv {
        Inv::RunExclusive
    }
    fn wants(&self) -> Wants {
        Wants::OVER
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, _: &Seen<'_>) -> Result<(), Violation> {
        self.judged += view.truth.compared;
        let mut spans: Vec<_> = view
            .truth
            .runs
            .iter()
            .filter_map(|run| Some(((run.datacenter, run.run.shard), run.issued_span?, run.run)))
            .collect();
        spans.sort_by_key(|(shard, span, _)| (*shard, *span));
        for pair in spans.windows(2) {
            let [(shard, first, a), (other, second, b)] = pair else { continue };
            if shard == other && second.0 <= first.1 {
                return broken(
                    self.inv(),
                    format!("{a:?} issued until {} ns, {b:?} from {} ns", first.1, second.0),
                );
            }
        }
        Ok(())
    }
}

/// An index of a workflow is issued at most once. The ground truth marks every index as it is
/// issued.
#[derive(Debug, Default)]
pub(super) struct IndexOnce {
    judged: u64,
}

impl Oracle for IndexOnce {
    fn inv(&self) -> Inv {
        Inv::IndexOnce
    }
    fn wants(&self) -> Wants {
        Wants::OVER
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, _: &Seen<'_>) -> Result<(), Violation> {
        // Only a workflow that more than one run worked on could repeat an index by way of the
        // protocol.
        for workflow in view.truth.workflows.iter().filter(|workflow| workflow.issued > 0) {
            let runs = view.truth.runs_of(workflow.job, workflow.workflow);
            self.judged += u64::from(runs.filter(|run| run.issued > 0).count() > 1);
        }
        Ok(())
    }
}

/// What was issued never exceeds what the plan has due, in total and in any window of a second.
#[derive(Debug, Default)]
pub(super) struct PlanCeiling {
    judged: u64,
}

impl Oracle for PlanCeiling {
    fn inv(&self) -> Inv {
        Inv::PlanCeiling
    }
    fn wants(&self) -> Wants {
        Wants::OVER
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, _: &Seen<'_>) -> Result<(), Violation> {
        for workflow in view.truth.workflows.iter().filter(|workflow| workflow.issued > 0) {
            self.judged += 1;
            if let Some(planned) = workflow.executor.planned_items()
                && workflow.issued > planned
            {
                let what = format!("{} of {planned} planned items issued", workflow.issued);
                return broken(self.inv(), what);
            }
            if let Executor::ConstantArrivalRate { rate, duration, .. } = workflow.executor {
                let schedule = Schedule::new(rate, duration);
                self.arrivals(view, workflow, &schedule)?;
            }
        }
        Ok(())
    }
}

impl PlanCeiling {
    fn arrivals(
        &self,
        view: &View<'_>,
        workflow: &WorkflowTruth,
        schedule: &Schedule,
    ) -> Result<(), Violation> {
        let Some(started) = workflow.first_started() else {
            return broken(self.inv(), "issued before the start was committed".to_owned());
        };
        let drift = u64::from(view.case.lease.drift_ppm);
        // Plan time by a clock that may be fast, read through another that may be fast against it.
        let plan_at = |at: u64| {
            let passed = at.saturating_sub(started);
            passed + passed / 1_000_000 * 3 * drift + 50_000_000
        };
        let mut issued = 0;
        let mut window = 0;
        for (place, count) in workflow.buckets.iter().enumerate() {
            issued += u64::from(*count);
            window += u64::from(*count);
            if place >= 10 {
                window -= u64::from(workflow.buckets[place - 10]);
            }
            let end = workflow.buckets_from + (place as u64 + 1) * BUCKET_NS;
            let due = schedule.due_by(PlanTime::from_nanos(plan_at(end) as i64));
            if issued > due {
                return broken(
                    self.inv(),
                    format!(
                        "{:?}/{:?}: {issued} arrivals issued, {due} due at {end} ns",
                        workflow.job, workflow.workflow
                    ),
                );
            }
            // Ten buckets, what may start late, and how far plan times of shards may be apart.
            let apart = (end - workflow.buckets_from.min(end)) / 1_000_000 * 4 * drift;
            let slack = view.case.manager.late_max.as_nanos() as u64 + apart + 200_000_000;
            let span = PlanTime::from_nanos((10 * BUCKET_NS + slack) as i64);
            let most = schedule.due_by(span) + 64;
            if window > most {
                return broken(
                    self.inv(),
                    format!("{window} arrivals in one second, at most {most}: caught up"),
                );
            }
        }
        Ok(())
    }
}
