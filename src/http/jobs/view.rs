//! A job as clients see it.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::app::App;
use crate::http::problem::{Problem, Result};
use crate::jobs::{JobVerb, Jobs};
use crate::protocol::metrics::ValMetrics;
use crate::store;
use crate::store::ids::{DatasetId, JobId, ModelId};
use crate::store::job_kind::JobKind;
use crate::store::jobs::{BestEpoch, Job, JobProgress, JobState};

/// A job as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub(in crate::http) struct JobView {
    pub(super) id: JobId,
    kind: JobKind,
    name: String,
    state: JobState,
    /// Whether it has ended. Only a user can then change it.
    is_final: bool,
    /// The actions that a user can take on it now.
    verbs: Vec<JobVerb>,
    dataset_id: Option<DatasetId>,
    #[schemars(with = "Map<String, Value>")]
    params: Value,
    priority: i64,
    device: Option<String>,
    restarts: i64,
    progress: Option<JobProgress>,
    best: Option<BestEpoch>,
    /// The base model's metrics.
    baseline: Option<ValMetrics>,
    /// The model that it made, once it has completed.
    model_id: Option<ModelId>,
    error: Option<String>,
    /// The kind of failure, if it failed.
    failure: Option<String>,
    /// Why the server paused it: `disk_full` or `disk_error`.
    hold: Option<String>,
    /// Batches are this many times smaller than requested.
    batch_divisor: i64,
    not_before: Option<String>,
    time_limit_s: Option<i64>,
    /// How many seconds it has held a device.
    ran_s: f64,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl JobView {
    pub(in crate::http) fn new(jobs: &Jobs, job: Job) -> Self {
        Self {
            is_final: job.state.is_terminal(),
            verbs: jobs.verbs(&job),
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

/// Returns the response for a queued job. The status is 201, or 202 if the client asked for the job's result.
pub(in crate::http) fn created(jobs: &Jobs, status: StatusCode, job: Job) -> Response {
    let location = [(header::LOCATION, format!("/api/v1/jobs/{}", job.id))];
    (status, location, Json(JobView::new(jobs, job))).into_response()
}

/// Returns a job, or a 404.
pub(in crate::http) async fn find(app: &App, id: JobId) -> Result<Job> {
    let job = store::jobs::find(&app.db, id).await?;
    job.ok_or_else(|| Problem::not_found(format_args!("job {id}")))
}
