//! What is known about models: where they come from, what users call them, which is better, and whether
//! one may go.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, patch};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use super::app::{App, blocking};
use super::extract::{JsonBody, Path, Query};
use super::jobs::wrong_name;
use super::models::{self, BASE, ModelRef, ModelView};
use super::problem::{Problem, Result};
use crate::disk;
use crate::store;
use crate::store::ids::{DatasetId, JobId, ModelId};
use crate::store::models::{Model, ModelKind};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/models/compare", get(compare))
        .route("/models/{id}", patch(describe).delete(delete))
}

/// Where a model comes from.
#[derive(Debug, Default, Serialize)]
pub(super) struct Provenance {
    /// The model that it was made from: `base`, an id, or none where that is not known.
    parent_id: Option<String>,
    job: Option<JobOrigin>,
    dataset: Option<DatasetOrigin>,
    licence: &'static str,
}

/// The job that trained a model.
#[derive(Debug, Serialize)]
struct JobOrigin {
    id: JobId,
    name: String,
    params: Value,
    finished_at: Option<String>,
}

/// The pictures that a model was trained on.
#[derive(Debug, Serialize)]
struct DatasetOrigin {
    id: DatasetId,
    name: String,
    content_hash: Option<String>,
}

const LICENCE: &str = "Apache-2.0 (MediaPipe's weights, Google)";

impl Provenance {
    /// Of `MediaPipe`'s own.
    pub(super) fn of_base() -> Self {
        Self { licence: LICENCE, ..Self::default() }
    }
}

/// Where a model comes from.
pub(super) async fn provenance(app: &App, model: &Model) -> Result<Provenance> {
    let mut provenance = Provenance { licence: LICENCE, ..Provenance::default() };
    let Some(job) = model.job_id else {
        provenance.parent_id = model.parent_id.map(|id| id.to_string());
        if model.kind == ModelKind::Imported {
            provenance.licence = "its author's";
        }
        return Ok(provenance);
    };
    let Some(job) = store::jobs::find(&app.db, job).await? else { return Ok(provenance) };
    provenance.parent_id = match job.params.0["init"].as_str() {
        Some("mediapipe") | None => Some(BASE.to_owned()),
        Some("scratch") => None,
        Some(id) => Some(id.to_owned()),
    };
    if let Some(id) = job.dataset_id
        && let Some(dataset) = store::datasets::find(&app.db, id).await?
    {
        let (name, content_hash) = (dataset.name, dataset.content_hash);
        provenance.dataset = Some(DatasetOrigin { id, name, content_hash });
    }
    let (id, name, params) = (job.id, job.name, job.params.0);
    provenance.job = Some(JobOrigin { id, name, params, finished_at: job.finished_at });
    Ok(provenance)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: Option<String>,
    tags: Option<Vec<String>>,
}

const MOST_TAGS: usize = 20;
const LONGEST_TAG: usize = 40;

/// `PATCH /models/{id}`: another name, other tags.
async fn describe(
    State(app): State<Arc<App>>,
    Path(id): Path<ModelRef>,
    body: JsonBody<Description>,
) -> Result<Json<ModelView>> {
    let id = own(id, "renamed or tagged")?;
    let Description { name, tags } = body.value;
    let mut wrong: Vec<_> = name.as_deref().and_then(wrong_name).into_iter().collect();
    let tags = tags.map(|tags| tags.iter().map(|tag| tag.trim().to_owned()).collect::<Vec<_>>());
    let is_right = |tag: &String| (1..=LONGEST_TAG).contains(&tag.chars().count());
    if tags.as_ref().is_some_and(|tags| tags.len() > MOST_TAGS || !tags.iter().all(is_right)) {
        let detail =
            format!("has to be at most {MOST_TAGS} texts of 1 to {LONGEST_TAG} characters");
        wrong.push(super::problem::Wrong { pointer: "/tags".to_owned(), detail });
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let name = name.as_deref().map(str::trim);
    store::models::describe(&app.db, id, name, tags.as_deref()).await?;
    Ok(Json(models::find(&app, id).await?.into()))
}

/// `DELETE /models/{id}`
async fn delete(State(app): State<Arc<App>>, Path(id): Path<ModelRef>) -> Result<StatusCode> {
    let id = own(id, "deleted")?;
    let model = models::find(&app, id).await?;
    if let Some(job) = model.job_id {
        let text = format!("the model {id} belongs to job {job}; delete that, and it goes with it");
        return Err(Problem::conflict(text));
    }
    if !store::models::delete_unused(&app.db, id).await? {
        let needed_by = store::models::dependents(&app.db, id).await?.join(", ");
        return Err(Problem::conflict(format!("the model {id} is needed by {needed_by}")));
    }
    let folder = app.folder.model(id);
    if let Err(error) = blocking(move || disk::remove_folder(&folder)).await? {
        warn!("cannot delete the files of model {id}: {error}"); // Nothing refers to them.
    }
    Ok(StatusCode::NO_CONTENT)
}

fn own(id: ModelRef, what: &str) -> Result<ModelId> {
    match id {
        ModelRef::Id(id) => Ok(id),
        ModelRef::Base => Err(Problem::conflict(format!("MediaPipe's own model cannot be {what}"))),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Two {
    a: ModelRef,
    b: ModelRef,
}

/// Two models side by side.
#[derive(Debug, Serialize)]
struct Comparison {
    a: Side,
    b: Side,
    /// Whether both were measured on the same pictures; else their figures cannot be compared.
    same_dataset: bool,
    metrics: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Side {
    id: String,
    name: String,
    dataset_hash: Option<String>,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    a: Option<f64>,
    b: Option<f64>,
    /// `b` less `a`.
    difference: Option<f64>,
}

/// `GET /models/compare?a=&b=`: figures of the validation pictures of the jobs that trained them.
async fn compare(State(app): State<Arc<App>>, Query(two): Query<Two>) -> Result<Json<Comparison>> {
    let (mut a, mut b) = (measured(&app, two.a).await?, measured(&app, two.b).await?);
    // What the other's job measured of the untouched model is measured on the same pictures.
    let (first, second) = (a.clone(), b.clone());
    for (model, own, other) in [(two.a, &mut a, second), (two.b, &mut b, first)] {
        if model == ModelRef::Base && own.best.is_null() {
            own.best = other.baseline.clone();
            own.side.1.clone_from(&other.side.1);
        }
    }
    let names = [&a, &b].into_iter().filter_map(|side| side.best.as_object()).flatten();
    let mut names: Vec<&String> = names.map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let figure = |name: &String| {
        let (a, b) = (a.best[name].as_f64(), b.best[name].as_f64());
        let difference = a.zip(b).map(|(a, b)| b - a);
        Figure { name: name.clone(), a, b, difference }
    };
    let metrics = names.into_iter().map(figure).collect();
    let same_dataset = a.side.1.is_some() && a.side.1 == b.side.1;
    let side = |id: ModelRef, measured: Measured| Side {
        id: match id {
            ModelRef::Base => BASE.to_owned(),
            ModelRef::Id(id) => id.to_string(),
        },
        name: measured.side.0,
        dataset_hash: measured.side.1,
    };
    Ok(Json(Comparison { a: side(two.a, a), b: side(two.b, b), same_dataset, metrics }))
}

/// A model's name and its data set's hash, and its figures.
#[derive(Debug, Clone)]
struct Measured {
    side: (String, Option<String>),
    best: Value,
    baseline: Value,
}

async fn measured(app: &App, id: ModelRef) -> Result<Measured> {
    let ModelRef::Id(id) = id else {
        let side = ("MediaPipe's own".to_owned(), None);
        return Ok(Measured { side, best: Value::Null, baseline: Value::Null });
    };
    let model = models::find(app, id).await?;
    let figures = |name: &str| model.metrics.as_ref().map_or(Value::Null, |m| m.0[name].clone());
    let (best, baseline) = (figures("best"), figures("baseline"));
    // A mix was measured on what its parent was trained on.
    let trained = match (model.kind, model.parent_id) {
        (ModelKind::Mixed, Some(parent)) => models::find(app, parent).await?,
        _ => model.clone(),
    };
    let dataset = provenance(app, &trained).await?.dataset;
    let hash = dataset.and_then(|dataset| dataset.content_hash);
    Ok(Measured { side: (model.name, hash), best, baseline })
}
