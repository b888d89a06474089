//! The summary document. Its core is k6's machine-readable summary; fields that k6 has keep k6's
//! names.

use serde::{Deserialize, Serialize};

/// A finished job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Of this document's shape.
    pub version: String,
    /// When and by what it was made.
    pub metadata: Metadata,
    /// What was run.
    pub config: Config,
    /// `completed`, `failed`, `cancelled`, `timed_out` or `partial`.
    pub status: String,
    /// Why it failed; empty otherwise.
    #[serde(default)]
    pub reason: String,
    /// Whether load is missing from the results or was not issued because nodes failed.
    pub degraded: bool,
    /// What was measured.
    pub results: Results,
    /// Who did it, and what is missing.
    pub cluster: Cluster,
}

/// When and by what a summary was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Metadata {
    /// RFC 3339, UTC.
    #[serde(rename = "generatedAt")]
    pub generated_at: String,
    /// The program's version.
    #[serde(rename = "hyperscaleVersion")]
    pub hyperscale_version: String,
}

/// What was run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// The plan's name.
    pub name: String,
    /// The job's id, `j17`.
    pub job: String,
    /// Running time of the longest chain of workflows, seconds; rates of the whole job are per
    /// second of it.
    pub duration: f64,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Results {
    /// `expect` outcomes.
    pub checks: Checks,
    /// Over the whole job. A trend without samples is left out.
    pub metrics: Vec<Metric>,
    /// Every threshold with its outcome.
    pub thresholds: Vec<Threshold>,
    /// In the order of the plan.
    pub workflows: Vec<Workflow>,
}

/// `expect` outcomes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Checks {
    /// `checks_total`, `checks_succeeded`, `checks_failed`.
    pub metrics: Vec<Metric>,
    /// Per step that has any.
    pub results: Vec<CheckResult>,
}

/// A step's `expect` outcomes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckResult {
    /// `workflow/step`.
    pub name: String,
    /// Those that held.
    pub passes: u64,
    /// Those that did not.
    pub fails: u64,
}

/// A metric's values.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Metric {
    /// k6's name, with a selector for a part: `http_reqs{status:200}`.
    pub name: String,
    /// `counter`, `rate` or `trend`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `default`, `time` (milliseconds) or `data` (bytes).
    pub contains: String,
    /// By kind.
    pub values: Values,
}

/// A metric's values by kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// Of a trend.
    Trend(Trend),
    /// Of a rate.
    Rate(Rate),
    /// Of a counter.
    Counter(Counter),
}

/// A trend in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trend {
    /// Arithmetic mean.
    pub avg: f64,
    /// Smallest.
    pub min: f64,
    /// Median.
    pub med: f64,
    /// Largest.
    pub max: f64,
    /// 90th percentile.
    #[serde(rename = "p(90)")]
    pub p90: f64,
    /// 95th percentile.
    #[serde(rename = "p(95)")]
    pub p95: f64,
    /// 99th percentile.
    #[serde(rename = "p(99)")]
    pub p99: f64,
    /// 99.9th percentile.
    #[serde(rename = "p(99.9)")]
    pub p999: f64,
    /// Samples.
    pub count: u64,
}

/// A share of non-zero samples.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rate {
    /// `matches / total`; 0 without samples.
    pub rate: f64,
    /// Non-zero samples.
    pub matches: u64,
    /// All samples.
    pub total: u64,
}

/// A sum.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Counter {
    /// Exact.
    pub count: u64,
    /// Per second of running time.
    pub rate: f64,
}

/// A threshold's outcome.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Threshold {
    /// With its selector.
    pub metric: String,
    /// As written.
    pub expression: String,
    /// Whether it held; a metric without samples fails.
    pub ok: bool,
    /// In the metric's unit (milliseconds for times); none without samples.
    pub observed: Option<f64>,
}

/// A workflow's outcome.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// `completed`, `failed`, `cancelled` or `skipped`.
    pub status: String,
    /// Why it failed or was skipped; empty otherwise.
    #[serde(default)]
    pub reason: String,
    /// Plan time between its start and its end, seconds.
    pub duration: f64,
    /// How far apart its shards started, milliseconds.
    pub start_skew: f64,
    /// Shards it was split into.
    pub shards: u16,
    /// Share of the planned shard time with totals; none if nothing ran.
    pub coverage: Option<f64>,
    /// Over its steps.
    pub metrics: Vec<Metric>,
    /// Its request steps in the order of the flow.
    pub steps: Vec<Step>,
}

/// A step's metrics.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it measured.
    pub metrics: Vec<Metric>,
}

/// Who ran the job, and what is missing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Workers that served it.
    pub workers: u32,
    /// Of those, lost while it ran.
    pub workers_lost: u32,
    /// Share of the planned shard time with totals; none if nothing ran.
    pub coverage: Option<f64>,
    /// How each datacenter's part ended, in the order of the plan.
    #[serde(default)]
    pub datacenters: Vec<Datacenter>,
    /// What the load generator saw of itself.
    #[serde(default)]
    pub generator: Generator,
    /// Declared holes.
    pub losses: Vec<Loss>,
}

/// What the load generator saw of itself, in core-seconds: one second of one run each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    /// In which it watched itself.
    pub watched_seconds: u64,
    /// Of those, in which it was at its limit: what was measured then tells of it, not of the
    /// target.
    pub saturated_seconds: u64,
}

/// A datacenter's part of the job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Datacenter {
    /// Its name; empty if none was chosen.
    pub name: String,
    /// `completed`, `failed`, `cancelled`, `missing` or `refused`.
    pub outcome: String,
    /// Why, if there is more to say.
    #[serde(default)]
    pub reason: String,
    /// Workers that served it.
    pub workers: u32,
    /// Of those, lost while it ran.
    pub workers_lost: u32,
    /// Share of its planned shard time with totals; none if nothing ran.
    pub coverage: Option<f64>,
}

/// A declared hole.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Loss {
    /// The workflow.
    pub workflow: String,
    /// The datacenter.
    #[serde(default)]
    pub datacenter: String,
    /// The shard within the workflow; of a datacenter that is missing as a whole, 0.
    pub shard: u16,
    /// The worker that had it; 0 of a datacenter that is missing as a whole.
    pub worker: u64,
    /// `unreported`: at most `items` were issued and are not in the totals. `parked`, `unserved`:
    /// `items` were not issued and are in `dropped_iterations`.
    pub kind: String,
    /// Plan time, seconds.
    pub from: f64,
    /// Plan time, seconds.
    pub until: f64,
    /// See `kind`; none if it is not known.
    pub items: Option<u64>,
}
