//! `POST /jobs`: queues a job.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::view::created;
use super::{evaluate, train};
use crate::http::app::App;
use crate::http::extract::{JsonBody, typed};
use crate::http::idempotency::idempotency;
use crate::http::problem::{Problem, Result};
use crate::jobs::SubmitError;

/// The field that determines the body's other fields.
#[derive(Debug, Deserialize)]
struct Kind {
    kind: Created,
}

/// The kinds of jobs that this route creates; `POST /models/{id}/mix` creates jobs that mix.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Created {
    Train,
    Evaluate,
}

/// `POST /jobs`: queues a job and responds without waiting for it to start.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    JsonBody { value, bytes }: JsonBody<Value>,
) -> Result<Response> {
    let new = match typed::<Kind, _>(&value)?.kind {
        Created::Train => train::submission(value)?,
        Created::Evaluate => evaluate::submission(value)?,
    };
    let job = app.jobs.submit(new, idempotency(&headers, &bytes)?).await?;
    Ok(created(&app.jobs, StatusCode::CREATED, job))
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match &error {
            SubmitError::NoDataset(_) => Self::invalid_value("/dataset_id", &error),
            SubmitError::NoModel(_) => Self::invalid_value("/params/init", &error),
            SubmitError::MissingModel { field, .. } => {
                Self::invalid_value(&format!("/{field}"), &error)
            }
            SubmitError::EmptySplit(_) => Self::invalid_value("/split", &error),
            SubmitError::NoDevice { .. } => Self::invalid_value("/params/device", &error),
            SubmitError::NeedsTorch { pointer, .. } => Self::invalid_value(pointer, &error),
            SubmitError::DatasetNotReady { .. } => Self::conflict(&error),
            SubmitError::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, &error),
            SubmitError::Internal(source) => Self::internal(source.as_ref()),
        }
    }
}
