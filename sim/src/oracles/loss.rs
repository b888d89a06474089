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
        let drift = u64::from(view.case.lease.drift_ppm);
        let mut most = 0;
        for run in view.truth.runs_of(job, result.workflow) {
            let Some(from) = run.permitted else { continue };
            let until = match (run.end, run.cuts.last()) {
                (Some(end), _) => end.at,
                (None, Some(cut)) => cut.at,
                (None, None) => continue,
            };
            let span = until.saturating_sub(from);
            // What a plan's time may gain on true time, and the way of the first confirmation.
            most += (span + span / 1_000_000 * 3 * drift) / 1_000_000 + COVER_SLACK_MS;
        }
        // A run that ended early for want of work covers its plan's whole span.
        let early = view
            .truth
            .runs_of(job, result.workflow)
            .any(|run| run.end.is_some() && run.issued > 0 && is_counted(view, run.workflow));
        if result.covered_ms > most && !early {
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

/// How much longer than its permits a run may count: the delay of its first confirmation, and rounding.
const COVER_SLACK_MS: u64 = 1_500;

fn is_counted(view: &View<'_>, workflow: usize) -> bool {
    use hyperscale_core::plan::Executor;
    match view.truth.workflows[workflow].executor {
        Executor::PerVuIterations { .. } | Executor::SharedIterations { .. } => true,
        Executor::ConstantVus { .. } | Executor::ConstantArrivalRate { .. } => false,
    }
}

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
