//! `PATCH /models/{id}`, `DELETE /models/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::patch;
use serde::Deserialize;
use tracing::warn;

use super::view::{ModelRef, ModelView, find};
use crate::disk;
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::extract::{JsonBody, Path};
use crate::http::fields::wrong_name;
use crate::http::problem::{Problem, Result, Wrong};
use crate::store;
use crate::store::ids::ModelId;
use crate::store::models::ModelKind;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models/{id}", patch(describe).delete(delete))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: Option<String>,
    tags: Option<Vec<String>>,
}

const MOST_TAGS: usize = 20;

const LONGEST_TAG: usize = 40;

/// `PATCH /models/{id}`: changes the name or the tags.
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
        let detail = format!("must be at most {MOST_TAGS} tags of 1 to {LONGEST_TAG} characters");
        wrong.push(Wrong { pointer: "/tags".to_owned(), detail });
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let name = name.as_deref().map(str::trim);
    store::models::describe(&app.db, id, name, tags.as_deref()).await?;
    Ok(Json(find(&app.db, id).await?.into()))
}

/// `DELETE /models/{id}`
async fn delete(State(app): State<Arc<App>>, Path(id): Path<ModelRef>) -> Result<StatusCode> {
    let id = own(id, "deleted")?;
    let model = find(&app.db, id).await?;
    if let (ModelKind::Mixed, Some(job)) = (model.kind, model.job_id) {
        app.jobs.delete_job(job).await?; // The job made nothing but this model.
        return Ok(StatusCode::NO_CONTENT);
    }
    if let Some(job) = model.job_id {
        let text = format!("model {id} belongs to job {job}; delete the job to delete its model");
        return Err(Problem::conflict(text));
    }
    if !store::models::delete_unused(&app.db, id).await? {
        let needed_by = store::models::dependents(&app.db, id).await?.join(", ");
        let text = format!("model {id} is in use by {needed_by}; cancel or delete those first");
        return Err(Problem::conflict(text));
    }
    let folder = app.folder.model(id);
    if let Err(error) = blocking(move || disk::remove_folder(&folder)).await? {
        warn!("cannot delete the files of model {id}: {error}"); // They do no harm: nothing refers to them.
    }
    Ok(StatusCode::NO_CONTENT)
}

fn own(id: ModelRef, what: &str) -> Result<ModelId> {
    match id {
        ModelRef::Id(id) => Ok(id),
        ModelRef::Base => Err(Problem::conflict(format!("the MediaPipe model cannot be {what}"))),
    }
}
