//! A job's place in the queue, and the history of its state.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

use super::view::{JobView, find};
use crate::http::app::App;
use crate::http::extract::Path;
use crate::http::page::Page;
use crate::http::problem::Result;
use crate::store;
use crate::store::ids::JobId;
use crate::store::transitions::Transition;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/jobs/{id}/transitions", get(transitions))
        .route("/jobs/{id}/front", post(front))
}

/// `GET /jobs/{id}/transitions`: every change of the job's state and every restart, oldest first.
async fn transitions(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
) -> Result<Json<Page<Transition>>> {
    find(&app, id).await?;
    let items = store::transitions::of_job(&app.db, id).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// `POST /jobs/{id}/front`: moves the job ahead of all other queued jobs of the same priority.
async fn front(State(app): State<Arc<App>>, Path(id): Path<JobId>) -> Result<Json<JobView>> {
    let job = app.jobs.move_to_front(id).await?;
    Ok(Json(JobView::new(&app.jobs, job)))
}
