//! Errors as RFC 9457 problem details.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyperscale_core::api::Refusal;
use hyperscale_core::ids::NodeId;
use serde::{Deserialize, Serialize};

use super::view::job_status;
use crate::calls::CallError;

/// Seconds a client is asked to wait before it tries again.
const RETRY_SECS: u64 = 1;

/// Why a request was not done. The gate's state is unchanged unless `detail` says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:hyperscale:problem:` and a stable name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words.
    pub detail: String,
    /// The job it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// That job's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_status: Option<String>,
    /// Where in the plan, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Where in the line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// Seconds after which the same request may succeed; also in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The gate that can do it; with status 307, `Location` says where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<u64>,
}

/// Rides on a response until it is known where that gate is reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elsewhere(pub(super) NodeId);

impl Problem {
    /// A problem of a kind.
    pub fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:hyperscale:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            job: None,
            job_status: None,
            line: None,
            column: None,
            retry_after: None,
            gate: None,
        }
    }

    /// Another gate answers, at the address beside it.
    pub(super) fn moved(gate: NodeId) -> Self {
        let detail = format!("gate {gate} answers this, see Location");
        let status = StatusCode::TEMPORARY_REDIRECT;
        let problem = Self::new(status, "elsewhere", "Another gate answers this", detail);
        Self { gate: Some(gate.get()), ..problem }
    }

    /// The request itself is wrong.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is malformed", detail)
    }

    fn unavailable(kind: &str, title: &str, detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail).retry()
    }

    /// The gate gave an answer that does not fit the question.
    pub(super) fn unexpected() -> Self {
        let detail = "the gate's answer does not fit the request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// The gate did not answer in time.
    pub(super) fn no_answer() -> Self {
        Refusal::OutcomeUnknown.into()
    }

    /// Too much is under way to look at this.
    pub(super) fn too_busy() -> Self {
        Self::busy(Duration::from_secs(RETRY_SECS))
    }

    fn busy(retry_after: Duration) -> Self {
        let detail = "nothing was done, try again later";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "busy", "The gate is overloaded", detail).retry_in(retry_after)
    }

    fn limited(retry_after: Duration) -> Self {
        let detail = "this client asks too often; nothing was done, try again later";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "rate-limited", "Too many requests", detail).retry_in(retry_after)
    }

    /// Whole seconds, rounded up.
    fn retry_in(mut self, wait: Duration) -> Self {
        let partial = u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(wait.as_secs() + partial);
        self
    }

    fn retry(mut self) -> Self {
        self.retry_after = Some(RETRY_SECS);
        self
    }

    fn about(mut self, job: impl ToString) -> Self {
        self.job = Some(job.to_string());
        self
    }

    fn conflict(kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::KeyReused(job) => {
                let detail = format!("the key made {job} from another plan");
                Self::conflict("key-reused", "Idempotency key reused", detail).about(job)
            }
            Refusal::KeyInvalid => Self::bad_request("the Idempotency-Key is empty or too long"),
            Refusal::NoSuchJob(job) => {
                let detail = format!("{job} does not exist or is out of history");
                Self::new(StatusCode::NOT_FOUND, "no-such-job", "No such job", detail).about(job)
            }
            Refusal::NoSuchWorkflow(name) => {
                let detail = format!("the job's plan has no workflow `{name}`");
                let title = "No such workflow";
                Self::new(StatusCode::NOT_FOUND, "no-such-workflow", title, detail)
            }
            Refusal::NotEnded(status) => {
                let status = job_status(status);
                let detail = format!("the job is {status}");
                let problem = Self::conflict("not-ended", "The job has not ended", detail);
                Self { job_status: Some(status.to_owned()), ..problem }
            }
            Refusal::AlreadyEnded(status) => {
                let status = job_status(status);
                let detail = format!("the job is {status}; nothing was changed");
                let problem = Self::conflict("already-ended", "The job has ended", detail);
                Self { job_status: Some(status.to_owned()), ..problem }
            }
            Refusal::Full => {
                let detail = "too many live jobs or keys, try again when some have ended";
                let status = StatusCode::TOO_MANY_REQUESTS;
                Self::new(status, "full", "The gate is full", detail).retry()
            }
            Refusal::PlanInvalid(detail) => Self::plan_invalid(detail),
            Refusal::NotReady => {
                let detail = "the gate cannot commit yet, retry with the same key";
                Self::unavailable("not-ready", "The gate is not ready", detail)
            }
            Refusal::Draining => {
                let detail = "the gate takes no new jobs";
                Self::unavailable("draining", "The gate is draining", detail)
            }
            Refusal::OutcomeUnknown => {
                let detail = "it may or may not have been done, retry with the same key";
                Self::unavailable("outcome-unknown", "The outcome is unknown", detail)
            }
            Refusal::Elsewhere { gate } => {
                let detail = format!("gate {gate} answers this; its address is not configured");
                let problem = Self::unavailable("elsewhere", "Another gate answers this", &detail);
                Self { gate: Some(gate.get()), ..problem }
            }
            Refusal::Busy { retry_after } => Self::busy(retry_after),
            Refusal::Limited { retry_after } => Self::limited(retry_after),
        }
    }
}

impl Problem {
    /// The plan is not valid.
    pub(super) fn plan_invalid(detail: impl Into<String>) -> Self {
        let title = "The plan is not valid";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "plan-invalid", title, detail)
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Busy => Self::too_busy(),
            CallError::Gone => Refusal::OutcomeUnknown.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (retry_after, gate) = (self.retry_after, self.gate.map(NodeId::new));
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(gate) = gate {
            response.extensions_mut().insert(Elsewhere(gate));
        }
        response
    }
}
