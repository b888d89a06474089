//! What a job's workflows measured over plan time, asked for now: `GET /v1/jobs/{id}/stats`.

use axum::Json;
use axum::extract::{Path, Query, State};
use hyperscale_core::api::{self, Command, Reply};
use serde::{Deserialize, Serialize};

use super::jobs::job_id;
use super::view::job_status;
use super::{Answer, Api, Problem};

/// Plan seconds of a window unless others are asked for.
const WIDTH: u32 = 1;
/// The widest window that may be asked for, plan seconds.
const WIDTH_MAX: u32 = 24 * 3600;

/// A job over plan time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JobStats {
    /// The job, `j17`.
    pub id: String,
    /// The plan's name.
    pub name: String,
    /// See [`job_status`].
    pub status: String,
    /// In the order of the plan; those that have been heard of.
    pub workflows: Vec<WorkflowStats>,
}

/// A workflow over plan time. `before`, all windows and `open` are its totals and `written_off`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorkflowStats {
    /// Its name.
    pub name: String,
    /// Requests before the oldest window.
    pub before: u64,
    /// Oldest first; old ones are wider.
    pub windows: Vec<Window>,
    /// Requests in no closed window yet.
    pub open: u64,
    /// Requests that were reported and whose totals were lost with their run.
    pub written_off: u64,
}

/// What was measured between two whole plan seconds, over all datacenters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Window {
    /// The plan second at which it begins.
    pub from: u32,
    /// The plan second before which it ends.
    pub until: u32,
    /// Whether every shard that ran is in it, and nothing of an earlier one.
    pub complete: bool,
    /// Shards whose measurements are in it.
    pub shards: u32,
    /// Shards that ran.
    pub of: u32,
    /// Requests that ended in it.
    pub requests: u64,
    /// Per second.
    pub rate: f64,
    /// Of the requests, failed.
    pub failed: u64,
    /// Iterations that ended in it.
    pub iterations: u64,
    /// Arrivals that were planned in it and not issued.
    pub dropped: u64,
    /// Median duration, milliseconds; absent without samples.
    pub p50: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl From<&api::WindowView> for Window {
    fn from(view: &api::WindowView) -> Self {
        let ms = |us: Option<u64>| us.map(|us| us as f64 / 1_000.0);
        let span = f64::from(view.until.saturating_sub(view.from).max(1));
        Self {
            from: view.from,
            until: view.until,
            complete: view.shards >= view.of && view.late == 0,
            shards: view.shards,
            of: view.of,
            requests: view.requests,
            rate: view.requests as f64 / span,
            failed: view.failed,
            iterations: view.iterations,
            dropped: view.dropped,
            p50: ms(view.p50_us),
            p95: ms(view.p95_us),
            p99: ms(view.p99_us),
            max: ms(view.max_us),
        }
    }
}

impl From<&api::JobStats> for JobStats {
    fn from(stats: &api::JobStats) -> Self {
        let workflows = stats.workflows.iter().map(|one| WorkflowStats {
            name: name_of(&stats.workflow_names, one.workflow),
            before: one.before,
            windows: one.windows.iter().map(Window::from).collect(),
            open: one.open,
            written_off: one.written_off,
        });
        Self {
            id: stats.job.to_string(),
            name: stats.name.clone(),
            status: job_status(stats.status).to_owned(),
            workflows: workflows.collect(),
        }
    }
}

fn name_of(names: &[String], workflow: hyperscale_core::ids::WorkflowIx) -> String {
    let name = names.get(usize::from(workflow.get())).cloned();
    name.unwrap_or_else(|| workflow.to_string())
}

#[derive(Deserialize)]
pub(super) struct Asked {
    window: Option<String>,
}

pub(super) async fn stats(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer<Json<JobStats>> {
    let job = job_id(&id)?;
    let width = width(asked.window.as_deref())?;
    let Reply::Stats(stats) = api.ask(Command::Stats { job, width }).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    Ok(Json(JobStats::from(&*stats)))
}

/// Whole seconds, `10` or `10s`, or minutes, `5m`.
fn width(text: Option<&str>) -> Answer<u32> {
    let Some(text) = text else { return Ok(WIDTH) };
    let (digits, unit) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 60),
        (None, None) => (text, 1),
    };
    let seconds = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| (1..=WIDTH_MAX).contains(seconds)).ok_or_else(|| {
        let detail = format!("window must be whole seconds like 10s, at most {WIDTH_MAX}s");
        Box::new(Problem::bad_request(detail))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_whole_seconds_or_minutes() {
        let ok = |text| width(Some(text)).ok();
        assert_eq!([ok("10"), ok("10s"), ok("5m")], [Some(10), Some(10), Some(300)]);
        assert_eq!(width(None).ok(), Some(1));
        for bad in ["", "0", "0.5s", "-1", "25h", "100000s", "99999999999m", "s"] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_window_says_its_rate_and_whether_it_is_complete() {
        let view = api::WindowView {
            from: 10,
            until: 12,
            shards: 3,
            of: 3,
            requests: 500,
            p95_us: Some(1_500),
            ..Default::default()
        };
        let window = Window::from(&view);
        assert_eq!((window.rate, window.p95, window.p50), (250.0, Some(1.5), None));
        assert!(window.complete);
        assert!(!Window::from(&api::WindowView { late: 1, ..view }).complete);
        assert!(!Window::from(&api::WindowView { shards: 2, ..view }).complete);
    }
}
