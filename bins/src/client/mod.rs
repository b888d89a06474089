//! A client of the gate API. Every request may be repeated safely (a submission carries its key),
//! so a gate that cannot be reached or says "try again" is tried again, the gates in turn, until
//! the patience ends. A gate that says who answers is followed there. Updates are resumed at
//! whichever gate has them, after the last number seen.

mod backoff;
mod sse;

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hyperscale_runtime::api::stats::JobStats;
use hyperscale_runtime::api::{Problem, view};
use hyperscale_runtime::boot;
use hyperscale_runtime::summary::Summary;
use reqwest::{Method, Response, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::exit::Exit;
use crate::failure::Failure;
use backoff::Backoff;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Longer than the gate waits for itself, and than two keep-alives of a stream.
const SILENCE_MAX: Duration = Duration::from_secs(12);
/// Gates that may follow each other before an answer.
const REDIRECTS_MAX: usize = 4;

/// A client of one or more gates of a cluster.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    gates: Vec<String>,
    place: usize,
    patience: Duration,
}

/// One request, repeatable.
struct Ask<'a> {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<&'a str>,
}

/// Why an attempt gave nothing.
enum Miss {
    /// Worth another attempt.
    Again { asked: Option<Duration>, why: String },
    /// Never going to work.
    Never(Failure),
}

impl<'a> Ask<'a> {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, body: &'a str) -> Self {
        self.body = Some(body);
        self
    }
}

impl Client {
    /// A client that tries for `patience` before it gives up.
    ///
    /// # Errors
    /// When no gate is given or an address is no HTTP URL.
    pub(crate) fn new(gates: &[String], patience: Duration) -> Result<Self, Failure> {
        let gates: Vec<String> =
            gates.iter().map(|gate| gate.trim().trim_end_matches('/').to_owned()).collect();
        for gate in &gates {
            let parsed = reqwest::Url::parse(gate);
            if !parsed.is_ok_and(|url| url.scheme() == "http" && url.has_host()) {
                let message = format!("--gate {gate:?} is not an address like http://host:7400");
                return Err(Failure::new(Exit::Usage, message));
            }
        }
        if gates.is_empty() {
            return Err(Failure::new(Exit::Usage, "--gate is missing"));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENCE_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Failure::other)?;
        Ok(Self { http, gates, place: 0, patience })
    }

    /// Creates the job of `key`, or finds it.
    ///
    /// # Errors
    /// As every request: refused, or no gate in time.
    pub(crate) async fn submit(
        &mut self,
        plan: &str,
        key: &str,
    ) -> Result<view::Submitted, Failure> {
        let ask = Ask::new(Method::POST, "/v1/jobs").header("idempotency-key", key).body(plan);
        self.json(&ask).await
    }

    /// All jobs.
    ///
    /// # Errors
    /// As every request.
    pub(crate) async fn jobs(&mut self) -> Result<view::Jobs, Failure> {
        self.json(&Ask::new(Method::GET, "/v1/jobs")).await
    }

    /// One job.
    ///
    /// # Errors
    /// As every request.
    pub(crate) async fn job(&mut self, job: &str) -> Result<view::Job, Failure> {
        self.json(&Ask::new(Method::GET, format!("/v1/jobs/{job}"))).await
    }

    /// What a job measured, in windows of this width.
    ///
    /// # Errors
    /// As every request.
    pub(crate) async fn stats(&mut self, job: &str, window: &str) -> Result<JobStats, Failure> {
        self.json(&Ask::new(Method::GET, format!("/v1/jobs/{job}/stats?window={window}"))).await
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// As every request.
    pub(crate) async fn cancel(&mut self, job: &str) -> Result<view::Cancelling, Failure> {
        self.json(&Ask::new(Method::POST, format!("/v1/jobs/{job}/cancel"))).await
    }

    /// Cancels a workflow of a job, and all that depend on it.
    ///
    /// # Errors
    /// As every request.
    pub(crate) async fn cancel_workflow(
        &mut self,
        job: &str,
        workflow: &str,
    ) -> Result<view::Cancelling, Failure> {
        let path = format!("/v1/jobs/{job}/workflows/{workflow}/cancel");
        self.json(&Ask::new(Method::POST, path)).await
    }

    /// A job's summary.
    ///
    /// # Errors
    /// As every request; also when the job has not ended.
    pub(crate) async fn result(&mut self, job: &str) -> Result<Summary, Failure> {
        self.json(&Ask::new(Method::GET, format!("/v1/jobs/{job}/result"))).await
    }

    /// Why a job's parts were placed where they were.
    ///
    /// # Errors
    /// As every request.
    pub(crate) async fn explain(&mut self, job: &str) -> Result<view::Explanation, Failure> {
        self.json(&Ask::new(Method::GET, format!("/v1/jobs/{job}/explain"))).await
    }

    /// The cluster.
    ///
    /// # Errors
    /// As every request.
    pub(crate) async fn cluster(&mut self) -> Result<view::Cluster, Failure> {
        self.json(&Ask::new(Method::GET, "/v1/cluster")).await
    }

    /// Shows every update of a job to `on_update` until it has ended; resumes where a stream broke.
    ///
    /// # Errors
    /// As every request; the patience starts again with every update.
    pub(crate) async fn follow(
        &mut self,
        job: &str,
        mut on_update: impl FnMut(u64, &view::Job),
    ) -> Result<(), Failure> {
        let mut after = 0;
        let mut waits = Waits::new(self.patience);
        loop {
            let ask = Ask::new(Method::GET, format!("/v1/jobs/{job}/updates"))
                .header("accept", "text/event-stream")
                .header("last-event-id", after.to_string());
            let stream = self.answer(&ask).await?;
            let before = after;
            if self.read(stream, &mut after, &mut on_update).await {
                return Ok(());
            }
            if after > before {
                waits = Waits::new(self.patience);
            } else {
                let view = self.job(job).await?;
                if view.terminal {
                    on_update(after, &view);
                    return Ok(());
                }
            }
            waits.next(None, "the stream of updates ended early").await?;
        }
    }

    /// Whether the stream came to the job's end.
    async fn read(
        &self,
        response: Response,
        after: &mut u64,
        on_update: &mut impl FnMut(u64, &view::Job),
    ) -> bool {
        let mut bytes = response.bytes_stream();
        let mut parser = sse::Parser::default();
        while let Some(Ok(part)) = bytes.next().await {
            let Ok(events) = parser.push(&part) else { return false };
            for event in events.iter().filter(|event| event.name == "update") {
                let Ok(view) = serde_json::from_str::<view::Job>(&event.data) else {
                    return false;
                };
                if let Some(seq) = event.id.as_ref().and_then(|id| id.parse().ok()) {
                    if seq <= *after {
                        continue;
                    }
                    *after = seq;
                }
                on_update(*after, &view);
                if view.terminal {
                    return true;
                }
            }
        }
        false
    }

    async fn json<T: DeserializeOwned>(&mut self, ask: &Ask<'_>) -> Result<T, Failure> {
        let mut waits = Waits::new(self.patience);
        loop {
            let text = self.answer(ask).await?.text().await;
            let parsed = text.map_err(|error| chain(&error)).and_then(|text| {
                serde_json::from_str(&text).map_err(|error| format!("no API of a gate: {error}"))
            });
            match parsed {
                Ok(value) => return Ok(value),
                Err(why) => waits.next(None, &why).await?,
            }
        }
    }

    async fn answer(&mut self, ask: &Ask<'_>) -> Result<Response, Failure> {
        let mut waits = Waits::new(self.patience);
        loop {
            match self.attempt(ask).await {
                Ok(response) => return Ok(response),
                Err(Miss::Never(failure)) => return Err(failure),
                Err(Miss::Again { asked, why }) => {
                    self.place = (self.place + 1) % self.gates.len();
                    waits.next(asked, &why).await?;
                }
            }
        }
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<Response, Miss> {
        let gate = self.gates.get(self.place).map_or("", String::as_str);
        let mut url = format!("{gate}{}", ask.path);
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(ask, &url).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            match elsewhere(&response) {
                Some(next) => url = next,
                None => return Err(refused(&url, response).await),
            }
        }
        Err(Miss::Again { asked: None, why: format!("{gate}: every gate names another") })
    }

    async fn send(&self, ask: &Ask<'_>, url: &str) -> Result<Response, Miss> {
        let mut request = self.http.request(ask.method.clone(), url);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = ask.body {
            request =
                request.header(header::CONTENT_TYPE, "application/yaml").body(body.to_owned());
        }
        request.send().await.map_err(|error| {
            if error.is_builder() {
                return Miss::Never(Failure::new(Exit::Usage, chain(&error)));
            }
            Miss::Again { asked: None, why: format!("{url}: {}", chain(&error)) }
        })
    }
}

/// Where a gate sends the same request.
fn elsewhere(response: &Response) -> Option<String> {
    if response.status() != StatusCode::TEMPORARY_REDIRECT {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let next = response.url().join(location).ok()?;
    (next.scheme() == "http").then(|| next.to_string())
}

async fn refused(url: &str, response: Response) -> Miss {
    let status = response.status();
    let asked = response.headers().get(header::RETRY_AFTER);
    let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let text = response.text().await.unwrap_or_default();
    let problem: Option<Problem> = serde_json::from_str(&text).ok();
    let message = problem.as_ref().map_or_else(
        || format!("{url} answered {status}"),
        |problem| format!("{}: {}", problem.title, problem.detail),
    );
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Miss::Again { asked, why: message }
        }
        StatusCode::UNPROCESSABLE_ENTITY => Miss::Never(Failure::new(Exit::Invalid, message)),
        _ => Miss::Never(Failure::other(message)),
    }
}

/// Waits between attempts, until the patience ends.
struct Waits {
    deadline: Instant,
    patience: Duration,
    backoff: Backoff,
}

impl Waits {
    fn new(patience: Duration) -> Self {
        Self { deadline: Instant::now() + patience, patience, backoff: Backoff::default() }
    }

    async fn next(&mut self, asked: Option<Duration>, why: &str) -> Result<(), Failure> {
        let wait = self.backoff.wait(asked, boot::entropy());
        if Instant::now() + wait > self.deadline {
            let patience = self.patience.as_secs();
            let message = format!("no gate could do it within {patience} s: {why}");
            return Err(Failure::new(Exit::Unavailable, message));
        }
        tracing::debug!(?wait, why, "another attempt");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// An error with its causes; the first alone seldom says why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
