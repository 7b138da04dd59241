//! `/datasets`

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Map, Value};

use super::app::App;
use super::extract::{Path, Query};
use super::page::{Page, PageQuery};
use super::problem::{Problem, Result};
use crate::jobs::{DeleteError, ImportProgress};
use crate::store;
use crate::store::datasets::{Dataset, DatasetStatus};
use crate::store::ids::DatasetId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/datasets", get(list)).route("/datasets/{id}", get(show).delete(delete))
}

/// A data set as clients see it. Once imported, it has its counts and its report too.
#[derive(Debug, Serialize)]
pub(super) struct DatasetView {
    id: DatasetId,
    name: String,
    status: DatasetStatus,
    error: Option<String>,
    content_hash: Option<String>,
    /// An older one with the same pictures and boxes.
    same_as: Option<DatasetId>,
    progress: Option<ImportProgress>,
    created_at: String,
    finished_at: Option<String>,
    #[serde(flatten)]
    summary: Map<String, Value>,
}

impl DatasetView {
    pub(super) fn new(app: &App, dataset: Dataset) -> Self {
        let Dataset { id, name, status, error, content_hash, summary, .. } = dataset;
        let Dataset { created_at, finished_at, same_as, .. } = dataset;
        let progress = match status {
            DatasetStatus::Importing => app.jobs.import_progress(id),
            DatasetStatus::Ready | DatasetStatus::Failed => None,
        };
        let summary = match summary.map(|summary| summary.0) {
            Some(Value::Object(summary)) => summary,
            _ => Map::new(),
        };
        Self {
            id,
            name,
            status,
            error,
            content_hash,
            same_as,
            progress,
            created_at,
            finished_at,
            summary,
        }
    }
}

/// `GET /datasets`
async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<DatasetView>>> {
    let limit = page.limit()?;
    let datasets = store::datasets::page(&app.db, page.cursor()?, limit as i64 + 1).await?;
    let views = datasets.into_iter().map(|dataset| DatasetView::new(&app, dataset)).collect();
    Ok(Json(Page::new(views, limit, |view: &DatasetView| view.id.to_string())))
}

/// `GET /datasets/{id}`
async fn show(State(app): State<Arc<App>>, Path(id): Path<DatasetId>) -> Result<Json<DatasetView>> {
    let dataset = store::datasets::find(&app.db, id).await?;
    let dataset = dataset.ok_or_else(|| Problem::not_found(format_args!("data set {id}")))?;
    Ok(Json(DatasetView::new(&app, dataset)))
}

/// `DELETE /datasets/{id}`
async fn delete(State(app): State<Arc<App>>, Path(id): Path<DatasetId>) -> Result<StatusCode> {
    app.jobs.delete_dataset(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Missing(what) => Self::not_found(what),
            DeleteError::InUse(why) => Self::conflict(why),
            DeleteError::Db(error) => error.into(),
        }
    }
}
