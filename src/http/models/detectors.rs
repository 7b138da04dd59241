//! The most recently used models, loaded and ready to run.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use image::RgbImage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::batcher::Batcher;
use super::view::{ModelRef, find};
use crate::error::chain;
use crate::eval::detect::Detector;
use crate::http::blocking::blocking;
use crate::http::problem::{Problem, Result};
use crate::jobs::Jobs;
use crate::store;
use crate::weights;

/// The loaded models, and limits on concurrent detection.
#[derive(Debug)]
pub(in crate::http) struct Detectors {
    /// Loaded models, the most recently used first.
    ready: Mutex<VecDeque<(ModelRef, Arc<Detector>)>>,
    /// Limits the number of detection requests at once, including those that wait.
    room: Arc<Semaphore>,
    /// Limits the number of pictures decoded at once; each keeps one core busy.
    pub(super) turns: Arc<Semaphore>,
    pub(super) batcher: Batcher,
}

/// Number of models to keep loaded; each takes a few megabytes.
const READY: usize = 8;
/// Seconds that a rejected client should wait before it tries again.
const RETRY_AFTER_S: u32 = 1;

impl Detectors {
    /// Allows at most `most` requests at once.
    pub(in crate::http) fn new(most: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            ready: Mutex::default(),
            room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            turns: Arc::new(Semaphore::new(cores.max(2))),
            batcher: Batcher::start(),
        }
    }

    /// Admits a request until its permit is dropped. Returns a 503 if too many are waiting.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().map_err(|_| {
            let text = "too many detection requests are waiting; try again shortly";
            Problem::busy(RETRY_AFTER_S, text)
        })
    }

    /// Returns a model, loading it if necessary.
    pub(super) async fn of(
        &self,
        db: &store::Db,
        jobs: &Jobs,
        id: ModelRef,
    ) -> Result<Arc<Detector>> {
        if id != ModelRef::Base {
            self.forget_unless_there(db, id).await?;
        }
        if let Some(detector) = self.find(id) {
            return Ok(detector);
        }
        let loaded = Arc::new(load(db, jobs, id).await?);
        // Another request may have loaded it in the meantime. Batches form only if a model has a single detector.
        if let Some(detector) = self.find(id) {
            return Ok(detector);
        }
        let mut ready = self.ready();
        ready.truncate(READY - 1);
        ready.push_front((id, loaded.clone()));
        Ok(loaded)
    }

    fn find(&self, id: ModelRef) -> Option<Arc<Detector>> {
        let mut ready = self.ready();
        let at = ready.iter().position(|(ready, _)| *ready == id)?;
        let found = ready.remove(at)?;
        let detector = found.1.clone();
        ready.push_front(found);
        Some(detector)
    }

    /// Returns an error if the model has been deleted, and removes it from the loaded models.
    async fn forget_unless_there(&self, db: &store::Db, id: ModelRef) -> Result<()> {
        let ModelRef::Id(model) = id else { return Ok(()) };
        match find(db, model).await {
            Ok(_) => Ok(()),
            Err(problem) => {
                self.ready().retain(|(ready, _)| *ready != id);
                Err(problem)
            }
        }
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<(ModelRef, Arc<Detector>)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads a model and runs it once, so that the first request is not slower than later ones.
async fn load(db: &store::Db, jobs: &Jobs, id: ModelRef) -> Result<Detector> {
    let path = match id {
        ModelRef::Base => None,
        ModelRef::Id(id) => {
            let path = jobs.weights_file(&find(db, id).await?);
            let missing = || Problem::not_found(format_args!("weights file of model {id}"));
            Some((id, path.ok_or_else(missing)?))
        }
    };
    blocking(move || {
        let detector = match path {
            None => Detector::new(weights::tflite::mediapipe()),
            Some((id, path)) => {
                let weights = weights::load(&std::fs::read(&path)?).map_err(|error| {
                    let text =
                        format!("the weights of model {id} cannot be read: {}", chain(&error));
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
                })?;
                Detector::new(&weights)
            }
        };
        let detector =
            detector.map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error))?;
        detector.detect(&RgbImage::new(1, 1), 1.0);
        Ok(detector)
    })
    .await?
}
