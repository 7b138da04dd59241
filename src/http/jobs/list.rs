//! `GET /jobs`, `GET /jobs/{id}`, `DELETE /jobs/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::view::{JobView, find};
use crate::http::app::App;
use crate::http::extract::{Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::http::problem::Result;
use crate::store;
use crate::store::ids::JobId;

/// `GET /jobs`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<JobView>>> {
    let limit = page.limit()?;
    let jobs = store::jobs::page(&app.db, page.cursor()?, limit as i64 + 1).await?;
    let views = jobs.into_iter().map(|job| JobView::new(&app.jobs, job)).collect();
    Ok(Json(Page::new(views, limit, |view: &JobView| view.id.to_string())))
}

/// `GET /jobs/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
) -> Result<Json<JobView>> {
    let job = find(&app, id).await?;
    Ok(Json(JobView::new(&app.jobs, job)))
}

/// `DELETE /jobs/{id}`: deletes the job, its files and its model.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
) -> Result<StatusCode> {
    app.jobs.delete_job(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
