//! P2 under loss: reported <= issued <= reported + declared, and no more coverage than there was.

use std::time::Duration;

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::JobId;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::plan::Executor;
use hyperscale_core::report::{LossKind, WorkflowResult};
use hyperscale_core::wire::{Message, PartPhase};

use super::{Oracle, Seen, View, Wants, broken};

/// Every iteration that was issued is in the totals or inside a declared loss.
#[derive(Debug, Default)]
pub(super) struct LossDeclared {
    judged: u64,
}

impl Oracle for LossDeclared {
    fn inv(&self) -> Inv {
        Inv::LossDeclared
    }
    fn wants(&self) -> Wants {
        Wants::LEFT
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        each_result(view, seen, |of, result| self.on_result(view, of, result))
    }
}

impl LossDeclared {
    fn on_result(
        &mut self,
        view: &View<'_>,
        (datacenter, job): (u16, JobId),
        result: &WorkflowResult,
    ) -> Result<(), Violation> {
        let key = (job, result.workflow);
        if view.truth.workflow(job, result.workflow).is_none() {
            return Ok(());
        }
        let issued: u64 = view.truth.runs_in(datacenter, key).map(|run| run.issued).sum();
        let reported = result.totals.iterations + result.totals.interrupted;
        let unreported = result.losses.iter().filter(|loss| loss.kind == LossKind::Unreported);
        let declared: u64 = unreported.map(|loss| loss.items).sum();
        // Only a workflow with a hole can have a hole that is not declared.
        let lost = view.truth.runs_in(datacenter, key).any(|run| run.end.is_none());
        self.judged += u64::from(lost && issued > 0);
        if reported > issued || issued > reported + declared {
            return broken(
                self.inv(),
                format!(
                    "{job:?}/{:?}: {issued} issued, {reported} reported, {declared} declared",
                    result.workflow
                ),
            );
        }
        Ok(())
    }
}

/// Reported coverage never exceeds the time in which engines worked on it and were heard.
#[derive(Debug, Default)]
pub(super) struct CoverageHonest {
    judged: u64,
}

impl Oracle for CoverageHonest {
    fn inv(&self) -> Inv {
        Inv::CoverageHonest
    }
    fn wants(&self) -> Wants {
        Wants::LEFT
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        each_result(view, seen, |of, result| self.on_result(view, of, result))
    }
}

impl CoverageHonest {
    fn on_result(
        &mut self,
        view: &View<'_>,
        (datacenter, job): (u16, JobId),
        result: &WorkflowResult,
    ) -> Result<(), Violation> {
        if result.planned_ms == 0 {
            return Ok(());
        }
        self.judged += 1;
        if result.covered_ms > result.planned_ms {
            return broken(
                self.inv(),
                format!("{} ms covered of {} planned", result.covered_ms, result.planned_ms),
            );
        }
        let Some(truth) = view.truth.workflow(job, result.workflow) else { return Ok(()) };
        let Some(started) = truth.started.get(&datacenter).copied() else { return Ok(()) };
        let drift = u64::from(view.case.lease.drift_ppm);
        // Plan time by a clock that may be fast, read by another that may be fast against it.
        let plan_ms = |span: u64| (span + span / 1_000_000 * 3 * drift) / 1_000_000 + SLACK_MS;
        let mut most = 0;
        let mut shards = std::collections::BTreeSet::new();
        for run in view.truth.runs_in(datacenter, (job, result.workflow)) {
            let is_first = shards.insert(run.run.shard);
            let (until, cut_ms) = match (run.end, run.cuts.last()) {
                (Some(end), _) => (end.at, u64::MAX),
                (None, Some(cut)) => (cut.at, u64::from(cut.second) * 1_000),
                (None, None) => continue,
            };
            most += match truth.executor.schedule() {
                // Its totals account for every arrival from its first on.
                Some(schedule) => {
                    let due = schedule.due(run.stripe.global(run.first_item)).elapsed();
                    // Before a stripe's very first arrival there was nothing to miss.
                    let first = if run.first_item == 0 { Duration::ZERO } else { due };
                    let until = plan_ms(until.saturating_sub(started)).min(cut_ms);
                    // Few arrivals over many shards: nothing of its stripe is due after its last.
                    let next = schedule.due(run.stripe.global(run.first_item + run.issued));
                    let planned = truth.executor.planned_duration();
                    let is_served = run.end.is_some() && next.elapsed() >= planned;
                    let until = if is_served { planned.as_millis() as u64 } else { until };
                    until.saturating_sub(first.as_millis() as u64)
                }
                // The first run of a shard answers for it from the start, another from its
                // preparation.
                None => {
                    plan_ms(until.saturating_sub(if is_first { started } else { run.prepared }))
                }
            };
        }
        // A run that is out of work before its time covers the rest of the time: nothing was left
        // to do.
        let is_finite = matches!(
            truth.executor,
            Executor::PerVuIterations { .. } | Executor::SharedIterations { .. }
        );
        if result.covered_ms > most && !is_finite {
            return broken(
                self.inv(),
                format!(
                    "{job:?}/{:?}: {} ms reported as covered, at most {most} were",
                    result.workflow, result.covered_ms
                ),
            );
        }
        Ok(())
    }
}

/// The way of an assignment, and rounding.
const SLACK_MS: u64 = 500;

fn each_result(
    view: &View<'_>,
    seen: &Seen<'_>,
    mut judge: impl FnMut((u16, JobId), &WorkflowResult) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let Seen::Left { host, effect: Effect::Send { msg, .. } } = seen else { return Ok(()) };
    let Some(datacenter) = view.case.layout.datacenter_of(*host) else { return Ok(()) };
    let Message::PartReport(report) = &**msg else { return Ok(()) };
    let PartPhase::Ended(result) = &report.phase else { return Ok(()) };
    for workflow in &result.workflows {
        judge((datacenter, report.part.job), workflow)?;
    }
    Ok(())
}
