//! Submitting, listing, showing and cancelling jobs.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyperscale_core::api::{Command, Reply};
use hyperscale_core::ids::JobId;
use hyperscale_core::limits;

use super::{Answer, Api, Problem, plan, view};
use crate::summary::Summary;

/// Bytes of a submitted plan's text.
pub const BODY_BYTES_MAX: usize = 2 * limits::PLAN_BYTES_MAX;
/// How long a client may take to send its plan.
const BODY_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn submit(api: Api, headers: HeaderMap, body: Body) -> Answer<Response> {
    let key = key(&headers)?;
    let reading = api.reading.clone().try_acquire_owned().map_err(|_| Problem::too_busy())?;
    let text = text(&headers, body).await?;
    let plan = tokio::task::spawn_blocking(move || plan::checked(&text))
        .await
        .map_err(|_| Problem::unexpected())??;
    drop(reading);
    let command = Command::Submit { key, plan: Box::new(plan) };
    let Reply::Submitted { job, existing } = api.ask(command).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    let status = if existing { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(header::LOCATION, format!("/v1/jobs/{job}"))];
    let submitted = view::Submitted { id: job.to_string(), existing };
    Ok((status, location, Json(submitted)).into_response())
}

pub(super) async fn list(api: Api) -> Answer<Json<view::Jobs>> {
    let Reply::Jobs(jobs) = api.ask(Command::List).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    Ok(Json(view::Jobs { jobs: jobs.iter().map(view::JobLine::from).collect() }))
}

pub(super) async fn status(api: Api, Path(id): Path<String>) -> Answer<Json<view::Job>> {
    let Reply::Status(job) = api.ask(Command::Status(job_id(&id)?)).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    Ok(Json(view::Job::from(&*job)))
}

pub(super) async fn cancel(
    api: Api,
    Path(id): Path<String>,
) -> Answer<(StatusCode, Json<view::Cancelling>)> {
    let Reply::Cancelling(job) = api.ask(Command::Cancel(job_id(&id)?)).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    Ok((StatusCode::ACCEPTED, Json(view::Cancelling { id: job.to_string() })))
}

pub(super) async fn cancel_workflow(
    api: Api,
    Path((id, workflow)): Path<(String, String)>,
) -> Answer<(StatusCode, Json<view::Cancelling>)> {
    let command = Command::CancelWorkflow { job: job_id(&id)?, workflow };
    let Reply::Cancelling(job) = api.ask(command).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    Ok((StatusCode::ACCEPTED, Json(view::Cancelling { id: job.to_string() })))
}

pub(super) async fn result(api: Api, Path(id): Path<String>) -> Answer<Json<Summary>> {
    let Reply::Result(result) = api.ask(Command::Result(job_id(&id)?)).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    Ok(Json(Summary::of(&result, SystemTime::now())))
}

pub(super) async fn explain(api: Api, Path(id): Path<String>) -> Answer<Json<view::Explanation>> {
    let Reply::Explained(told) = api.ask(Command::Explain(job_id(&id)?)).await? else {
        return Err(Box::new(Problem::unexpected()));
    };
    Ok(Json(view::Explanation::from(&*told)))
}

/// `j17` or `17`.
pub(super) fn job_id(text: &str) -> Answer<JobId> {
    let digits = text.strip_prefix('j').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain => Ok(JobId::new(number)),
        _ => Err(Box::new(Problem::bad_request(format!("{text:?} is not a job id like j17")))),
    }
}

fn key(headers: &HeaderMap) -> Answer<String> {
    let Some(value) = headers.get("idempotency-key") else {
        let detail = "the Idempotency-Key header is required: choose a key, repeat it on retries";
        return Err(Box::new(Problem::bad_request(detail)));
    };
    match value.to_str() {
        Ok(key) if (1..=limits::KEY_BYTES_MAX).contains(&key.len()) => Ok(key.to_owned()),
        _ => {
            let most = limits::KEY_BYTES_MAX;
            let detail = format!("the Idempotency-Key must be 1 to {most} printable characters");
            Err(Box::new(Problem::bad_request(detail)))
        }
    }
}

async fn text(headers: &HeaderMap, body: Body) -> Answer<String> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|length| length.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
        return Err(Box::new(too_large()));
    }
    let bytes = tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES_MAX + 1))
        .await
        .map_err(|_| too_slow())?
        .map_err(|error| unreadable(&error))?;
    if bytes.len() > BODY_BYTES_MAX {
        return Err(Box::new(too_large()));
    }
    String::from_utf8(bytes.into())
        .map_err(|_| Box::new(Problem::bad_request("the plan is not UTF-8 text")))
}

fn unreadable(error: &axum::Error) -> Problem {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.to_string().contains("length limit") {
            return too_large();
        }
        source = inner.source();
    }
    Problem::bad_request(format!("the body cannot be read: {error}"))
}

fn too_large() -> Problem {
    let detail = format!("a plan's text has at most {BODY_BYTES_MAX} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The plan is too large", detail)
}

fn too_slow() -> Problem {
    let detail = format!("the plan must arrive within {} s", BODY_WITHIN.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The plan came too slowly", detail)
}
