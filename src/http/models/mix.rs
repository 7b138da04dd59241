//! `POST /models/{id}/mix`: mixes a model with the base model, without training.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;

use super::view::{ModelRef, find};
use crate::http::app::App;
use crate::http::extract::{JsonBody, Path};
use crate::http::fields::wrong_name;
use crate::http::idempotency::idempotency;
use crate::http::jobs::view;
use crate::http::problem::{Problem, Result, Wrong};
use crate::jobs::{Submission, Task, When};
use crate::model::layout::Variant;
use crate::protocol::mix_spec::MixParams;
use crate::store;
use crate::store::ids::DatasetId;
use crate::store::models::{Model, ModelKind};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models/{id}/mix", post(mix))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixBody {
    /// Share of the base model's weights, 0..1.
    retain: f64,
    name: Option<String>,
    /// Whether to shift the mix's scores so that 0.5 is the threshold to use. By default, if there are pictures to
    /// measure it on.
    calibrate_scores: Option<bool>,
    /// Data set to measure the mix on. By default the one that the model was trained on.
    dataset_id: Option<DatasetId>,
}

/// Queues a job that mixes this model's fine-tuned weights with the base model's. Responds with 202. The mix exists
/// once the job has completed.
async fn mix(
    State(app): State<Arc<App>>,
    Path(id): Path<ModelRef>,
    headers: HeaderMap,
    JsonBody { value, bytes }: JsonBody<MixBody>,
) -> Result<Response> {
    let MixBody { retain, name, calibrate_scores, dataset_id } = value;
    let mut wrong: Vec<Wrong> = name.as_deref().and_then(wrong_name).into_iter().collect();
    if !(0.0..=1.0).contains(&retain) {
        let detail = format!(
            "is {retain}; it must be from 0 (only the fine-tuned weights) to 1 (only the base model)"
        );
        wrong.push(Wrong { pointer: "/retain".to_owned(), detail });
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let ModelRef::Id(id) = id else {
        return Err(Problem::conflict(
            "the base model cannot be mixed with itself; choose a trained model",
        ));
    };
    let request = [id.to_string().as_bytes(), &bytes].concat();
    let idempotency = idempotency(&headers, &request)?;
    let model = find(&app.db, id).await?;
    let name = name.map_or_else(
        || format!("{}, {:.0} % kept", model.name, retain * 100.0),
        |name| name.trim().to_owned(),
    );
    let source = source(&app, model).await?;
    let dataset_id = match dataset_id {
        Some(id) => Some(id),
        None => dataset(&app, &source).await?,
    };
    if dataset_id.is_none() && calibrate_scores == Some(true) {
        let detail = "is missing: scores are calibrated on the validation pictures of a data set, and \
                      the data set that this model was trained on is not here; name another, or \
                      leave calibrate_scores out";
        return Err(Problem::invalid_value("/dataset_id", detail));
    }
    let calibrate_scores = calibrate_scores.unwrap_or(dataset_id.is_some());
    let new = Submission {
        name,
        dataset_id,
        task: Task::Mix(MixParams { model_id: source.id.into(), retain, calibrate_scores }),
        when: When::default(),
    };
    let job = app.jobs.submit(new, idempotency).await?;
    Ok(view::created(&app.jobs, StatusCode::ACCEPTED, job))
}

/// Returns the fine-tuned model to mix: for a mix, the model that it was mixed from.
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
            let text = format!("the model from which {} was mixed has been deleted", model.id);
            Err(Problem::conflict(text))
        }
        (ModelKind::Trained | ModelKind::Imported, _) => Ok(model),
    }
}

/// Returns the data set that the model was trained on, if it still exists.
async fn dataset(app: &App, model: &Model) -> Result<Option<DatasetId>> {
    let Some(job) = model.job_id else { return Ok(None) };
    Ok(store::jobs::find(&app.db, job).await?.and_then(|job| job.dataset_id))
}
