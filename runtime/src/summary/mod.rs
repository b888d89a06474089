//! What a finished job is told as: a JSON document (`--summary-export`, `GET /v1/jobs/{id}/result`)
//! and a text in k6's shape. The text is rendered from the document alone, so both say the same
//! wherever they are made.
//!
//! Counters are exact integers, sums over every counted run. Percentiles come from merged
//! histograms. What is missing is listed under `cluster.losses` and shows in `coverage`.
//!
//! Does not do: judge. Thresholds arrive with their outcome.

mod build;
mod document;
mod format;
mod metrics;
mod text;
mod trend;

pub use document::{
    CheckResult, Checks, Cluster, Config, Counter, Loss, Metadata, Metric, Rate, Results, Step,
    Summary, Threshold, Trend, Values, Workflow,
};
pub use format::{bytes, duration_ms, seconds};
pub use metrics::workflow_metrics;

#[cfg(test)]
mod tests;
