//! `GET /datasets`, `GET /datasets/{id}`, `DELETE /datasets/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::view::DatasetView;
use crate::http::app::App;
use crate::http::extract::{Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::http::problem::{Problem, Result};
use crate::store;
use crate::store::ids::DatasetId;

/// `GET /datasets`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<DatasetView>>> {
    let limit = page.limit()?;
    let datasets = store::datasets::page(&app.db, page.cursor()?, limit as i64 + 1).await?;
    let views = datasets.into_iter().map(|dataset| DatasetView::new(&app, dataset)).collect();
    Ok(Json(Page::new(views, limit, |view: &DatasetView| view.id.to_string())))
}

/// `GET /datasets/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
) -> Result<Json<DatasetView>> {
    let dataset = store::datasets::find(&app.db, id).await?;
    let dataset = dataset.ok_or_else(|| Problem::not_found(format_args!("data set {id}")))?;
    Ok(Json(DatasetView::new(&app, dataset)))
}

/// `DELETE /datasets/{id}`
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
) -> Result<StatusCode> {
    app.jobs.delete_dataset(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
