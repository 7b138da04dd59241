//! `GET /models/{id}/{file}`: a model's stored files, its weights in other formats, and its bundle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use super::bundle;
use super::downloads::{self, BASE_STEM, BUNDLE, UNFOLDED, base_bytes, source};
use super::export::{notes, read, unprocessable, write};
use super::view::{BASE, ModelRef, find};
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::conditional::sha256;
use crate::http::extract::Path;
use crate::http::problem::{Problem, Result};
use crate::http::send::{named, send, send_bytes};
use crate::protocol::events::Artifact;
use crate::store::models::Model;
use crate::weights::export::{Format, Notes};
use crate::weights::tflite::About;
use crate::weights::{self, checkpoint, pth};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models/{id}/{file}", get(model_file))
}

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
    let model = find(&app.db, id).await?;
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
        return Err(Problem::not_found(format_args!("weights file from which to write {file}")));
    };
    let artifact = Artifact { name: file, size_bytes: bytes.len() as u64, sha256: sha256(&bytes) };
    Ok(send_bytes(&artifact, bytes, request.headers()))
}

fn base_file(file: &str, request: &Request) -> Result<Response> {
    let artifact = downloads::base_file();
    if file == artifact.name {
        return Ok(send_bytes(&artifact, base_bytes().to_vec(), request.headers()));
    }
    let format = Format::of_file(file).filter(|(stem, _)| *stem == BASE_STEM);
    let (_, format) = format.ok_or_else(|| {
        let there = downloads::of_base().join(", ");
        Problem::not_found(format_args!("file {file:?} here; the files are: {there}"))
    })?;
    let about = About::exported(BASE, None, 0.0);
    let notes = Notes { about, texts: BTreeMap::from([("name".to_owned(), BASE.to_owned())]) };
    let bytes = write(weights::tflite::mediapipe(), format, &notes)?;
    let size_bytes = bytes.len() as u64;
    let artifact = Artifact { name: file.to_owned(), size_bytes, sha256: sha256(&bytes) };
    Ok(send_bytes(&artifact, bytes, request.headers()))
}

fn listed(model: &Model) -> Vec<Artifact> {
    let artifact = |name| Artifact { name, size_bytes: 0, sha256: String::new() };
    downloads::of(model).into_iter().map(artifact).collect()
}

async fn written(path: PathBuf, format: Format, notes: Notes) -> Result<Vec<u8>> {
    blocking(move || {
        let weights = read(&path)?;
        write(&weights, format, &notes)
    })
    .await?
}

async fn unfolded(checkpoint: PathBuf) -> Result<Vec<u8>> {
    let gone = "training checkpoint for this model any more, and only the checkpoint has BatchNorm";
    blocking(move || {
        let bytes = match std::fs::read(&checkpoint) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Problem::not_found(gone));
            }
            bytes => bytes?,
        };
        let arrays = checkpoint::unfolded(&bytes).map_err(|error| unprocessable(&error))?;
        let arrays =
            arrays.ok_or_else(|| Problem::not_found("BatchNorm in the weights of this job"))?;
        pth::write_unfolded(&arrays).map_err(|error| unprocessable(&error))
    })
    .await?
}
