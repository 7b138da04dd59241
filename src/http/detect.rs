//! `POST /models`, a weights file, and `POST /models/{id}/detect`, a picture.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::app::{App, blocking};
use super::extract::{Path, Query, content_type};
use super::models::{self, ModelRef};
use super::problem::{Problem, Result};
use super::uploads::NameQuery;
use crate::data::read_upright;
use crate::eval::detect::Detector;
use crate::eval::suppression::Detection;
use crate::train::run::chain;
use crate::weights;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/models", post(create)).route("/models/{id}/detect", post(detect))
}

/// `POST /models?name=`
async fn create(
    State(app): State<Arc<App>>,
    Query(query): Query<NameQuery>,
    request: Request,
) -> Result<Response> {
    let name = query.name()?.unwrap_or_else(|| "Unnamed".to_owned());
    let bytes = whole(request.into_body(), app.config.limits.weights_bytes).await?;
    models::create(&app, name, bytes).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectQuery {
    min_score: Option<f32>,
}

/// What was found in a picture.
#[derive(Debug, Serialize)]
struct Detections {
    width: u32,
    height: u32,
    faces: Vec<Detection>,
    latency_ms: f64,
}

/// As `MediaPipe`'s `FaceDetector` has it.
const MIN_SCORE: f32 = 0.5;

/// `POST /models/{id}/detect?min_score=`: the faces in a picture, best first.
async fn detect(
    State(app): State<Arc<App>>,
    Path(id): Path<ModelRef>,
    Query(query): Query<DetectQuery>,
    request: Request,
) -> Result<Json<Detections>> {
    let min_score = query.min_score.unwrap_or(MIN_SCORE);
    if !(0.0..=1.0).contains(&min_score) {
        let text = format!("min_score is {min_score}; it has to be from 0 to 1");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let kind = content_type(request.headers());
    if !kind.starts_with("image/") && kind != "application/octet-stream" {
        return Err(Problem::wrong_type(
            "send a picture as the body, with the header Content-Type: image/jpeg (or the like)",
        ));
    }
    let detector = app.detectors.of(&app, id).await?;
    let bytes = whole(request.into_body(), app.config.limits.picture_bytes).await?;
    let megapixels = app.config.limits.picture_megapixels;
    let _turn = app.detectors.turns.acquire().await.map_err(|error| Problem::internal(&error))?;
    let found = blocking(move || find_faces(&detector, &bytes, megapixels, min_score)).await??;
    Ok(Json(found))
}

fn find_faces(
    detector: &Mutex<Detector>,
    bytes: &[u8],
    megapixels: u32,
    min_score: f32,
) -> Result<Detections> {
    let picture = read_upright(bytes, megapixels).map_err(|error| {
        let text = format!("the picture {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    })?;
    let detector = detector.lock().unwrap_or_else(PoisonError::into_inner);
    let began = Instant::now();
    let faces = detector.detect(&picture, min_score);
    let latency_ms = began.elapsed().as_secs_f64() * 1000.0;
    Ok(Detections { width: picture.width(), height: picture.height(), faces, latency_ms })
}

/// A body of at most so many bytes.
async fn whole(body: Body, limit_bytes: u64) -> Result<Bytes> {
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    to_bytes(body, limit).await.map_err(|_| Problem::too_large(limit_bytes))
}

/// Models that were asked last, ready.
#[derive(Debug)]
pub(super) struct Detectors {
    ready: Mutex<VecDeque<(ModelRef, Shared)>>,
    /// Pictures at once; each takes threads of its own.
    pub(super) turns: Semaphore,
}

type Shared = Arc<Mutex<Detector>>;

const READY: usize = 4;
const TURNS: usize = 2;

impl Default for Detectors {
    fn default() -> Self {
        Self { ready: Mutex::default(), turns: Semaphore::new(TURNS) }
    }
}

impl Detectors {
    async fn of(&self, app: &App, id: ModelRef) -> Result<Shared> {
        if id != ModelRef::Base {
            self.forget_unless_there(app, id).await?;
        }
        if let Some((_, detector)) = self.ready().iter().find(|(ready, _)| *ready == id) {
            return Ok(detector.clone());
        }
        let detector = Arc::new(Mutex::new(load(app, id).await?));
        let mut ready = self.ready();
        ready.truncate(READY - 1);
        ready.push_front((id, detector.clone()));
        Ok(detector)
    }

    /// A model may have been deleted since.
    async fn forget_unless_there(&self, app: &App, id: ModelRef) -> Result<()> {
        let ModelRef::Id(model) = id else { return Ok(()) };
        match models::find(app, model).await {
            Ok(_) => Ok(()),
            Err(problem) => {
                self.ready().retain(|(ready, _)| *ready != id);
                Err(problem)
            }
        }
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, VecDeque<(ModelRef, Shared)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn load(app: &App, id: ModelRef) -> Result<Detector> {
    let ModelRef::Id(id) = id else {
        return blocking(|| Detector::new(weights::tflite::mediapipe())).await;
    };
    let model = models::find(app, id).await?;
    let path = app.jobs.weights_file(&model);
    let path =
        path.ok_or_else(|| Problem::not_found(format_args!("weights file of model {id}")))?;
    blocking(move || {
        let bytes = std::fs::read(&path)?;
        let weights = weights::load(&bytes).map_err(|error| {
            let text = format!("the weights of model {id} cannot be read: {}", chain(&error));
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
        })?;
        Ok(Detector::new(&weights))
    })
    .await?
}
