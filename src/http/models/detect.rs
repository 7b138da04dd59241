//! `POST /models/{id}/detect`: detects the faces in a picture.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::ModelRef;
use crate::data::read_upright;
use crate::eval::detect::Letterboxed;
use crate::eval::suppression::Detection;
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::extract::{Path, Query, content_type, whole};
use crate::http::problem::{Problem, Result};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models/{id}/detect", post(detect))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectQuery {
    min_score: Option<f32>,
}

/// The faces detected in a picture.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Detections {
    width: u32,
    height: u32,
    faces: Vec<Detection>,
    latency_ms: f64,
}

/// The default of `MediaPipe`'s `FaceDetector`.
const MIN_SCORE: f32 = 0.5;
/// In any picture, only a few anchors score above this.
const FEW_ABOVE: f32 = 0.1;

/// `POST /models/{id}/detect?min_score=`: the faces in a picture, highest score first.
async fn detect(
    State(app): State<Arc<App>>,
    Path(id): Path<ModelRef>,
    Query(query): Query<DetectQuery>,
    request: Request,
) -> Result<Json<Detections>> {
    let min_score = query.min_score.unwrap_or(MIN_SCORE);
    if !(0.0..=1.0).contains(&min_score) {
        let text = format!("min_score is {min_score}; it must be from 0 to 1");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let kind = content_type(request.headers());
    if !kind.starts_with("image/") && kind != "application/octet-stream" {
        return Err(Problem::wrong_type(
            "send a picture as the body, with the header Content-Type: image/jpeg (or similar)",
        ));
    }
    let _room = app.detectors.enter()?;
    let detector = app.detectors.of(&app.db, &app.jobs, id).await?;
    let bytes = in_time(&app, whole(request.into_body(), app.config.limits.picture_bytes)).await?;
    let megapixels = app.config.limits.picture_megapixels;
    let turn = app.detectors.turns.clone().acquire_owned().await;
    let turn = turn.map_err(|error| Problem::internal(&error))?;
    let side = detector.input_size();
    let picture = blocking(move || {
        let _turn = turn;
        decode(&bytes, megapixels, side)
    });
    let picture = picture.await??;
    let began = Instant::now();
    let letterbox = picture.letterbox();
    let (width, height) = picture.size();
    let answer = app.detectors.batcher.submit(detector, picture).await;
    let answer = answer.map_err(|error| Problem::internal(&error))?;
    let find = move || answer.faces(&letterbox, min_score);
    // Suppression is quick with a few candidates but slow with hundreds, because it compares every pair.
    let faces = if min_score < FEW_ABOVE { blocking(find).await? } else { find() };
    let latency_ms = began.elapsed().as_secs_f64() * 1000.0;
    Ok(Json(Detections { width, height, faces, latency_ms }))
}

fn decode(bytes: &[u8], megapixels: u32, side: usize) -> Result<Letterboxed> {
    let picture = read_upright(bytes, megapixels).map_err(|error| {
        let text = format!("the picture {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    })?;
    Ok(Letterboxed::new(&picture, side))
}

/// Limits the time for receiving a picture, so that a slow client does not occupy a slot forever.
async fn in_time<T>(app: &App, reading: impl Future<Output = Result<T>>) -> Result<T> {
    let limit_s = app.config.server.request_timeout_s;
    let read = tokio::time::timeout(Duration::from_secs(limit_s), reading).await;
    read.unwrap_or_else(|_| {
        let text = format!("the picture did not arrive within {limit_s} seconds");
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, text))
    })
}
