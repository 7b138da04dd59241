//! Downloads of a job's artifacts.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use super::view::find;
use crate::http::app::App;
use crate::http::extract::Path;
use crate::http::problem::Result;
use crate::http::send::{named, send};
use crate::store;
use crate::store::ids::JobId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/jobs/{id}/artifacts/{file}", get(artifact))
}

/// `GET /jobs/{id}/artifacts/{file}`
async fn artifact(
    State(app): State<Arc<App>>,
    Path((id, file)): Path<(JobId, String)>,
    request: Request,
) -> Result<Response> {
    find(&app, id).await?;
    // Serves only listed files, so a name cannot point outside the folder.
    let artifacts = store::artifacts::of_job(&app.db, id).await?;
    let artifact = named(&artifacts, &file)?;
    send(app.jobs.dir(id).artifacts().join(&artifact.name), artifact, request).await
}
