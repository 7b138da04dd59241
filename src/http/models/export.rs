//! Writes a model's weights in other formats, with metadata.

use std::path::Path;

use axum::http::StatusCode;
use serde_json::json;

use crate::error::chain;
use crate::http::problem::{Problem, Result};
use crate::model::tensors::Weights;
use crate::store::models::Model;
use crate::weights;
use crate::weights::export::{Format, Notes};
use crate::weights::tflite::About;

pub(super) fn read(path: &Path) -> Result<Weights> {
    weights::load(&std::fs::read(path)?).map_err(|error| unprocessable(&error))
}

pub(super) fn write(weights: &Weights, format: Format, notes: &Notes) -> Result<Vec<u8>> {
    format.write(weights, notes).map_err(|error| unprocessable(&error))
}

pub(super) fn unprocessable(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, chain(error))
}

/// Returns the metadata to write into `file`.
pub(super) fn notes(model: &Model, file: &str) -> Notes {
    let metrics = model.metrics.as_ref().map(|metrics| &metrics.0["best"]);
    // The metrics and the threshold are those of the best epoch; other weights give other scores.
    let best = metrics.filter(|_| !file.starts_with("last"));
    let threshold = best.and_then(|best| best["best_threshold"].as_f64()).map(|t| t as f32);
    let sources = model.files.iter().map(|file| format!("{} {}", file.sha256, file.name));
    let texts = [
        ("name", model.name.clone()),
        ("model_id", model.id.to_string()),
        ("network", model.variant.layout().title.to_owned()),
        ("metrics", json!(best).to_string()),
        ("source_sha256", sources.collect::<Vec<_>>().join("\n")),
        ("blazetune_version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let texts = texts.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
    Notes { about: about(&model.name, threshold), texts }
}

pub(super) fn about(name: &str, threshold: Option<f32>) -> About {
    About {
        name: name.to_owned(),
        description: "BlazeFace, exported by Blazetune".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        threshold,
    }
}
