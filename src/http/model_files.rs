//! `GET /models/{id}/{file}`: files that are there, the same weights in other formats, and the bundle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use super::app::{App, blocking};
use super::bundle::{self, BUNDLE};
use super::conditional::sha256;
use super::extract::Path;
use super::files::{named, send, send_bytes};
use super::models::{self, BASE, ModelRef};
use super::problem::{Problem, Result};
use crate::model::layout::Variant;
use crate::model::tensors::Weights;
use crate::store::models::{Model, ModelKind};
use crate::train::events::Artifact;
use crate::train::run::chain;
use crate::weights::export::{Format, Notes};
use crate::weights::tflite::About;
use crate::weights::{self, checkpoint, pth};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models/{id}/{file}", get(model_file))
}

/// Weights are best read from these, the first first.
const SOURCES: [Format; 3] = [Format::Safetensors, Format::Pth, Format::Tflite];
/// The last epoch with BatchNorm, of a job that trained with it.
const UNFOLDED: &str = "last.bn.pth";
/// Before the endings of `MediaPipe`'s own.
const BASE_STEM: &str = "model";

/// `GET /models/{id}/{file}`
async fn model_file(
    State(app): State<Arc<App>>,
    Path((id, file)): Path<(ModelRef, String)>,
    request: Request,
) -> Result<Response> {
    if file == BUNDLE {
        return bundle::send(&app, id).await;
    }
    let ModelRef::Id(id) = id else { return base_file(&file, &request) };
    let model = models::find(&app, id).await?;
    let folder = app.jobs.model_dir(&model);
    if let Some(artifact) = model.files.iter().find(|artifact| artifact.name == file) {
        return send(folder.join(&artifact.name), artifact, request).await;
    }
    let bytes = if let (UNFOLDED, Some(job)) = (file.as_str(), model.job_id) {
        unfolded(app.jobs.dir(job).last_checkpoint()).await?
    } else if let Some((source, format)) = source(&model, &file) {
        written(folder.join(source), format, notes(&model, &file)).await?
    } else {
        named(&listed(&model), &file)?;
        return Err(Problem::not_found(format_args!("weights for {file} here")));
    };
    let artifact = Artifact { name: file, size_bytes: bytes.len() as u64, sha256: sha256(&bytes) };
    Ok(send_bytes(&artifact, bytes, request.headers()))
}

fn base_file(file: &str, request: &Request) -> Result<Response> {
    let artifact = models::base_file();
    if file == artifact.name {
        return Ok(send_bytes(&artifact, models::base_bytes().to_vec(), request.headers()));
    }
    let format = Format::of_file(file).filter(|(stem, _)| *stem == BASE_STEM);
    let (_, format) = format.ok_or_else(|| {
        let there = of_base().join(", ");
        Problem::not_found(format_args!("file {file:?} here; there is: {there}"))
    })?;
    let about = about(BASE, None);
    let notes = Notes { about, texts: BTreeMap::from([("name".to_owned(), BASE.to_owned())]) };
    let bytes = write(weights::tflite::mediapipe(), format, &notes)?;
    let size_bytes = bytes.len() as u64;
    let artifact = Artifact { name: file.to_owned(), size_bytes, sha256: sha256(&bytes) };
    Ok(send_bytes(&artifact, bytes, request.headers()))
}

/// Every name that `GET /models/{id}/…` answers to.
pub(super) fn downloads(model: &Model) -> Vec<String> {
    let mut names: Vec<String> = model.files.iter().map(|file| file.name.clone()).collect();
    for stem in ["best", "last", "model"] {
        for format in Format::ALL {
            let name = format!("{stem}.{}", format.ending());
            if format.fits(model.variant.0)
                && !names.contains(&name)
                && source(model, &name).is_some()
            {
                names.push(name);
            }
        }
    }
    if model.kind == ModelKind::Trained {
        names.push(UNFOLDED.to_owned());
    }
    names.push(BUNDLE.to_owned());
    names
}

/// As [`downloads`], of `MediaPipe`'s own.
pub(super) fn of_base() -> Vec<String> {
    let names = Format::ALL.map(|format| format!("{BASE_STEM}.{}", format.ending()));
    [models::base_file().name].into_iter().chain(names).chain([BUNDLE.to_owned()]).collect()
}

fn listed(model: &Model) -> Vec<Artifact> {
    let artifact = |name| Artifact { name, size_bytes: 0, sha256: String::new() };
    downloads(model).into_iter().map(artifact).collect()
}

/// The file that a file of this name can be written from, and the format it asks for.
fn source<'a>(model: &'a Model, name: &str) -> Option<(&'a str, Format)> {
    let (stem, format) = Format::of_file(name)?;
    let listed = |source: &Format| {
        let wanted = format!("{stem}.{}", source.ending());
        model.files.iter().find(|file| file.name == wanted)
    };
    Some((&SOURCES.iter().find_map(listed)?.name, format))
}

async fn written(path: PathBuf, format: Format, notes: Notes) -> Result<Vec<u8>> {
    blocking(move || {
        let weights = read(&path)?;
        write(&weights, format, &notes)
    })
    .await?
}

pub(super) fn read(path: &std::path::Path) -> Result<Weights> {
    weights::load(&std::fs::read(path)?).map_err(|error| unprocessable(&error))
}

pub(super) fn write(weights: &Weights, format: Format, notes: &Notes) -> Result<Vec<u8>> {
    format.write(weights, notes).map_err(|error| unprocessable(&error))
}

async fn unfolded(checkpoint: PathBuf) -> Result<Vec<u8>> {
    let gone = "training checkpoint of this model any more, and only that has BatchNorm";
    blocking(move || {
        let bytes = match std::fs::read(&checkpoint) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Problem::not_found(gone));
            }
            bytes => bytes?,
        };
        let arrays = checkpoint::unfolded(&bytes).map_err(|error| unprocessable(&error))?;
        let arrays =
            arrays.ok_or_else(|| Problem::not_found("BatchNorm in what this job trained"))?;
        pth::write_unfolded(&arrays).map_err(|error| unprocessable(&error))
    })
    .await?
}

fn unprocessable(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, chain(error))
}

/// What an exported file says about its model.
pub(super) fn notes(model: &Model, file: &str) -> Notes {
    let metrics = model.metrics.as_ref().map(|metrics| &metrics.0["best"]);
    // The advice is that of the best epoch; another file's weights have other scores.
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

fn about(name: &str, threshold: Option<f32>) -> About {
    About {
        name: name.to_owned(),
        description: "BlazeFace, exported by Blazetune".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        threshold,
    }
}

/// What a bundle holds of each model: its best weights in every format that fits.
pub(super) fn bundled(model: &Model) -> Vec<(String, Format)> {
    let stem = if model.files.iter().any(|file| file.name.starts_with("best.")) {
        "best"
    } else {
        "model"
    };
    of_variant(stem, model.variant.0)
}

/// As [`bundled`], of `MediaPipe`'s own.
pub(super) fn of_variant(stem: &str, variant: Variant) -> Vec<(String, Format)> {
    let fitting = Format::ALL.into_iter().filter(|format| format.fits(variant));
    fitting.map(|format| (format!("{stem}.{}", format.ending()), format)).collect()
}
