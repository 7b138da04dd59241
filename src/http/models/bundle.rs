//! `GET /models/{id}/bundle.zip`: a model in every format, with its card as JSON and as text.
//!
//! Nothing is stored: each file is written when its turn comes, and sent before the next one is written.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use super::downloads::{bundled, of_variant};
use super::export::{notes, read};
use super::provenance::{Provenance, provenance};
use super::view::{ModelRef, find};
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::conditional::sha256;
use crate::http::pipe::{self, Pipe};
use crate::http::problem::{Problem, Result};
use crate::model::layout::Variant;
use crate::model::tensors::Weights;
use crate::protocol::score_shift::ScoreShift;
use crate::weights::export::{Format, Notes};
use crate::weights::tflite;

/// The content of a bundle.
struct Content {
    weights: Weights,
    files: Vec<(String, Format)>,
    notes: Notes,
    card: Value,
}

/// Sends the bundle.
pub(super) async fn send(app: &App, id: ModelRef) -> Result<Response> {
    let content = content(app, id).await?;
    let patience = Duration::from_secs(app.config.server.request_timeout_s);
    let body = pipe::body("bundle", patience, move |pipe| write(pipe, &content));
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"bundle.zip\""),
    ];
    Ok((headers, body).into_response())
}

async fn content(app: &App, id: ModelRef) -> Result<Content> {
    let ModelRef::Id(id) = id else {
        let card = json!({"name": "MediaPipe BlazeFace, short range", "kind": "base", "provenance": Provenance::of_base()});
        let files = of_variant("model", Variant::Short);
        let weights = tflite::mediapipe().clone();
        return Ok(Content { weights, files, notes: Notes::default(), card });
    };
    let model = find(&app.db, id).await?;
    let provenance = provenance(app, &model).await?;
    let folder = app.jobs.model_dir(&model);
    let path = app.jobs.weights_file(&model);
    let path = path.ok_or_else(|| Problem::not_found(format_args!("weights of model {id}")))?;
    let (files, notes) = (bundled(&model), notes(&model, "best"));
    let card = json!({
        "format_version": 1,
        "id": id,
        "name": model.name,
        "kind": model.kind,
        "network": model.variant.layout().title,
        "variant": model.variant.0,
        "tags": model.tags.0,
        "created_at": model.created_at,
        "provenance": provenance,
        "score_shift": model.metrics.as_ref().map(|metrics| &metrics.0["score_shift"]),
        "metrics": model.metrics.map(|metrics| metrics.0),
        "recommended_threshold": notes.about.threshold,
        "source_files": model.files.0,
        "blazetune_version": env!("CARGO_PKG_VERSION"),
        "training": training_card(folder.join("card.json")).await,
    });
    let weights = blocking(move || read(&path)).await??;
    Ok(Content { weights, files, notes, card })
}

/// Returns the card that the training job wrote, if there is one.
async fn training_card(path: PathBuf) -> Option<Value> {
    let bytes = tokio::fs::read(path).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write(pipe: &mut Pipe, content: &Content) -> io::Result<()> {
    let mut zip = zip::ZipWriter::new_stream(pipe);
    let options = SimpleFileOptions::default();
    let mut sums = String::new();
    let mut put = |name: &str, bytes: &[u8], sums: &mut String| -> io::Result<()> {
        let _ = writeln!(sums, "{}  {name}", sha256(bytes)); // Writing to a string cannot fail.
        zip.start_file(name, options).map_err(io::Error::other)?;
        zip.write_all(bytes)
    };
    let mut left_out = Vec::new();
    for (name, format) in &content.files {
        match format.write(&content.weights, &content.notes) {
            Ok(bytes) => put(name, &bytes, &mut sums)?,
            Err(error) => left_out.push(format!("{name}: {error}")),
        }
    }
    let card = serde_json::to_vec_pretty(&content.card).map_err(io::Error::other)?;
    put("card.json", &card, &mut sums)?;
    put("MODEL_CARD.md", readable(content, &left_out).as_bytes(), &mut sums)?;
    let listed = sums.clone();
    put("SHA256SUMS", listed.as_bytes(), &mut sums)?;
    zip.finish().map_err(io::Error::other)?.into_inner().flush()
}

/// Returns the card as text for people.
fn readable(content: &Content, left_out: &[String]) -> String {
    let card = &content.card;
    let text = |value: &Value| match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let provenance = &card["provenance"];
    let mut out = format!(
        "# {}\n\n{}. {} model, exported by Blazetune {}.\n\n## Where it comes from\n\n",
        text(&card["name"]),
        content.weights.layout().title,
        text(&card["kind"]),
        env!("CARGO_PKG_VERSION")
    );
    let rows = [
        ("Based on", &provenance["parent_id"]),
        ("Job", &provenance["job"]["name"]),
        ("Data set", &provenance["dataset"]["name"]),
        ("Hash of its content", &provenance["dataset"]["content_hash"]),
        ("Created", &card["created_at"]),
        ("Tags", &card["tags"]),
        ("Licence", &provenance["licence"]),
    ];
    out.extend(rows.map(|(what, value)| format!("* {what}: {}\n", text(value))));
    if let Some(best) = card["metrics"]["best"].as_object() {
        out += "\n## Measured on the data set's validation pictures\n\n| | this model | base model |\n|---|---|---|\n";
        let before = &card["metrics"]["baseline"];
        let row = |(name, value): (&String, &Value)| {
            value.as_f64().map(|value| {
                let before = before[name].as_f64().map_or("–".to_owned(), |v| format!("{v:.3}"));
                format!("| {name} | {value:.3} | {before} |\n")
            })
        };
        out.extend(best.iter().filter_map(row));
    }
    if let Some(threshold) = card["recommended_threshold"].as_f64() {
        let _ = write!(out, "\nUse it with `min_detection_confidence={threshold:.2}`.\n");
    }
    if let Ok(shift) = ScoreShift::deserialize(&card["score_shift"]) {
        let _ = write!(out, "\n{}\n", shift.sentence());
    }
    out += "\n## Files\n\n`SHA256SUMS` has their checksums. Blazetune's docs/weights.md explains which program reads which file.\n";
    out.extend(left_out.iter().map(|reason| format!("\nLeft out: {reason}\n")));
    out
}
