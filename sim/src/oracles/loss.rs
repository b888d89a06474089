//! P2 under loss: reported <= issued <= reported + declared, and no more coverage than there was.

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::JobId;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::report::{LossKind, WorkflowResult};
use hyperscale_core::wire::{Message, PartPhase};

use super::{Oracle, Seen, View, Wants, broken};

/// Every iteration that was issued is in the totals or inside a declared loss.
#[derive(Debug, Default)]
pub struct LossDeclared {
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
        each_result(seen, |job, result| self.on_result(view, job, result))
    }
}

impl LossDeclared {
    fn on_result(
        &mut self,
        view: &View<'_>,
        job: JobId,
        result: &WorkflowResult,
    ) -> Result<(), Violation> {
        let Some(truth) = view.truth.workflow(job, result.workflow) else { return Ok(()) };
        let reported = result.totals.iterations + result.totals.interrupted;
        let unreported = result.losses.iter().filter(|loss| loss.kind == LossKind::Unreported);
        let declared: u64 = unreported.map(|loss| loss.items).sum();
        // Only a workflow with a hole can have a hole that is not declared.
        let lost = view.truth.runs_of(job, result.workflow).any(|run| run.end.is_none());
        self.judged += u64::from(lost && truth.issued > 0);
        if reported > truth.issued || truth.issued > reported + declared {
            return broken(
                self.inv(),
                format!(
                    "{job:?}/{:?}: {} issued, {reported} reported, {declared} declared",
                    result.workflow, truth.issued
                ),
            );
        }
        Ok(())
    }
}

/// Reported coverage never exceeds the time in which engines worked on it and were heard.
#[derive(Debug, Default)]
pub struct CoverageHonest {
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
        each_result(seen, |job, result| self.on_result(view, job, result))
    }
}

impl CoverageHonest {
    fn on_result(
        &mut self,
        view: &View<'_>,
        job: JobId,
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
        let truth = view.truth.workflow(job, result.workflow);
        let Some(started) = truth.and_then(|truth| truth.started) else { return Ok(()) };
        let drift = u64::from(view.case.lease.drift_ppm);
        let mut most = 0;
        let mut shards = std::collections::BTreeSet::new();
        for run in view.truth.runs_of(job, result.workflow) {
            // The first run of a shard answers for it from the start, a replacement from when it was prepared.
            let from = if shards.insert(run.run.shard) { started } else { run.prepared };
            let until = match (run.end, run.cuts.last()) {
                (Some(end), _) => end.at,
                (None, Some(cut)) => cut.at,
                (None, None) => continue,
            };
            let span = until.saturating_sub(from);
            // What a plan's time may gain on true time, and the way of an assignment.
            most += (span + span / 1_000_000 * 3 * drift) / 1_000_000 + COVER_SLACK_MS;
        }
        // A run that is out of work before its time covers the rest of the time: nothing was left to do.
        let is_finite = truth.is_some_and(|truth| truth.executor.schedule().is_none());
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

/// How much longer than it was prepared a run may count: the way of its assignment, and rounding.
const COVER_SLACK_MS: u64 = 500;

fn each_result(
    seen: &Seen<'_>,
    mut judge: impl FnMut(JobId, &WorkflowResult) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let Seen::Left { effect: Effect::Send { msg, .. }, .. } = seen else { return Ok(()) };
    let Message::PartReport(report) = &**msg else { return Ok(()) };
    let PartPhase::Ended(result) = &report.phase else { return Ok(()) };
    for workflow in &result.workflows {
        judge(report.part.job, workflow)?;
    }
    Ok(())
}
