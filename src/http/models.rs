//! `/models`: `MediaPipe`'s own, those that jobs have trained, and imported ones.

use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::app::{App, blocking};
use super::conditional::sha256;
use super::extract::{Path, Query};
use super::model_files;
use super::page::{Page, PageQuery};
use super::problem::{Problem, Result};
use super::registry::{self, Provenance};
use crate::disk;
use crate::model::layout::Variant;
use crate::store;
use crate::store::ids::{JobId, ModelId};
use crate::store::models::{Model, ModelKind, NewModel};
use crate::train::events::Artifact;
use crate::train::run::chain;
use crate::weights;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models", get(list)).route("/models/{id}", get(show))
}

/// `base`, or the id of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelRef {
    Base,
    Id(ModelId),
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == BASE {
            return Ok(Self::Base);
        }
        let id = ModelId::from_str(&text);
        id.map(Self::Id).map_err(|_| serde::de::Error::custom("a model's id is base, or a UUID"))
    }
}

pub(super) const BASE: &str = "base";
const BASE_FILE: &str = "face_detection_short_range.tflite";

/// A model as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct ModelView {
    id: String,
    name: String,
    kind: KindView,
    job_id: Option<JobId>,
    /// The model it was mixed from.
    parent_id: Option<ModelId>,
    files: Vec<Artifact>,
    /// `{epoch, best, baseline}`, of a model that was trained here.
    metrics: Option<Value>,
    /// Which network: `short` (128×128) or `back` (256×256).
    variant: Variant,
    tags: Vec<String>,
    /// Every file that can be downloaded, those too that are only written then.
    downloads: Vec<String>,
    created_at: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum KindView {
    Base,
    Imported,
    Trained,
    Mixed,
}

impl From<Model> for ModelView {
    fn from(model: Model) -> Self {
        let downloads = model_files::downloads(&model);
        let Model { id, name, kind, job_id, parent_id, files, metrics, variant, tags, created_at } =
            model;
        Self {
            downloads,
            variant: variant.0,
            tags: tags.0,
            id: id.to_string(),
            name,
            kind: match kind {
                ModelKind::Imported => KindView::Imported,
                ModelKind::Trained => KindView::Trained,
                ModelKind::Mixed => KindView::Mixed,
            },
            job_id,
            parent_id,
            files: files.0,
            metrics: metrics.map(|metrics| metrics.0),
            created_at: Some(created_at),
        }
    }
}

fn base() -> ModelView {
    ModelView {
        id: BASE.to_owned(),
        name: "MediaPipe BlazeFace, short range".to_owned(),
        kind: KindView::Base,
        job_id: None,
        parent_id: None,
        files: vec![base_file()],
        metrics: None,
        variant: Variant::Short,
        tags: Vec::new(),
        downloads: model_files::of_base(),
        created_at: None,
    }
}

pub(super) fn base_bytes() -> &'static [u8] {
    weights::tflite::base()
}

pub(super) fn base_file() -> Artifact {
    static SHA256: OnceLock<String> = OnceLock::new();
    let sha256 = SHA256.get_or_init(|| sha256(base_bytes())).clone();
    Artifact { name: BASE_FILE.to_owned(), size_bytes: base_bytes().len() as u64, sha256 }
}

/// `GET /models`: newest first, `MediaPipe`'s own last of all.
async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ModelView>>> {
    let limit = page.limit()?;
    let models = store::models::page(&app.db, page.cursor()?, limit as i64 + 1).await?;
    let views = models.into_iter().map(ModelView::from).collect();
    let mut page = Page::new(views, limit, |view: &ModelView| view.id.clone());
    if page.next_cursor.is_none() {
        page.items.push(base());
    }
    Ok(Json(page))
}

/// `GET /models/{id}`
async fn show(State(app): State<Arc<App>>, Path(id): Path<ModelRef>) -> Result<Json<Whole>> {
    Ok(Json(match id {
        ModelRef::Base => Whole { model: base(), provenance: Provenance::of_base() },
        ModelRef::Id(id) => {
            let model = find(&app, id).await?;
            let provenance = registry::provenance(&app, &model).await?;
            Whole { model: model.into(), provenance }
        }
    }))
}

/// A model, and where it comes from.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    model: ModelView,
    provenance: Provenance,
}

/// A model that is not `MediaPipe`'s own, or 404.
pub(super) async fn find(app: &App, id: ModelId) -> Result<Model> {
    let model = store::models::find(&app.db, id).await?;
    model.ok_or_else(|| Problem::not_found(format_args!("model {id}")))
}

/// `POST /models?name=`: a weights file, told by its content.
pub(super) async fn create(app: &App, name: String, bytes: Bytes) -> Result<Response> {
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
    let view = ModelView::from(find(app, id).await?);
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}
