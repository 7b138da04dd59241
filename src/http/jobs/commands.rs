//! `POST /jobs/{id}/pause`, `resume`, `stop` and `cancel`.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;

use super::view::JobView;
use crate::http::app::App;
use crate::http::extract::Path;
use crate::http::problem::{Problem, Result};
use crate::jobs::VerbError;
use crate::jobs::lifecycle::Verb;
use crate::store::ids::JobId;
use crate::store::jobs::JobState;

pub(super) fn routes() -> Router<Arc<App>> {
    let route = |verb: Verb| post(move |app, id| command(app, id, verb));
    Verb::ALL.into_iter().fold(Router::new(), |router, verb| {
        router.route(&format!("/jobs/{{id}}/{}", verb.name()), route(verb))
    })
}

/// `POST /jobs/{id}/{verb}`. Responds with 202 if the worker has not carried out the verb yet.
async fn command(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
    verb: Verb,
) -> Result<impl IntoResponse> {
    let job = app.jobs.command(id, verb).await?;
    let is_under_way =
        matches!(job.state, JobState::Pausing | JobState::Stopping | JobState::Cancelling);
    let status = if is_under_way { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(JobView::new(&app.jobs, job))))
}

impl From<VerbError> for Problem {
    fn from(error: VerbError) -> Self {
        match error {
            VerbError::NoJob(id) => Self::not_found(format_args!("job {id}")),
            VerbError::Refused(refused) => Self::conflict_in(refused.state, refused),
            VerbError::NotQueued(state) => Self::conflict_in(state, error),
            VerbError::NotOfThisKind(_) => Self::conflict(error),
            VerbError::Db(error) => error.into(),
        }
    }
}
