//! A job's result as a summary.

use std::time::{Duration, SystemTime};

use hyperscale_core::ids::PartIx;
use hyperscale_core::report::{
    JobResult, LossKind, PartOutcome, PartRow, WorkflowNames, WorkflowResult,
};

use super::document::{
    CheckResult, Checks, Cluster, Config, Datacenter, Generator, Loss, Metadata, Results, Step,
    Summary, Threshold, Workflow,
};
use super::format::rfc3339;
use super::metrics::{Sum, workflow_metrics};
use crate::api::view;

const VERSION: &str = "1.0.0";

impl Summary {
    /// The summary of `result`, made at `now`.
    pub fn of(result: &JobResult, now: SystemTime) -> Self {
        let workflows = &result.result.workflows;
        let seconds = result.ran.as_secs_f64();
        let mut sum = Sum::default();
        for workflow in workflows {
            sum.add(&workflow.totals);
        }
        Self {
            version: VERSION.to_owned(),
            metadata: Metadata {
                generated_at: rfc3339(now),
                hyperscale_version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            config: Config {
                name: result.name.clone(),
                job: result.job.to_string(),
                duration: seconds,
            },
            status: view::job_status(result.status).to_owned(),
            reason: result.reason.clone(),
            degraded: result.is_degraded(),
            results: Results {
                checks: Checks { metrics: sum.checks(seconds), results: checks(result) },
                metrics: sum.all(seconds),
                thresholds: thresholds(result),
                workflows: named(result).map(|(name, one)| workflow(&name, one)).collect(),
            },
            cluster: cluster(result),
        }
    }
}

/// Every workflow's result with its names; a name that is missing shows as the place.
fn named(result: &JobResult) -> impl Iterator<Item = (WorkflowNames, &WorkflowResult)> {
    result.result.workflows.iter().map(|workflow| {
        let place = usize::from(workflow.workflow.get());
        let names = result.names.get(place).cloned().unwrap_or_else(|| WorkflowNames {
            name: workflow.workflow.to_string(),
            steps: Default::default(),
        });
        (names, workflow)
    })
}

fn step_name(names: &WorkflowNames, place: usize) -> String {
    names.steps.get(place).cloned().unwrap_or_else(|| format!("step {place}"))
}

fn checks(result: &JobResult) -> Vec<CheckResult> {
    let mut found = Vec::new();
    for (names, workflow) in named(result) {
        for (place, step) in workflow.totals.steps.iter().enumerate() {
            if step.checks_passed + step.checks_failed > 0 {
                found.push(CheckResult {
                    name: format!("{}/{}", names.name, step_name(&names, place)),
                    passes: step.checks_passed,
                    fails: step.checks_failed,
                });
            }
        }
    }
    found
}

fn thresholds(result: &JobResult) -> Vec<Threshold> {
    let outcomes = result.thresholds.iter();
    outcomes
        .map(|outcome| Threshold {
            metric: outcome.metric.clone(),
            expression: outcome.text.clone(),
            ok: outcome.ok,
            observed: outcome.observed_micro.map(|micro| micro as f64 / 1e6),
        })
        .collect()
}

fn workflow(names: &WorkflowNames, result: &WorkflowResult) -> Workflow {
    let seconds = result.ran.as_secs_f64();
    let steps = result.totals.steps.iter().enumerate().map(|(place, totals)| {
        let mut sum = Sum::default();
        sum.add_step(totals);
        Step { name: step_name(names, place), metrics: sum.http(seconds) }
    });
    Workflow {
        name: names.name.clone(),
        status: view::workflow_status(result.status).to_owned(),
        reason: result.reason.clone(),
        duration: seconds,
        start_skew: millis(result.start_skew),
        shards: result.shards,
        coverage: share(result.covered_ms, result.planned_ms),
        metrics: workflow_metrics(&result.totals, seconds),
        steps: steps.collect(),
    }
}

fn cluster(result: &JobResult) -> Cluster {
    let (mut covered, mut planned, mut losses) = (0, 0, Vec::new());
    let mut generator = Generator::default();
    for (names, workflow) in named(result) {
        generator.watched_seconds += workflow.totals.watched;
        generator.saturated_seconds += workflow.totals.saturated;
        covered += workflow.covered_ms;
        planned += workflow.planned_ms;
        losses.extend(workflow.losses.iter().map(|loss| {
            Loss {
                workflow: names.name.clone(),
                datacenter: datacenter(result, loss.part),
                shard: loss.shard.get(),
                worker: loss.worker.get(),
                kind: match loss.kind {
                    LossKind::Unreported => "unreported",
                    LossKind::Parked => "parked",
                    LossKind::Unserved => "unserved",
                }
                .to_owned(),
                from: loss.from.elapsed().as_secs_f64(),
                until: loss.until.elapsed().as_secs_f64(),
                items: Some(loss.items).filter(|items| *items < u64::MAX),
            }
        }));
    }
    Cluster {
        workers: result.result.workers,
        workers_lost: result.result.workers_lost,
        coverage: share(covered, planned),
        datacenters: result.parts.iter().map(part).collect(),
        generator,
        losses,
    }
}

fn part(row: &PartRow) -> Datacenter {
    Datacenter {
        name: row.datacenter.clone(),
        outcome: match row.outcome {
            PartOutcome::Completed => "completed",
            PartOutcome::Failed => "failed",
            PartOutcome::Cancelled => "cancelled",
            PartOutcome::Missing => "missing",
            PartOutcome::Refused => "refused",
        }
        .to_owned(),
        reason: row.reason.clone(),
        workers: row.workers,
        workers_lost: row.workers_lost,
        coverage: share(row.covered_ms, row.planned_ms),
    }
}

fn datacenter(result: &JobResult, part: PartIx) -> String {
    let row = result.parts.get(usize::from(part.get()));
    row.map_or_else(|| part.to_string(), |row| row.datacenter.clone())
}

/// Rounded down: a hole must not look like none.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1e6).floor() / 1e6)
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
