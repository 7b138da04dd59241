//! `/jobs/{id}/events`: a stream of a job's events, starting at any event.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tracing::error;

use super::view::find;
use crate::http::app::App;
use crate::http::extract::{Path, Query};
use crate::http::problem::{Problem, Result};
use crate::store;
use crate::store::events::StoredEvent;
use crate::store::ids::JobId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/jobs/{id}/events", get(follow))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    last_event_id: Option<i64>,
}

/// Maximum number of events to read at once.
const BATCH: i64 = 200;
/// How long a client waits before it reconnects.
const RETRY: Duration = Duration::from_secs(1);

/// `GET /jobs/{id}/events`: all events after `Last-Event-ID`, then new ones as they happen. The last is `end`.
async fn follow(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    find(&app, id).await?;
    let last = last_event_id(&headers)?.or(query.last_event_id).unwrap_or(0);
    // Subscribes before the first read, so that no event in between is missed.
    let news = app.jobs.news();
    let follower = Follower { app, id, last, news, is_over: false };
    let hello = stream::iter([Ok(Message::default().retry(RETRY))]);
    let sse = Sse::new(hello.chain(follower.messages())).keep_alive(KeepAlive::default());
    // Tells proxies to pass on each message at once.
    Ok(([("x-accel-buffering", "no")], sse))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    let wrong = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Last-Event-ID is not a number");
    id.map(Some).ok_or_else(wrong)
}

/// One client's stream and its position.
struct Follower {
    app: Arc<App>,
    id: JobId,
    last: i64,
    news: watch::Receiver<u64>,
    is_over: bool,
}

impl Follower {
    fn messages(self) -> impl Stream<Item = Result<Message, Infallible>> {
        let batches = stream::unfold(self, |mut follower| async move {
            let batch = follower.next_batch().await?;
            Some((stream::iter(batch.into_iter().map(Ok)), follower))
        });
        batches.flatten()
    }

    /// Waits for the next events. Returns `None` when no more will follow.
    async fn next_batch(&mut self) -> Option<Vec<Message>> {
        while !self.is_over {
            self.news.mark_unchanged();
            match self.look().await {
                Ok(batch) if !batch.is_empty() => return Some(batch),
                Ok(_) => {}
                Err(error) => {
                    error!("an event stream ended early: {error}");
                    return None; // The client reconnects and continues after the last event.
                }
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = self.app.stop.cancelled() => return None,
            }
        }
        None
    }

    async fn look(&mut self) -> store::Result<Vec<Message>> {
        // Reads the state before the events: a job that has ended by then has stored all its events.
        let job = store::jobs::find(&self.app.db, self.id).await?;
        let events = store::events::after(&self.app.db, self.id, self.last, BATCH).await?;
        if let Some(event) = events.last() {
            self.last = event.id;
            return Ok(events.into_iter().map(message).collect());
        }
        let state = match job {
            Some(job) if !job.state.is_terminal() => return Ok(Vec::new()),
            Some(job) => json!({"state": job.state}),
            None => json!({"state": null}), // Deleted.
        };
        self.is_over = true;
        Ok(vec![Message::default().event("end").data(state.to_string())])
    }
}

fn message(event: StoredEvent) -> Message {
    let StoredEvent { id, kind, body } = event;
    Message::default().id(id.to_string()).event(kind).data(body)
}
