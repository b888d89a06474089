//! Live progress on standard error: bars on a terminal, otherwise one plain line a second.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use hyperscale_runtime::api::view::{Job, Workflow};
use hyperscale_runtime::summary::{Metric, Values, duration_ms, seconds};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::remote::standing;

const LINE_EVERY: Duration = Duration::from_secs(1);

/// How a job is shown while it runs.
#[derive(Debug)]
pub(crate) struct Progress {
    shape: Shape,
    /// Planned durations by workflow, where the plan is known.
    planned: Vec<Duration>,
}

#[derive(Debug)]
enum Shape {
    Quiet,
    Lines { printed: Option<Instant>, status: String },
    Bars { all: MultiProgress, bars: Vec<ProgressBar>, position: Option<u32> },
}

impl Progress {
    /// Shows workflows with these planned durations; an empty list if they are not known.
    pub(crate) fn new(quiet: bool, planned: Vec<Duration>) -> Self {
        let shape = if quiet {
            Shape::Quiet
        } else if io::stderr().is_terminal() {
            Shape::Bars { all: MultiProgress::new(), bars: Vec::new(), position: None }
        } else {
            Shape::Lines { printed: None, status: String::new() }
        };
        Self { shape, planned }
    }

    /// Shows the job as of an update.
    pub(crate) fn on_update(&mut self, job: &Job) {
        let described: Vec<String> = job
            .workflows
            .iter()
            .enumerate()
            .map(|(place, workflow)| describe(workflow, self.planned.get(place)))
            .collect();
        match &mut self.shape {
            Shape::Quiet => {}
            Shape::Lines { printed, status } => {
                let due = printed.is_none_or(|at| at.elapsed() >= LINE_EVERY);
                let stands = standing(&job.status, job.position);
                if due || *status != stands {
                    *printed = Some(Instant::now());
                    *status = stands;
                    let line = line(job, &described);
                    // Progress is a courtesy: a closed pipe must not end the run.
                    let _ = writeln!(io::stderr().lock(), "{line}");
                }
            }
            Shape::Bars { all, bars, position } => {
                if *position != job.position && job.position.is_some() {
                    // Progress is a courtesy, as above.
                    let _ = all.println(line(job, &[]));
                }
                *position = job.position;
                while bars.len() < described.len() {
                    bars.push(bar(all, self.planned.get(bars.len())));
                }
                for ((bar, text), workflow) in bars.iter().zip(described).zip(&job.workflows) {
                    bar.set_position((workflow.plan_time * 1000.0) as u64);
                    bar.set_message(text);
                }
            }
        }
    }

    /// Removes what only makes sense while the job runs.
    pub(crate) fn finish(&mut self) {
        if let Shape::Bars { bars, .. } = &mut self.shape {
            bars.drain(..).for_each(|bar| bar.finish_and_clear());
        }
    }
}

fn bar(all: &MultiProgress, planned: Option<&Duration>) -> ProgressBar {
    let (template, length) = match planned {
        Some(planned) => ("  {bar:24} {msg}", planned.as_millis()),
        None => ("  {spinner} {msg}", 0),
    };
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█░"));
    }
    all.add(bar)
}

fn line(job: &Job, workflows: &[String]) -> String {
    let reason = if job.reason.is_empty() { String::new() } else { format!(" ({})", job.reason) };
    let head = format!("{} {}{reason}", job.id, standing(&job.status, job.position));
    let mut parts = vec![head];
    parts.extend(workflows.iter().cloned());
    parts.join(" | ")
}

/// While it runs, of the newest closed window; else of the whole.
fn describe(workflow: &Workflow, planned: Option<&Duration>) -> String {
    let mut text = format!("{} {}", workflow.name, workflow.status);
    if workflow.status == "pending" || workflow.status == "skipped" {
        return text;
    }
    text.push_str(&format!(" {}", seconds(workflow.plan_time.round())));
    if let Some(planned) = planned {
        text.push_str(&format!("/{}", seconds(planned.as_secs_f64())));
    }
    let running = workflow.status == "running";
    let (failed, share, p95) = match workflow.window.as_ref().filter(|_| running) {
        Some(window) => {
            text.push_str(&format!(" {:.0} req/s", window.rate));
            let share = window.failed as f64 * 100.0 / window.requests.max(1) as f64;
            (window.failed, share, window.p95)
        }
        None => {
            text.push_str(&format!(" {} requests", counter(&workflow.metrics, "http_reqs")));
            let (failed, share) = failures(&workflow.metrics);
            (failed, share, p95(&workflow.metrics))
        }
    };
    text.push_str(&format!(", {failed} errors ({share:.2}%), {} vus", workflow.vus));
    if let Some(p95) = p95 {
        text.push_str(&format!(", p(95)={}", duration_ms(p95)));
    }
    if running && workflow.shards_live < workflow.shards {
        text.push_str(&format!(", {}/{} shards", workflow.shards_live, workflow.shards));
    }
    if let Some(window) = workflow.window.as_ref().filter(|one| running && !one.complete) {
        text.push_str(&format!(", incomplete {}/{}", window.shards, window.of));
    }
    text
}

fn find<'a>(metrics: &'a [Metric], name: &str) -> Option<&'a Values> {
    metrics.iter().find(|metric| metric.name == name).map(|metric| &metric.values)
}

fn counter(metrics: &[Metric], name: &str) -> u64 {
    match find(metrics, name) {
        Some(Values::Counter(counter)) => counter.count,
        _ => 0,
    }
}

fn failures(metrics: &[Metric]) -> (u64, f64) {
    match find(metrics, "http_req_failed") {
        Some(Values::Rate(rate)) => (rate.matches, rate.rate * 100.0),
        _ => (0, 0.0),
    }
}

fn p95(metrics: &[Metric]) -> Option<f64> {
    match find(metrics, "http_req_duration") {
        Some(Values::Trend(trend)) => Some(trend.p95),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyperscale_core::api::WindowView;
    use hyperscale_core::stats::{Recorder, StepTotals, Totals};
    use hyperscale_runtime::api::stats::Window;
    use hyperscale_runtime::summary::workflow_metrics;

    use super::*;

    fn workflow(second: u32, requests: u64, failed: u64) -> Workflow {
        let mut duration = Recorder::default();
        duration.record(1000);
        let step =
            StepTotals { requests, failed, duration: duration.snapshot(), ..Default::default() };
        let steps = vec![step].try_into().expect("one step");
        let totals = Totals { steps, ..Totals::default() };
        Workflow {
            name: "login".to_owned(),
            status: "running".to_owned(),
            plan_time: f64::from(second) + 0.4,
            vus: 8,
            shards_live: 1,
            shards: 2,
            second,
            shards_late: 0,
            window: None,
            metrics: workflow_metrics(&totals, f64::from(second)),
        }
    }

    fn window(shards: u32) -> Window {
        Window::from(&WindowView {
            from: 10,
            until: 12,
            shards,
            of: 2,
            requests: 500,
            failed: 5,
            p95_us: Some(2_000),
            ..Default::default()
        })
    }

    #[test]
    fn a_line_says_time_rate_errors_vus_and_the_95th_percentile() {
        let planned = Duration::from_secs(90);
        let mut shown = workflow(12, 1000, 5);
        let text = describe(&shown, Some(&planned));
        let expected = "login running 12s/1m30s 1000 requests, 5 errors (0.50%), 8 vus, \
                        p(95)=1ms, 1/2 shards";
        assert_eq!(text, expected);
        shown.window = Some(window(2));
        let text = describe(&shown, Some(&planned));
        let expected = "login running 12s/1m30s 250 req/s, 5 errors (1.00%), 8 vus, p(95)=2ms, \
                        1/2 shards";
        assert_eq!(text, expected);
        shown.window = Some(window(1));
        let text = describe(&shown, None);
        assert!(text.ends_with(", 1/2 shards, incomplete 1/2"), "{text}");
    }
}
