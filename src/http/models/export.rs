//! Writes a model's weights in other formats, with metadata.

use std::path::Path;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::error::chain;
use crate::http::problem::{Problem, Result};
use crate::model::tensors::Weights;
use crate::protocol::score_shift::ScoreShift;
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
    // The metrics, the shift and the threshold are those of the result; other weights give other scores.
    let metrics = model.metrics.as_ref().filter(|_| !file.starts_with("last"));
    let best = metrics.map(|metrics| &metrics.0["best"]);
    let shift: Option<ScoreShift> =
        metrics.and_then(|metrics| ScoreShift::deserialize(&metrics.0["score_shift"]).ok());
    let threshold = best.and_then(|best| best["best_threshold"].as_f64());
    let threshold = ScoreShift::recommended(shift.as_ref(), threshold).map(|t| t as f32);
    let logits = shift.map_or(0.0, |shift| shift.logits);
    let sources = model.files.iter().map(|file| format!("{} {}", file.sha256, file.name));
    let texts = [
        ("name", model.name.clone()),
        ("model_id", model.id.to_string()),
        ("network", model.variant.layout().title.to_owned()),
        ("metrics", json!(best).to_string()),
        ("score_shift", json!(shift).to_string()),
        ("source_sha256", sources.collect::<Vec<_>>().join("\n")),
        ("blazetune_version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let texts = texts.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
    Notes { about: About::exported(&model.name, threshold, logits), texts }
}
