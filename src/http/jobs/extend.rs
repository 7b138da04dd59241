//! `POST /jobs/{id}/extend`: more epochs for a finished job.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;

use super::view::created;
use crate::http::app::App;
use crate::http::extract::{JsonBody, Path};
use crate::http::fields::wrong_name;
use crate::http::idempotency::idempotency;
use crate::http::problem::{Problem, Result, Wrong};
use crate::jobs::{ExtendError, Extension, SubmitError};
use crate::store::ids::JobId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/jobs/{id}/extend", post(extend))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendBody {
    /// Total number of epochs, including those already done, up to 10,000.
    epochs: u32,
    name: Option<String>,
}

/// Queues a new job that continues from the finished job's last checkpoint. Responds with 201.
async fn extend(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
    headers: HeaderMap,
    JsonBody { value, bytes }: JsonBody<ExtendBody>,
) -> Result<Response> {
    let ExtendBody { epochs, name } = value;
    if let Some(wrong) = name.as_deref().and_then(wrong_name) {
        return Err(Problem::invalid(vec![wrong]));
    }
    // Includes the job's ID, because the same body sent to another job is a different request.
    let request = [id.to_string().as_bytes(), &bytes].concat();
    let idempotency = idempotency(&headers, &request)?;
    let extension = Extension { epochs, name: name.map(|name| name.trim().to_owned()) };
    let job = app.jobs.extend(id, extension, idempotency).await?;
    Ok(created(&app.jobs, StatusCode::CREATED, job))
}

impl From<ExtendError> for Problem {
    fn from(error: ExtendError) -> Self {
        match error {
            ExtendError::NoJob(id) => Self::not_found(format_args!("job {id}")),
            ExtendError::Refused(text) => Self::conflict(text),
            ExtendError::Invalid(violations) => Self::invalid(
                violations
                    .into_iter()
                    .map(|v| Wrong { pointer: v.pointer, detail: v.detail })
                    .collect(),
            ),
            // These parameters come from the finished job, not from the request.
            ExtendError::Submit(
                error @ (SubmitError::NoDataset(_)
                | SubmitError::NoModel(_)
                | SubmitError::NoDevice { .. }),
            ) => Self::conflict(format_args!("{error}; start a new job with other parameters")),
            ExtendError::Submit(error) => error.into(),
        }
    }
}
