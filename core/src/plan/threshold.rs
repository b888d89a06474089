//! Thresholds: what must hold of a job's merged totals.
//!
//! Comparisons are exact: an observed value is a fraction, and only what is shown is rounded.
//! Percentiles are those of the histogram, within its 0.1 %. A metric without samples has no value
//! and fails, whatever the bound; a counter of a workflow that ran has one, be it zero.

use std::time::Duration;

pub use super::expression::parse;
use super::model::{Comparison, Metric, Plan, Step, Threshold, ThresholdStat};
use crate::ids::WorkflowIx;
use crate::report::{ThresholdOutcome, WorkflowResult, WorkflowView};
use crate::stats::{Histogram, StepTotals, Totals};

/// What thresholds look at: the merged totals of every workflow, in any order. A workflow may be
/// there more than once, and those not there have no samples.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobTotalsView<'a> {
    /// Of workflows that ran.
    pub workflows: Vec<WorkflowTotals<'a>>,
}

/// One workflow's totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkflowTotals<'a> {
    /// Its place in the plan.
    pub workflow: WorkflowIx,
    /// What it measured.
    pub totals: &'a Totals,
    /// How long it ran; zero if it never started.
    pub ran: Duration,
    /// Planned shard-milliseconds; zero while coverage is not known.
    pub planned_ms: u64,
    /// Those in the totals.
    pub covered_ms: u64,
}

/// A value in millionths of the metric's unit, as a fraction; the second part is above zero.
#[derive(Clone, Copy, Debug)]
struct Observed(u128, u128);

impl<'a> JobTotalsView<'a> {
    /// Of a result.
    pub fn of_results(results: &'a [WorkflowResult]) -> Self {
        let workflows = results.iter().map(|result| WorkflowTotals {
            workflow: result.workflow,
            totals: &result.totals,
            ran: result.ran,
            planned_ms: result.planned_ms,
            covered_ms: result.covered_ms,
        });
        Self { workflows: workflows.collect() }
    }

    /// Of a live view, where coverage is not known.
    pub fn of_views(views: &'a [WorkflowView]) -> Self {
        let workflows = views.iter().map(|view| WorkflowTotals {
            workflow: view.workflow,
            totals: &view.totals,
            ran: view.plan_time.elapsed(),
            planned_ms: 0,
            covered_ms: 0,
        });
        Self { workflows: workflows.collect() }
    }
}

/// Every threshold's outcome, in the order of the plan. While a job runs, one that fails without an
/// observed value says only that nothing was measured yet.
pub fn evaluate(plan: &Plan, view: &JobTotalsView<'_>) -> Vec<ThresholdOutcome> {
    plan.thresholds.iter().map(|threshold| outcome(plan, view, threshold)).collect()
}

fn outcome(plan: &Plan, view: &JobTotalsView<'_>, threshold: &Threshold) -> ThresholdOutcome {
    let observed = Selection { plan, view, threshold }.observed();
    ThresholdOutcome {
        metric: label(plan, threshold),
        text: threshold.text.clone(),
        ok: observed.is_some_and(|observed| observed.is(threshold.op, threshold.bound_micro)),
        observed_micro: observed.map(Observed::rounded),
    }
}

fn label(plan: &Plan, threshold: &Threshold) -> String {
    let workflow = threshold.workflow.map(|ix| {
        let found = plan.workflows.get(usize::from(ix.get()));
        format!("workflow:{}", found.map_or("?", |found| found.name.as_str()))
    });
    let step = threshold.step.as_ref().map(|step| format!("step:{step}"));
    let selectors: Vec<_> = workflow.into_iter().chain(step).collect();
    let name = threshold.metric.name();
    if selectors.is_empty() { name.into() } else { format!("{name}{{{}}}", selectors.join(",")) }
}

/// The samples of one threshold.
struct Selection<'a> {
    plan: &'a Plan,
    view: &'a JobTotalsView<'a>,
    threshold: &'a Threshold,
}

impl<'a> Selection<'a> {
    fn observed(&self) -> Option<Observed> {
        let metric = self.threshold.metric;
        if !metric.has(self.threshold.stat) {
            return None;
        }
        if self.threshold.step.is_some() && !metric.is_per_step() {
            return None;
        }
        match metric {
            Metric::HttpReqs => self.counter(self.step_sum(|step| step.requests)),
            Metric::DataSent => self.counter(self.step_sum(|step| step.sent)),
            Metric::DataReceived => self.counter(self.step_sum(|step| step.received)),
            Metric::Iterations => self.counter(self.sum(|of| of.totals.iterations)),
            Metric::DroppedIterations => self.counter(self.sum(|of| of.totals.dropped)),
            Metric::HttpReqFailed => {
                share(self.step_sum(|step| step.failed), self.step_sum(|step| step.requests))
            }
            Metric::Checks => {
                let passed = self.step_sum(|step| step.checks_passed);
                share(passed, passed.saturating_add(self.step_sum(|step| step.checks_failed)))
            }
            Metric::Coverage => share(self.sum(|of| of.covered_ms), self.sum(|of| of.planned_ms)),
            Metric::IterationDuration => {
                self.trend(self.workflows().map(|of| &of.totals.iteration_duration))
            }
            Metric::IterationStartLag => {
                self.trend(self.workflows().map(|of| &of.totals.start_lag))
            }
            Metric::HttpReqDuration => self.trend(self.steps().map(|step| &step.duration)),
            Metric::HttpReqLatency => self.trend(self.steps().map(|step| &step.latency)),
            Metric::HttpReqBlocked => self.trend(self.steps().map(|step| &step.blocked)),
            Metric::HttpReqConnecting => self.trend(self.steps().map(|step| &step.connecting)),
            Metric::HttpReqSending => self.trend(self.steps().map(|step| &step.sending)),
            Metric::HttpReqWaiting => self.trend(self.steps().map(|step| &step.waiting)),
            Metric::HttpReqReceiving => self.trend(self.steps().map(|step| &step.receiving)),
        }
    }

    fn workflows(&self) -> impl Iterator<Item = &'a WorkflowTotals<'a>> + use<'a> {
        let wanted = self.threshold.workflow;
        self.view.workflows.iter().filter(move |of| wanted.is_none_or(|ix| ix == of.workflow))
    }

    fn steps(&self) -> impl Iterator<Item = &'a StepTotals> + use<'a> {
        let (plan, wanted) = (self.plan, self.threshold.step.as_deref());
        self.workflows().flat_map(move |of| {
            let names = step_names(plan, of.workflow).map(Some).chain(std::iter::repeat(None));
            let named = of.totals.steps.iter().zip(names);
            named.filter(move |(_, name)| wanted.is_none() || wanted == *name).map(|(step, _)| step)
        })
    }

    fn sum(&self, part: impl Fn(&WorkflowTotals<'_>) -> u64) -> u64 {
        self.workflows().map(part).fold(0, u64::saturating_add)
    }

    fn step_sum(&self, part: impl Fn(&StepTotals) -> u64) -> u64 {
        self.steps().map(part).fold(0, u64::saturating_add)
    }

    fn trend(&self, parts: impl Iterator<Item = &'a Histogram>) -> Option<Observed> {
        let mut all = Histogram::default();
        parts.for_each(|part| all.merge(part));
        if all.is_empty() {
            return None;
        }
        // A microsecond is a thousand millionths of a millisecond.
        let time = |us: u64| Observed(u128::from(us) * 1_000, 1);
        match self.threshold.stat {
            ThresholdStat::Avg => {
                Some(Observed(u128::from(all.sum_us()) * 1_000, u128::from(all.count())))
            }
            ThresholdStat::Min => all.min().map(time),
            ThresholdStat::Med => all.quantile(50_000).map(time),
            ThresholdStat::Max => all.max().map(time),
            ThresholdStat::Percentile(percent) => all.quantile(percent).map(time),
            ThresholdStat::Count => Some(Observed(u128::from(all.count()) * 1_000_000, 1)),
            ThresholdStat::Rate => None,
        }
    }

    fn counter(&self, sum: u64) -> Option<Observed> {
        let ran = self.ran().as_millis();
        let sum = u128::from(sum) * 1_000_000;
        match self.threshold.stat {
            _ if ran == 0 => None,
            ThresholdStat::Rate => Some(Observed(sum * 1_000, ran)),
            ThresholdStat::Count => Some(Observed(sum, 1)),
            ThresholdStat::Avg
            | ThresholdStat::Min
            | ThresholdStat::Med
            | ThresholdStat::Max
            | ThresholdStat::Percentile(_) => None,
        }
    }

    /// How long the selected workflow ran, or else the plan: the longest chain of workflows that
    /// wait for each other.
    fn ran(&self) -> Duration {
        let ran = |ix: usize| {
            let of = |of: &&WorkflowTotals<'_>| usize::from(of.workflow.get()) == ix;
            self.view.workflows.iter().filter(of).map(|of| of.ran).max().unwrap_or_default()
        };
        if let Some(wanted) = self.threshold.workflow {
            return ran(usize::from(wanted.get()));
        }
        self.plan.longest_chain(ran)
    }
}

fn step_names(plan: &Plan, ix: WorkflowIx) -> impl Iterator<Item = &str> {
    let flow = plan.workflows.get(usize::from(ix.get())).map(|found| found.flow.iter());
    flow.into_iter().flatten().filter_map(|step| match step {
        Step::Request(request) => Some(request.name.as_str()),
        Step::Think { .. } => None,
    })
}

fn share(part: u64, all: u64) -> Option<Observed> {
    (all > 0).then(|| Observed(u128::from(part) * 1_000_000, u128::from(all)))
}

impl Observed {
    fn is(self, op: Comparison, bound_micro: u64) -> bool {
        let order = self.0.cmp(&u128::from(bound_micro).saturating_mul(self.1));
        match op {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
        }
    }

    fn rounded(self) -> u64 {
        self.0.checked_div(self.1).and_then(|value| u64::try_from(value).ok()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
