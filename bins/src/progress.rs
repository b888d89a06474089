//! Live progress on standard error: bars on a terminal, otherwise one plain line a second.

use std::collections::BTreeMap;
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
    rates: BTreeMap<String, Rate>,
}

#[derive(Debug)]
enum Shape {
    Quiet,
    Lines { printed: Option<Instant>, status: String },
    Bars { all: MultiProgress, bars: Vec<ProgressBar>, position: Option<u32> },
}

/// Requests per second between the two newest plan seconds that differ.
#[derive(Clone, Copy, Default, Debug)]
struct Rate {
    second: u32,
    requests: u64,
    per_second: f64,
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
        Self { shape, planned, rates: BTreeMap::new() }
    }

    /// Shows the job as of an update.
    pub(crate) fn on_update(&mut self, job: &Job) {
        for workflow in &job.workflows {
            self.rates.entry(workflow.name.clone()).or_default().on_view(workflow);
        }
        let described: Vec<String> = job
            .workflows
            .iter()
            .enumerate()
            .map(|(place, workflow)| self.describe(place, workflow))
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

    fn describe(&self, place: usize, workflow: &Workflow) -> String {
        let rate = self.rates.get(&workflow.name).copied().unwrap_or_default().per_second;
        let planned = self.planned.get(place);
        describe(workflow, planned, rate)
    }
}

impl Rate {
    fn on_view(&mut self, workflow: &Workflow) {
        let requests = counter(&workflow.metrics, "http_reqs");
        if workflow.second > self.second {
            let span = f64::from(workflow.second - self.second);
            self.per_second = requests.saturating_sub(self.requests) as f64 / span;
            (self.second, self.requests) = (workflow.second, requests);
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

fn describe(workflow: &Workflow, planned: Option<&Duration>, rate: f64) -> String {
    let mut text = format!("{} {}", workflow.name, workflow.status);
    if workflow.status == "pending" || workflow.status == "skipped" {
        return text;
    }
    text.push_str(&format!(" {}", seconds(workflow.plan_time.round())));
    if let Some(planned) = planned {
        text.push_str(&format!("/{}", seconds(planned.as_secs_f64())));
    }
    if workflow.status == "running" {
        text.push_str(&format!(" {rate:.0} req/s"));
    } else {
        text.push_str(&format!(" {} requests", counter(&workflow.metrics, "http_reqs")));
    }
    let (failed, share) = failures(&workflow.metrics);
    text.push_str(&format!(", {failed} errors ({share:.2}%), {} vus", workflow.vus));
    if let Some(p95) = p95(&workflow.metrics) {
        text.push_str(&format!(", p(95)={}", duration_ms(p95)));
    }
    if workflow.shards_live < workflow.shards && workflow.status == "running" {
        text.push_str(&format!(", {}/{} shards", workflow.shards_live, workflow.shards));
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
    use hyperscale_core::stats::{Recorder, StepTotals, Totals};
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
            metrics: workflow_metrics(&totals, f64::from(second)),
        }
    }

    #[test]
    fn the_rate_is_of_the_newest_second_not_of_the_whole_run() {
        let mut rate = Rate::default();
        for (second, requests) in [(1, 100), (2, 600), (2, 600)] {
            rate.on_view(&workflow(second, requests, 0));
        }
        assert_eq!(rate.per_second, 500.0);
        rate.on_view(&workflow(4, 1000, 0));
        assert_eq!(rate.per_second, 200.0);
    }

    #[test]
    fn a_line_says_time_rate_errors_vus_and_the_95th_percentile() {
        let planned = Duration::from_secs(90);
        let text = describe(&workflow(12, 1000, 5), Some(&planned), 83.3);
        let expected = "login running 12s/1m30s 83 req/s, 5 errors (0.50%), 8 vus, p(95)=1ms, \
                        1/2 shards";
        assert_eq!(text, expected);
    }
}
