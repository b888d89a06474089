//! The summary as text, in the shape of k6's.

use std::fmt::{self, Write as _};

use super::document::{Cluster, Datacenter, Metric, Summary, Threshold, Trend, Values, Workflow};
use super::format::{bytes, duration_ms, seconds, short};

const LABEL: usize = 31;

impl Summary {
    /// As text; with `color`, outcomes are green or red.
    pub fn text(&self, color: bool) -> String {
        let mut page = Page { out: String::new(), color };
        // Writing to a string cannot fail.
        let _ = page.summary(self);
        page.out
    }
}

struct Page {
    out: String,
    color: bool,
}

impl Page {
    fn summary(&mut self, summary: &Summary) -> fmt::Result {
        self.header(summary)?;
        if !summary.results.thresholds.is_empty() {
            self.thresholds(&summary.results.thresholds)?;
        }
        self.block("TOTAL RESULTS")?;
        self.checks(summary)?;
        self.metrics(&summary.results.metrics)?;
        for workflow in &summary.results.workflows {
            self.workflow(workflow)?;
        }
        if !summary.cluster.losses.is_empty() {
            self.losses(&summary.cluster)?;
        }
        Ok(())
    }

    fn header(&mut self, summary: &Summary) -> fmt::Result {
        let cluster = &summary.cluster;
        let config = &summary.config;
        writeln!(self.out)?;
        writeln!(self.out, "  plan: {}   job: {}   {}", config.name, config.job, summary.status)?;
        if !summary.reason.is_empty() {
            writeln!(self.out, "  reason: {}", summary.reason)?;
        }
        let lost = cluster.workers_lost;
        let (covered, workers) = (coverage(cluster.coverage), cluster.workers);
        write!(self.out, "  coverage: {covered}   workers: {workers}")?;
        writeln!(self.out, "   lost: {lost}   declared losses: {}", cluster.losses.len())?;
        if cluster.datacenters.len() > 1 {
            for datacenter in &cluster.datacenters {
                self.datacenter(datacenter)?;
            }
        }
        let generator = cluster.generator;
        if generator.saturated_seconds > 0 {
            let (of, n) = (generator.watched_seconds, generator.saturated_seconds);
            let text = format!(
                "SATURATED: the load generator was at its limit in {n} of {of} core-seconds: what \
                 was measured then tells of it, not of the target; use more cores or workers"
            );
            let text = self.paint(&text, false);
            writeln!(self.out, "  {text}")?;
        }
        if summary.degraded {
            let text = "DEGRADED: load is missing or was not issued, see losses";
            let text = self.paint(text, false);
            writeln!(self.out, "  {text}")?;
        }
        Ok(())
    }

    fn datacenter(&mut self, of: &Datacenter) -> fmt::Result {
        let outcome = self.paint(&of.outcome, of.outcome == "completed");
        let (covered, workers, lost) = (coverage(of.coverage), of.workers, of.workers_lost);
        write!(self.out, "  datacenter {}: {outcome}   coverage: {covered}", of.name)?;
        write!(self.out, "   workers: {workers}   lost: {lost}")?;
        if !of.reason.is_empty() {
            write!(self.out, "   {}", of.reason)?;
        }
        writeln!(self.out)
    }

    fn thresholds(&mut self, thresholds: &[Threshold]) -> fmt::Result {
        self.block("THRESHOLDS")?;
        let mut metric = "";
        for threshold in thresholds {
            if threshold.metric != metric {
                metric = &threshold.metric;
                writeln!(self.out, "    {metric}")?;
            }
            let mark = if threshold.ok { "✓" } else { "✗" };
            let mark = self.paint(mark, threshold.ok);
            let observed = observed(threshold);
            writeln!(self.out, "    {mark} '{}' {observed}", threshold.expression)?;
        }
        Ok(())
    }

    fn checks(&mut self, summary: &Summary) -> fmt::Result {
        if summary.results.checks.results.is_empty() {
            return Ok(());
        }
        for metric in &summary.results.checks.metrics {
            self.row(metric)?;
        }
        writeln!(self.out)?;
        for check in &summary.results.checks.results {
            let mark = self.paint(if check.fails == 0 { "✓" } else { "✗" }, check.fails == 0);
            write!(self.out, "    {mark} {}", check.name)?;
            if check.fails > 0 {
                write!(self.out, "   {} passed, {} failed", check.passes, check.fails)?;
            }
            writeln!(self.out)?;
        }
        writeln!(self.out)
    }

    fn metrics(&mut self, metrics: &[Metric]) -> fmt::Result {
        let section = |metric: &Metric| match metric.name.as_str() {
            name if name.starts_with("http_") => "HTTP",
            "data_sent" | "data_received" => "NETWORK",
            "checks" => "",
            _ => "EXECUTION",
        };
        for name in ["HTTP", "EXECUTION", "NETWORK"] {
            writeln!(self.out, "    {name}")?;
            for metric in metrics.iter().filter(|metric| section(metric) == name) {
                self.row(metric)?;
            }
            if name != "NETWORK" {
                writeln!(self.out)?;
            }
        }
        Ok(())
    }

    fn workflow(&mut self, workflow: &Workflow) -> fmt::Result {
        self.block(&format!("WORKFLOW {}", workflow.name))?;
        let ran = seconds(workflow.duration);
        let (shards, coverage) = (workflow.shards, coverage(workflow.coverage));
        write!(self.out, "    {} after {ran}   shards: {shards}", workflow.status)?;
        let skew = duration_ms(workflow.start_skew);
        writeln!(self.out, "   coverage: {coverage}   start skew: {skew}")?;
        if !workflow.reason.is_empty() {
            writeln!(self.out, "    reason: {}", workflow.reason)?;
        }
        let brief = ["iterations", "dropped_iterations", "iteration_duration"];
        for metric in workflow.metrics.iter().filter(|one| brief.contains(&one.name.as_str())) {
            self.row(metric)?;
        }
        let brief = ["http_reqs", "http_req_failed", "http_req_duration", "http_req_latency"];
        for step in &workflow.steps {
            writeln!(self.out, "    {}", step.name)?;
            for metric in step.metrics.iter().filter(|one| brief.contains(&one.name.as_str())) {
                self.row(metric)?;
            }
        }
        Ok(())
    }

    fn losses(&mut self, cluster: &Cluster) -> fmt::Result {
        self.block("DECLARED LOSSES")?;
        let several = cluster.datacenters.len() > 1;
        for loss in &cluster.losses {
            let (from, until) = (seconds(loss.from), seconds(loss.until));
            let what = match loss.kind.as_str() {
                "unreported" => "may have been issued and are not in the totals",
                _ => "were not issued and are in dropped_iterations",
            };
            let (workflow, shard, worker) = (&loss.workflow, loss.shard, loss.worker);
            write!(self.out, "    {}: {workflow}", loss.kind)?;
            if worker != 0 {
                write!(self.out, " shard {shard} on worker n{worker}")?;
            }
            if several || worker == 0 {
                write!(self.out, " in datacenter {}", loss.datacenter)?;
            }
            let items =
                loss.items.map_or_else(|| "unknown many".to_owned(), |items| items.to_string());
            writeln!(self.out, " from {from} until {until}: {items} iterations {what}")?;
        }
        Ok(())
    }

    fn block(&mut self, title: &str) -> fmt::Result {
        writeln!(self.out, "\n  █ {title}\n")
    }

    fn row(&mut self, metric: &Metric) -> fmt::Result {
        let label = format!("{:.<LABEL$}:", metric.name);
        writeln!(self.out, "    {label} {}", values(metric))
    }

    fn paint(&self, text: &str, good: bool) -> String {
        match (self.color, good) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\x1b[32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[31m{text}\x1b[0m"),
        }
    }
}

fn values(metric: &Metric) -> String {
    match &metric.values {
        Values::Counter(counter) if metric.contains == "data" => {
            format!("{:<10} {}/s", bytes(counter.count as f64), bytes(counter.rate))
        }
        Values::Counter(counter) => format!("{:<10} {:.2}/s", counter.count, counter.rate),
        Values::Rate(rate) => {
            let share = format!("{:.2}%", rate.rate * 100.0);
            format!("{share:<10} {} out of {}", rate.matches, rate.total)
        }
        Values::Trend(trend) => trend_values(trend),
    }
}

fn trend_values(trend: &Trend) -> String {
    let columns = [
        ("avg", trend.avg),
        ("min", trend.min),
        ("med", trend.med),
        ("max", trend.max),
        ("p(90)", trend.p90),
        ("p(95)", trend.p95),
        ("p(99)", trend.p99),
        ("p(99.9)", trend.p999),
    ];
    let shown = columns.map(|(name, ms)| format!("{name}={:<8}", duration_ms(ms)));
    shown.join(" ").trim_end().to_owned()
}

/// The left side of the expression with the value in the metric's unit.
fn observed(threshold: &Threshold) -> String {
    let Some(value) = threshold.observed else { return "no samples".to_owned() };
    let expression = &threshold.expression;
    let stat = expression
        .find(['<', '>', '=', '!'])
        .map_or(expression.as_str(), |at| expression.get(..at).unwrap_or(expression));
    let stat = stat.trim();
    let metric = threshold.metric.split('{').next().unwrap_or_default();
    let shares = ["http_req_failed", "checks", "coverage"];
    let times = metric.starts_with("http_req_") || metric.starts_with("iteration_");
    let shown = match metric {
        _ if stat == "count" => short(value),
        _ if shares.contains(&metric) => format!("{:.2}%", value * 100.0),
        _ if times => duration_ms(value),
        _ => short(value),
    };
    format!("{stat}={shown}")
}

fn coverage(coverage: Option<f64>) -> String {
    match coverage {
        // Rounding must not hide a hole.
        Some(share) if share < 1.0 => format!("{:.2}%", (share * 10_000.0).floor() / 100.0),
        Some(_) => "100%".to_owned(),
        None => "nothing ran".to_owned(),
    }
}
