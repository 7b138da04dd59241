//! `POST /models/{id}/mix`: more or less of the untouched model, without training.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

use super::view::{ModelRef, ModelView, find};
use crate::disk;
use crate::error::chain;
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::extract::{JsonBody, Path};
use crate::http::problem::{Problem, Result, Wrong};
use crate::model::layout::Variant;
use crate::protocol::events::Artifact;
use crate::protocol::train_spec::Loss;
use crate::store;
use crate::store::ids::ModelId;
use crate::store::models::{Model, ModelKind, NewModel};
use crate::train::mixing;
use crate::weights;
use crate::worker::artifacts::{self, UNMIXED};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models/{id}/mix", post(mix))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixBody {
    /// Share of the untouched weights, 0..1.
    retain: f64,
    name: Option<String>,
}

/// A model of its own, from the tuned weights of this one; 201.
async fn mix(
    State(app): State<Arc<App>>,
    Path(id): Path<ModelRef>,
    body: JsonBody<MixBody>,
) -> Result<Response> {
    let MixBody { retain, name } = body.value;
    if !(0.0..=1.0).contains(&retain) {
        let detail = "has to be from 0 (the tuned weights alone) to 1 (the untouched ones)";
        return Err(Problem::invalid(vec![Wrong {
            pointer: "/retain".to_owned(),
            detail: detail.to_owned(),
        }]));
    }
    let ModelRef::Id(id) = id else {
        return Err(Problem::conflict(
            "the untouched model cannot be mixed with itself; name a model that was trained",
        ));
    };
    let model = source(&app, find(&app.db, id).await?).await?;
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("{}, {:.0} % kept", model.name, retain * 100.0));
    let weights = tuned_weights(&app, &model)?;
    let dataset = dataset(&app, &model).await?;
    let (new, parent_id) = (ModelId::new(), model.id);
    let folder = app.folder.model(new);
    let _turn = app.detectors.turns.acquire().await.map_err(|error| Problem::internal(&error))?;
    let made = blocking(move || make(&folder, &weights, retain, dataset.as_deref())).await??;
    let (files, metrics) = made;
    let row = NewModel {
        id: new,
        name: &name,
        job_id: None,
        parent_id: Some(parent_id),
        files: &files,
        metrics: metrics.as_ref(),
    };
    store::models::insert(&app.db, row).await?;
    let location = [(header::LOCATION, format!("/api/v1/models/{new}"))];
    let view = ModelView::from(find(&app.db, new).await?);
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// A mix is mixed anew from what it was mixed from.
async fn source(app: &App, model: Model) -> Result<Model> {
    if model.variant.0 != Variant::Short {
        let title = model.variant.layout().title;
        return Err(Problem::conflict(format!(
            "{title} cannot be mixed with the short-range model"
        )));
    }
    match (model.kind, model.parent_id) {
        (ModelKind::Mixed, Some(parent)) => find(&app.db, parent).await,
        (ModelKind::Mixed, None) => {
            let text = format!("the model that {} was mixed from was deleted", model.id);
            Err(Problem::conflict(text))
        }
        (ModelKind::Trained | ModelKind::Imported, _) => Ok(model),
    }
}

fn tuned_weights(app: &App, model: &Model) -> Result<PathBuf> {
    let unmixed = model.files.iter().any(|file| file.name == UNMIXED);
    let file = if unmixed {
        Some(app.jobs.model_dir(model).join(UNMIXED))
    } else {
        app.jobs.weights_file(model)
    };
    file.ok_or_else(|| Problem::conflict(format!("the model {} has no weights file", model.id)))
}

/// What the model was trained on, while it is there.
async fn dataset(app: &App, model: &Model) -> Result<Option<PathBuf>> {
    let (ModelKind::Trained, Some(job)) = (model.kind, model.job_id) else { return Ok(None) };
    let job = store::jobs::find(&app.db, job).await?;
    Ok(job.and_then(|job| job.dataset_id).map(|id| app.folder.dataset(id)))
}

/// Writes the files of a mix into `folder`; nothing is left there after a failure.
fn make(
    folder: &FilePath,
    weights: &FilePath,
    retain: f64,
    dataset: Option<&FilePath>,
) -> Result<(Vec<Artifact>, Option<Value>)> {
    let tuned = weights::load(&std::fs::read(weights)?).map_err(|e| Problem::internal(&e))?;
    let mixed = mixing::remix(&tuned, retain, dataset, &Loss::default(), &|| {});
    let (mixed, measured) = mixed.map_err(|error| Problem::internal(&error))?;
    let metrics = measured.map(|figures| {
        json!({
            "epoch": null,
            "best": figures.best,
            "baseline": figures.baseline,
            "retention": {"retain": retain, "reason": "requested"},
        })
    });
    std::fs::create_dir_all(folder)?;
    let metadata = BTreeMap::from([
        ("retain".to_owned(), retain.to_string()),
        ("metrics".to_owned(), json!(metrics).to_string()),
    ]);
    let written = artifacts::write_formats(folder, "best", &mixed, metadata);
    match written {
        Ok(files) => Ok((files, metrics)),
        Err(error) => {
            disk::remove_folder(folder)?;
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, chain(&error)))
        }
    }
}
