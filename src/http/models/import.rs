//! `POST /models?name=`: imports a weights file. Its format is recognised from its content.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::view::{ModelView, find};
use crate::disk;
use crate::error::chain;
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::conditional::sha256;
use crate::http::extract::{Query, whole};
use crate::http::fields::NameQuery;
use crate::http::problem::{Problem, Result};
use crate::model::layout::Variant;
use crate::protocol::events::Artifact;
use crate::store;
use crate::store::ids::ModelId;
use crate::store::models::NewModel;
use crate::weights;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models", post(create))
}

/// `POST /models?name=`
async fn create(
    State(app): State<Arc<App>>,
    Query(query): Query<NameQuery>,
    request: Request,
) -> Result<Response> {
    let name = query.name()?.unwrap_or_else(|| "Unnamed".to_owned());
    let bytes = whole(request.into_body(), app.config.limits.weights_bytes).await?;
    import(&app, name, bytes).await
}

async fn import(app: &App, name: String, bytes: axum::body::Bytes) -> Result<Response> {
    let id = ModelId::new();
    let folder = app.folder.model(id);
    let file = blocking(move || -> Result<(Artifact, Variant)> {
        let weights = weights::load(&bytes)
            .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, chain(&error)))?;
        let name = format!("model.{}", weights::ending(&bytes));
        std::fs::create_dir_all(&folder)?;
        disk::write(&folder.join(&name), &bytes)?;
        let file = Artifact { name, size_bytes: bytes.len() as u64, sha256: sha256(&bytes) };
        Ok((file, weights.layout().variant))
    });
    let (file, variant) = file.await??;
    let files = [file];
    let new =
        NewModel { id, name: &name, job_id: None, parent_id: None, files: &files, metrics: None };
    let mut tx = store::begin(&app.db).await?;
    store::models::insert(&mut *tx, new).await?;
    store::models::set_variant(&mut *tx, id, variant).await?;
    tx.commit().await?;
    let location = [(header::LOCATION, format!("/api/v1/models/{id}"))];
    let view = ModelView::from(find(&app.db, id).await?);
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}
