//! One request to a gate's HTTP API, nothing repeated, and its answer as scenarios know it.

use std::time::Duration;

use hyperscale_core::report::JobStatus;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use sim::scenario::{Answer, Outcome, PartOutcome, Question};
use tokio::runtime::Handle;

use crate::files;
use crate::harness::{counter, declared};

/// A gate that has not answered by then is silent.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// A client that lives where clients do.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    handle: Handle,
}

impl Api {
    /// On a runtime whose threads live there.
    pub(crate) fn new(handle: Handle) -> Self {
        let client = Client::builder().timeout(SILENT_AFTER).no_proxy().build().unwrap();
        Self { client, handle }
    }

    /// Where its requests run.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// A document, if it is to be had soon.
    pub(crate) fn document(&self, url: &str) -> Option<Value> {
        let request = self.client.get(url).timeout(Duration::from_millis(500));
        let (tell, told) = std::sync::mpsc::channel();
        self.handle.spawn(async move {
            let found = async { request.send().await.ok()?.json().await.ok() }.await;
            let _ = tell.send(found);
        });
        told.recv().ok()?
    }

    /// What asks this of a gate.
    pub(crate) fn request(&self, gate: &str, question: Question, target: &str) -> RequestBuilder {
        match question {
            Question::Submit { key, load } => {
                let plan = files::plan(&key, &load, target);
                let request = self.client.post(format!("{gate}/v1/jobs"));
                let tenant = key.split_once('/').map_or("scenario", |(tenant, _)| tenant);
                let request = request.header("X-Hyperscale-Tenant", tenant.to_owned());
                request.header("Idempotency-Key", key).body(plan)
            }
            Question::Status(job) => self.client.get(format!("{gate}/v1/jobs/j{job}")),
            Question::Cancel(job) => self.client.post(format!("{gate}/v1/jobs/j{job}/cancel")),
            Question::Result(job) => self.client.get(format!("{gate}/v1/jobs/j{job}/result")),
            Question::List => self.client.get(format!("{gate}/v1/jobs")),
        }
    }
}

/// Sends a request and reads the answer.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let Ok(response) = request.send().await else { return Answer::Silent };
    match response.json().await {
        Ok(document) => understood(&document),
        Err(_) => Answer::Silent,
    }
}

fn understood(document: &Value) -> Answer {
    if let Some(kind) = document["type"].as_str() {
        let why = kind.rsplit(':').next().unwrap_or_default().to_owned();
        let reason = document["detail"].as_str().unwrap_or_default().to_owned();
        let again_in = document["retry_after"].as_u64().map(Duration::from_secs);
        return Answer::Refused { why, reason, again_in };
    }
    if let Some(jobs) = document["jobs"].as_array() {
        return Answer::Jobs(jobs.iter().map(|job| number(&job["id"])).collect());
    }
    if document.get("results").is_some() {
        return Answer::Ended(Box::new(outcome(document)));
    }
    if let Some(existing) = document["existing"].as_bool() {
        return Answer::Submitted { job: number(&document["id"]), existing };
    }
    if document.get("status").is_some() {
        return Answer::Status(status(&document["status"]));
    }
    Answer::Cancelling
}

fn number(id: &Value) -> u64 {
    id.as_str().unwrap().trim_start_matches('j').parse().unwrap()
}

fn status(name: &Value) -> JobStatus {
    match name.as_str().unwrap() {
        "queued" => JobStatus::Queued,
        "submitted" => JobStatus::Submitted,
        "dispatching" => JobStatus::Dispatching,
        "running" => JobStatus::Running,
        "cancelling" => JobStatus::Cancelling,
        "completed" => JobStatus::Completed,
        "failed" => JobStatus::Failed,
        "cancelled" => JobStatus::Cancelled,
        "timed_out" => JobStatus::TimedOut,
        "partial" => JobStatus::Partial,
        other => panic!("{other} is no status"),
    }
}

fn outcome(summary: &Value) -> Outcome {
    Outcome {
        status: status(&summary["status"]),
        reason: summary["reason"].as_str().unwrap_or_default().to_owned(),
        reported: counter(summary, "http_reqs"),
        interrupted: counter(summary, "http_reqs_interrupted"),
        dropped: counter(summary, "dropped_iterations"),
        unreported: declared(summary, "unreported"),
        parked: declared(summary, "parked"),
        unserved: declared(summary, "unserved"),
        is_degraded: summary["degraded"].as_bool().unwrap(),
        parts: parts(&summary["cluster"]["datacenters"]),
    }
}

/// The parts of a load are in the order of the datacenters.
fn parts(rows: &Value) -> Vec<PartOutcome> {
    let rows = rows.as_array().into_iter().flatten();
    let counted = |row: &Value| !matches!(row["outcome"].as_str(), Some("missing" | "refused"));
    let part = |(datacenter, row)| PartOutcome { datacenter, is_counted: counted(row) };
    (0..).zip(rows).map(part).collect()
}
