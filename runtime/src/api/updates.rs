//! Live updates of a job as server-sent events.
//!
//! The live channel is subscribed before the kept updates are asked for, and what is in both is
//! sent once, by sequence number: nothing is lost or doubled in between. A client resumes with
//! `Last-Event-ID` (or `?after=`). An event `truncated` says that some updates after that number
//! are gone. A gate that loses the job to another ends the stream, and the client is redirected
//! when it resumes. The stream ends after the update in which the job is terminal; asked again
//! after that one, the answer is 204, which ends an `EventSource`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hyperscale_core::api::{Command, JobView, Reply, Update};
use hyperscale_core::ids::JobId;
use serde::Deserialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

use super::jobs::job_id;
use super::{Answer, Api, Problem, is_true, view};
use crate::calls::Published;

/// Clients take a gate that is silent for more than two of these for gone.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Without news for so long the gate is asked whether it is still the one that has them.
const ASK_AFTER: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
pub(super) struct From {
    after: Option<String>,
}

pub(super) async fn follow(
    api: Api,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Answer<Response> {
    let job = job_id(&id)?;
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    let after = after(header.or(from.after.as_deref()))?;
    let live = api.gate.updates();
    let (ready, news) = (VecDeque::new(), Instant::now());
    let mut feed = Feed { api, job, last: after, ready, live, ended: false, news };
    feed.refill().await?;
    if feed.ready.is_empty()
        && let Some(view) = feed.terminal_view().await?
    {
        if after > 0 {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        feed.ready.push_back(event(&view));
        feed.ended = true;
    }
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn after(text: Option<&str>) -> Answer<u64> {
    text.map_or(Ok(0), |text| {
        text.trim().parse().map_err(|_| {
            let detail = "Last-Event-ID and after must be a sequence number";
            Box::new(Problem::bad_request(detail))
        })
    })
}

struct Feed {
    api: Api,
    job: JobId,
    /// The newest sequence number that is queued or sent.
    last: u64,
    ready: VecDeque<Event>,
    live: broadcast::Receiver<Published>,
    ended: bool,
    /// When the gate last had something to say about the job.
    news: Instant,
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            let live = tokio::select! {
                live = self.live.recv() => live,
                () = tokio::time::sleep_until(self.news + ASK_AFTER) => {
                    self.refill().await.ok()?;
                    continue;
                }
                () = is_true(self.api.stopping.clone()) => return None,
            };
            match live {
                Ok((job, update)) if job == self.job => self.push(&update),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.refill().await.ok()?,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Queues what the gate has kept after the newest update seen.
    async fn refill(&mut self) -> Answer<()> {
        self.news = Instant::now();
        let command = Command::Watch { job: self.job, after: self.last };
        let Reply::Watching { updates, truncated } = self.api.ask(command).await? else {
            return Err(Box::new(Problem::unexpected()));
        };
        if truncated {
            self.ready.push_back(Event::default().event("truncated").data("{}"));
        }
        for update in &updates {
            self.push(update);
        }
        Ok(())
    }

    fn push(&mut self, update: &Update) {
        if update.moved {
            self.ended = true;
            return;
        }
        if update.seq <= self.last || self.ended {
            return;
        }
        (self.last, self.news) = (update.seq, Instant::now());
        self.ended = update.view.status.is_terminal();
        self.ready.push_back(event(&update.view).id(update.seq.to_string()));
    }

    async fn terminal_view(&self) -> Answer<Option<Box<JobView>>> {
        match self.api.ask(Command::Status(self.job)).await? {
            Reply::Status(view) => Ok(view.status.is_terminal().then_some(view)),
            _ => Err(Box::new(Problem::unexpected())),
        }
    }
}

fn event(view: &JobView) -> Event {
    let text = serde_json::to_string(&view::Job::from(view)).unwrap_or_else(|_| "{}".to_owned());
    Event::default().event("update").data(text)
}
