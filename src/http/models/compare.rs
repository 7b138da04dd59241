//! `GET /models/compare?a=&b=`: two models' metrics, as measured by the jobs that trained them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::provenance::provenance;
use super::view::{BASE, ModelRef, find};
use crate::http::app::App;
use crate::http::extract::Query;
use crate::http::problem::Result;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Two {
    a: ModelRef,
    b: ModelRef,
}

/// Two models side by side.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Comparison {
    a: Side,
    b: Side,
    /// Whether both were measured on the same data set; otherwise their metrics cannot be compared.
    same_dataset: bool,
    metrics: Vec<Figure>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ComparedModel")]
struct Side {
    id: String,
    name: String,
    dataset_hash: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ComparedFigure")]
struct Figure {
    name: String,
    a: Option<f64>,
    b: Option<f64>,
    /// `b` minus `a`.
    difference: Option<f64>,
}

/// `GET /models/compare?a=&b=`: two models' metrics on the validation pictures of the jobs that trained them.
pub(super) async fn compare(
    State(app): State<Arc<App>>,
    Query(two): Query<Two>,
) -> Result<Json<Comparison>> {
    let (mut a, mut b) = (measured(&app, two.a).await?, measured(&app, two.b).await?);
    // The base model's metrics come from the other model's job, which measured both models on the same pictures.
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

/// A model's metrics.
#[derive(Debug, Clone)]
struct Measured {
    /// The model's name and the hash of its data set.
    side: (String, Option<String>),
    best: Value,
    baseline: Value,
}

async fn measured(app: &App, id: ModelRef) -> Result<Measured> {
    let ModelRef::Id(id) = id else {
        let side = ("MediaPipe".to_owned(), None);
        return Ok(Measured { side, best: Value::Null, baseline: Value::Null });
    };
    let model = find(&app.db, id).await?;
    let figures = |name: &str| model.metrics.as_ref().map_or(Value::Null, |m| m.0[name].clone());
    let (best, baseline) = (figures("best"), figures("baseline"));
    // The job that made the model also measured it.
    let dataset = provenance(app, &model).await?.dataset;
    let hash = dataset.and_then(|dataset| dataset.content_hash);
    Ok(Measured { side: (model.name, hash), best, baseline })
}
