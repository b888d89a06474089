//! The HTTP API of a gate: JSON under `/v1`, live updates as server-sent events, errors as RFC 9457
//! problem details.
//!
//! Inputs: requests, answered by calls to the gate. Outputs: responses made of [`view`]'s types,
//! which are kept apart from the core's. A submission needs an `Idempotency-Key`, so that a client
//! may repeat it until it hears. What another gate answers is redirected there.
//!
//! Does not do: authenticate. Whoever reaches the port may submit load; bind it to an address you
//! trust.

mod caller;
mod jobs;
mod plan;
mod problem;
pub mod stats;
mod updates;
pub mod view;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use hyperscale_core::api::{Command, Reply, Tenant};
use hyperscale_core::ids::NodeId;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::calls::Gate;
pub use caller::TENANT;
pub use jobs::BODY_BYTES_MAX;
pub use problem::Problem;

/// How long a call waits for the gate before the client is told that the outcome is unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// How long open requests may go on after shutdown.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// Submissions that are read and checked at a time: what bounds the memory they take before the
/// gate has judged them.
const READING_MAX: usize = 64;

const OPENAPI: &str = include_str!("openapi.json");

/// The APIs of other gates, `host:port`.
pub type Others = BTreeMap<NodeId, String>;

type Answer<T> = Result<T, Box<Problem>>;

#[derive(Clone, Debug)]
struct Api {
    gate: Gate,
    /// Who asks.
    client: Tenant,
    /// Submissions that are being read and checked.
    reading: Arc<Semaphore>,
    others: Arc<Others>,
    stopping: watch::Receiver<bool>,
}

/// Serves the API until `shutdown` completes; then update streams end, and open requests have two
/// seconds.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    gate: Gate,
    others: Others,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let app = router(Api {
        gate,
        client: Tenant::default(),
        reading: Arc::new(Semaphore::new(READING_MAX)),
        others: Arc::new(others),
        stopping: stopping.clone(),
    });
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let listener = listener.tap_io(|stream| {
        // Only latency is at stake.
        let _ = stream.set_nodelay(true);
    });
    let closing = is_true(stopping.clone());
    let late = async {
        is_true(stopping).await;
        tokio::time::sleep(FINISH_WITHIN).await;
    };
    let asked = async {
        shutdown.await;
        stop.send_replace(true);
        std::future::pending().await
    };
    tokio::select! {
        ended = axum::serve(listener, app).with_graceful_shutdown(closing) => ended,
        () = late => Ok(()),
        () = asked => Ok(()),
    }
}

/// Completes when the flag is set, or nobody is left to set it.
async fn is_true(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

fn router(api: Api) -> Router {
    let mut router = Router::new();
    for (path, _, methods) in routes() {
        router = router.route(path, methods);
    }
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(api.clone(), redirected))
        .with_state(api)
}

type Route = (&'static str, &'static [&'static str], MethodRouter<Api>);

/// Path, methods and what serves them. The document in `openapi.json` lists the same.
fn routes() -> Vec<Route> {
    vec![
        ("/v1/jobs", &["get", "post"], get(jobs::list).post(jobs::submit)),
        ("/v1/jobs/{id}", &["get"], get(jobs::status)),
        ("/v1/jobs/{id}/cancel", &["post"], post(jobs::cancel)),
        ("/v1/jobs/{id}/workflows/{workflow}/cancel", &["post"], post(jobs::cancel_workflow)),
        ("/v1/jobs/{id}/result", &["get"], get(jobs::result)),
        ("/v1/jobs/{id}/stats", &["get"], get(stats::stats)),
        ("/v1/jobs/{id}/explain", &["get"], get(jobs::explain)),
        ("/v1/jobs/{id}/updates", &["get"], get(updates::follow)),
        ("/v1/cluster", &["get"], get(cluster)),
        ("/v1/drain", &["post"], post(drain)),
        ("/openapi.json", &["get"], get(openapi)),
        ("/healthz", &["get"], get(health)),
    ]
}

impl Api {
    async fn ask(&self, command: Command) -> Answer<Reply> {
        match tokio::time::timeout(ANSWER_WITHIN, self.gate.ask_as(self.client.clone(), command))
            .await
        {
            Ok(Ok(Reply::Refused(refusal))) => Err(Box::new(refusal.into())),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(Box::new(error.into())),
            Err(_) => Err(Box::new(Problem::no_answer())),
        }
    }

    async fn cluster(&self) -> Answer<view::Cluster> {
        match self.ask(Command::Cluster).await? {
            Reply::Cluster(cluster) => Ok(view::Cluster::from(&*cluster)),
            _ => Err(Box::new(Problem::unexpected())),
        }
    }
}

async fn cluster(api: Api) -> Answer<Json<view::Cluster>> {
    api.cluster().await.map(Json)
}

/// Asks this gate to leave, as SIGTERM does; its process ends when it may.
async fn drain(api: Api) -> impl IntoResponse {
    api.gate.drain();
    (StatusCode::ACCEPTED, Json(view::Draining { draining: true }))
}

/// Sends the client on when another gate answers its request and it is known where that is.
async fn redirected(State(api): State<Api>, request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map(ToString::to_string);
    let response = next.run(request).await;
    let Some(problem::Elsewhere(gate)) = response.extensions().get().copied() else {
        return response;
    };
    let location = api.others.get(&gate).zip(target);
    let location = location.map(|(place, target)| format!("http://{place}{target}"));
    let Some(Ok(location)) = location.map(HeaderValue::try_from) else { return response };
    let mut response = Problem::moved(gate).into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

/// 200 while the gate answers and can commit.
async fn health(api: Api) -> Answer<Json<serde_json::Value>> {
    if api.cluster().await?.ready {
        return Ok(Json(serde_json::json!({ "ready": true })));
    }
    Err(Box::new(hyperscale_core::api::Refusal::NotReady.into()))
}

async fn no_route(uri: Uri) -> Problem {
    let detail = format!("nothing at {}; GET /openapi.json lists what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "No such path", detail)
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method-not-allowed", "Method not allowed", detail)
}

impl IntoResponse for Box<Problem> {
    fn into_response(self) -> Response {
        (*self).into_response()
    }
}

#[cfg(test)]
mod tests;
