//! `/jobs`

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::app::App;
use super::conditional::sha256;
use super::evaluations;
use super::extract::{JsonBody, Path, Query, typed};
use super::page::{Page, PageQuery};
use super::problem::{Problem, Result, Wrong};
use super::when::when;
use crate::jobs::lifecycle::Verb;
use crate::jobs::{Idempotency, Submission, SubmitError, Task, VerbError};
use crate::store;
use crate::store::ids::{DatasetId, JobId, ModelId};
use crate::store::job_kind::JobKind;
use crate::store::jobs::{Job, JobState};
use crate::train::presets;
use crate::train::spec::TrainSpec;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/jobs", get(list).post(create))
        .route("/jobs/{id}", get(show).delete(delete))
        .route("/jobs/{id}/pause", post(|app, id| command(app, id, Verb::Pause)))
        .route("/jobs/{id}/resume", post(|app, id| command(app, id, Verb::Resume)))
        .route("/jobs/{id}/stop", post(|app, id| command(app, id, Verb::Stop)))
        .route("/jobs/{id}/cancel", post(|app, id| command(app, id, Verb::Cancel)))
        .route("/schema/train", get(schema))
}

/// A job as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct JobView {
    id: JobId,
    kind: JobKind,
    name: String,
    state: JobState,
    dataset_id: Option<DatasetId>,
    params: Value,
    priority: i64,
    device: Option<String>,
    restarts: i64,
    progress: Option<Value>,
    best: Option<Value>,
    baseline: Option<Value>,
    /// The model that a completed job has made.
    model_id: Option<ModelId>,
    error: Option<String>,
    /// What kind of failure that is, of a job that failed.
    failure: Option<String>,
    /// Why the server has paused it by itself: `disk_full` or `disk_error`.
    hold: Option<String>,
    /// Batches are this many times smaller than was asked for.
    batch_divisor: i64,
    not_before: Option<String>,
    time_limit_s: Option<i64>,
    /// Seconds that it has held a device.
    ran_s: f64,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl JobView {
    pub(super) fn new(job: Job) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            name: job.name,
            state: job.state,
            dataset_id: job.dataset_id,
            params: job.params.0,
            priority: job.priority,
            device: job.device,
            restarts: job.restarts,
            progress: job.progress.map(|progress| progress.0),
            best: job.best.map(|best| best.0),
            baseline: job.baseline.map(|baseline| baseline.0),
            model_id: job.model_id,
            error: job.error,
            failure: job.failure,
            hold: job.hold,
            batch_divisor: job.batch_divisor,
            not_before: job.not_before,
            time_limit_s: job.time_limit_s,
            ran_s: (job.ran_s * 1000.0).round() / 1000.0,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// What to train, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainBody {
    #[serde(rename = "kind")]
    _kind: JobKind,
    name: Option<String>,
    dataset_id: DatasetId,
    #[serde(default)]
    params: TrainSpec,
    #[serde(default)]
    priority: i64,
    not_before: Option<String>,
    time_limit_s: Option<i64>,
}

/// The field that says what others there are.
#[derive(Debug, Deserialize)]
struct Kind {
    kind: JobKind,
}

const LONGEST_NAME: usize = 200;
const LONGEST_KEY: usize = 200;

/// `POST /jobs`: queues a job and answers before it starts.
async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    JsonBody { value, bytes }: JsonBody<Value>,
) -> Result<Response> {
    let new = match typed::<Kind, _>(&value)?.kind {
        JobKind::Train => training(value)?,
        JobKind::Evaluate => evaluations::submission(value)?,
    };
    let job = app.jobs.submit(new, idempotency(&headers, &bytes)?).await?;
    Ok(created(job))
}

/// 201 with a job that was queued.
pub(super) fn created(job: Job) -> Response {
    let location = [(header::LOCATION, format!("/api/v1/jobs/{}", job.id))];
    (StatusCode::CREATED, location, Json(JobView::new(job))).into_response()
}

fn training(mut value: Value) -> Result<Submission> {
    if let Some(params) = value.get_mut("params") {
        presets::expand(params);
    }
    let TrainBody { name, dataset_id, params, priority, not_before, time_limit_s, .. } =
        typed(value)?;
    let (when, mut wrong) = when(priority, not_before.as_deref(), time_limit_s);
    wrong.extend(name.as_deref().and_then(wrong_name));
    if let Err(violations) = params.check() {
        wrong.extend(violations.into_iter().map(|violation| Wrong {
            pointer: format!("/params{}", violation.pointer),
            detail: violation.detail,
        }));
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let name = name.map_or_else(|| "Unnamed".to_owned(), |name| name.trim().to_owned());
    Ok(Submission { name, dataset_id, task: Task::Train(Box::new(params)), when })
}

/// What is wrong with the name of a job.
pub(super) fn wrong_name(name: &str) -> Option<Wrong> {
    let is_right = (1..=LONGEST_NAME).contains(&name.trim().chars().count());
    let detail = format!("has to have from 1 to {LONGEST_NAME} characters");
    (!is_right).then(|| Wrong { pointer: "/name".to_owned(), detail })
}

/// Recognises a request by its `Idempotency-Key`, where it has one.
pub(super) fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let key = key.ok_or_else(|| {
        let detail = format!("Idempotency-Key has to be from 1 to {LONGEST_KEY} ASCII characters");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })?;
    let body_sha256 = sha256(body);
    Ok(Some(Idempotency { key: key.to_owned(), body_sha256 }))
}

/// `GET /jobs`
async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<JobView>>> {
    let limit = page.limit()?;
    let jobs = store::jobs::page(&app.db, page.cursor()?, limit as i64 + 1).await?;
    let views = jobs.into_iter().map(JobView::new).collect();
    Ok(Json(Page::new(views, limit, |view: &JobView| view.id.to_string())))
}

/// `GET /jobs/{id}`
async fn show(State(app): State<Arc<App>>, Path(id): Path<JobId>) -> Result<Json<JobView>> {
    let job = find(&app, id).await?;
    Ok(Json(JobView::new(job)))
}

/// `DELETE /jobs/{id}`: with its files and its model.
async fn delete(State(app): State<Arc<App>>, Path(id): Path<JobId>) -> Result<StatusCode> {
    app.jobs.delete_job(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /jobs/{id}/pause` and so on. What takes until the worker heeds it is accepted only.
async fn command(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
    verb: Verb,
) -> Result<impl IntoResponse> {
    let job = app.jobs.command(id, verb).await?;
    let is_under_way =
        matches!(job.state, JobState::Pausing | JobState::Stopping | JobState::Cancelling);
    let status = if is_under_way { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(JobView::new(job))))
}

/// `GET /schema/train`
async fn schema() -> Json<Value> {
    Json(TrainSpec::schema())
}

/// A job, or 404.
pub(super) async fn find(app: &App, id: JobId) -> Result<Job> {
    let job = store::jobs::find(&app.db, id).await?;
    job.ok_or_else(|| Problem::not_found(format_args!("job {id}")))
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match &error {
            SubmitError::NoDataset(_) => Self::invalid_value("/dataset_id", &error),
            SubmitError::NoModel(_) => Self::invalid_value("/params/init", &error),
            SubmitError::NothingToMeasure { field, .. } => {
                Self::invalid_value(&format!("/{field}"), &error)
            }
            SubmitError::EmptySplit(_) => Self::invalid_value("/split", &error),
            SubmitError::NoDevice { .. } => Self::invalid_value("/params/device", &error),
            SubmitError::DatasetNotReady { .. } => Self::conflict(&error),
            SubmitError::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, &error),
            SubmitError::Internal(source) => Self::internal(source.as_ref()),
        }
    }
}

impl From<VerbError> for Problem {
    fn from(error: VerbError) -> Self {
        match error {
            VerbError::NoJob(id) => Self::not_found(format_args!("job {id}")),
            VerbError::Refused(refused) => Self::conflict_in(refused.state, refused),
            VerbError::NotQueued(state) => Self::conflict_in(state, error),
            VerbError::NothingToKeep => Self::conflict(error),
            VerbError::Db(error) => error.into(),
        }
    }
}
