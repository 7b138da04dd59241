//! Checkpoints: everything that changes during training, in one file with a checksum.
//!
//! A job keeps its last two checkpoints, so that it can continue from one if a crash or a disk error damages the other.

mod vectors;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use safetensors::tensor::{SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use self::vectors::{singles, vectors};
use crate::disk;
use crate::model::tensors::Weights;
use crate::protocol::folder::JobDir;
use crate::protocol::job_spec::JobSpec;
use crate::protocol::metrics::MetricsRow;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule;
use crate::protocol::train_spec::TrainSpec;
use crate::train::engine;
use crate::train::progress::Progress;
use crate::train::trainer::Trainer;

/// The part of a checkpoint that is not in the flat vectors: progress and metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// Epochs done.
    pub epoch: u32,
    /// Optimizer steps done.
    pub steps: u64,
    /// Views per optimizer step; absent from checkpoints of earlier versions.
    #[serde(default, rename = "views_a_step")]
    views_per_step: Option<u32>,
    /// Progress within the next epoch.
    #[serde(default, rename = "within")]
    pub progress: Progress,
    /// One row per epoch, including the base model's.
    pub rows: Vec<MetricsRow>,
}

impl TrainingState {
    /// Returns the number of views per step for a job with these parameters on `pictures` pictures. An automatic batch
    /// size depends on the device, but the steps must not change when a job continues on another device.
    fn views_per_step(&self, spec: &TrainSpec, pictures: usize) -> u32 {
        // Earlier versions did not save this number. They used the CPU's batch size on all devices.
        let before =
            || schedule::batch_size(spec, pictures, false) as u32 * spec.accumulate_batches;
        self.views_per_step.unwrap_or_else(before)
    }
}

/// The weights of the best and the last epoch.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The weights after the best epoch; before the first epoch, the initial weights.
    pub best: Weights,
    /// The weights after the last epoch; before the first epoch, the initial weights.
    pub last: Weights,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Reading or writing failed.
    #[error("cannot access checkpoint {0}")]
    Io(String, #[source] io::Error),
    /// The checkpoint is missing, damaged, or from another job.
    #[error("checkpoint {path} cannot be used: {reason}")]
    Unusable {
        /// The checkpoint's path.
        path: String,
        /// What is wrong with the checkpoint.
        reason: String,
    },
}

/// The checkpoint to continue from, and the error of a newer checkpoint that is damaged.
#[derive(Debug)]
pub struct FoundCheckpoint {
    /// The newest intact checkpoint, if there is one.
    pub newest: Option<Checkpoint>,
    /// The error of a newer, damaged checkpoint, if there is one.
    pub damaged: Option<CheckpointError>,
}

/// An intact checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// The training state in the file.
    pub state: TrainingState,
}

const STATE: &str = "state";
const CHECKSUM: &str = "sha256";

/// Finds a job's newest intact checkpoint.
///
/// # Errors
///
/// [`CheckpointError`] if a file cannot be read, or if both checkpoints are damaged. A job whose only checkpoint is
/// damaged has no intact checkpoint, but this is not an error: the job can start over.
pub fn newest(dir: &JobDir) -> Result<FoundCheckpoint, CheckpointError> {
    let (last, previous) = (dir.last_checkpoint(), dir.previous_checkpoint());
    let damaged = match read(&last) {
        Ok(Some(checkpoint)) => {
            return Ok(FoundCheckpoint { newest: Some(checkpoint), damaged: None });
        }
        Ok(None) => None,
        Err(error @ CheckpointError::Unusable { .. }) => Some(error),
        Err(error) => return Err(error),
    };
    Ok(FoundCheckpoint { newest: read(&previous)?, damaged })
}

fn read(path: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CheckpointError::Io(path.display().to_string(), error)),
        Ok(bytes) => bytes,
    };
    let reason = |reason| CheckpointError::Unusable { path: path.display().to_string(), reason };
    let state = verified(&bytes).map_err(reason)?;
    Ok(Some(Checkpoint { bytes, state }))
}

/// Returns the training state in a file, if the checksum is correct.
fn verified(bytes: &[u8]) -> Result<TrainingState, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let texts = metadata.metadata().as_ref().ok_or("it contains no training state")?;
    let text = texts.get(STATE).ok_or("it contains no training state")?;
    let expected = texts.get(CHECKSUM).ok_or("it has no checksum")?;
    let tensors = file.tensors();
    if checksum(text, tensors.iter().map(|(name, view)| (name.as_str(), view))) != *expected {
        return Err("it is damaged: its checksum does not match its content".to_owned());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Returns the SHA-256 of the state and the tensors, with the tensors sorted by name.
fn checksum<'a>(
    state: &str,
    tensors: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>,
) -> String {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by_key(|(name, _)| *name);
    let mut digest = Sha256::new();
    digest.update(state);
    for (name, view) in tensors {
        digest.update(format!("\0{name} {:?} {:?}\0", view.dtype(), view.shape()));
        digest.update(view.data());
    }
    hex::encode(digest.finalize())
}

/// Saves a checkpoint atomically and keeps the previous one.
///
/// # Errors
///
/// [`CheckpointError::Io`]. An intact checkpoint remains if there was one before.
pub fn save(
    dir: &JobDir,
    trainer: &Trainer<'_>,
    kept: &Kept,
    state: &mut TrainingState,
) -> Result<(), CheckpointError> {
    let path = dir.last_checkpoint();
    let failed = |error| CheckpointError::Io(path.display().to_string(), error);
    let engine = trainer.state();
    state.steps = trainer.steps();
    state.views_per_step = Some(trainer.views_per_step() as u32);
    let (watched, figures) = (engine.watched, Some(engine.figures));
    state.progress = Progress { watched, figures, ..trainer.progress() };
    let bytes = encoded(engine, kept, state).map_err(failed)?;
    disk::write_keeping(&path, &dir.previous_checkpoint(), &bytes).map_err(failed)
}

fn encoded(
    mut engine: engine::EngineState,
    kept: &Kept,
    state: &TrainingState,
) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(state)?;
    let (mut best, mut last) = (kept.best.flat(), kept.last.flat());
    let vectors = vectors(&mut engine, &mut best, &mut last);
    let bytes = vectors.map(|(name, vector)| (name, vector.dtype(), vector.len(), vector.bytes()));
    let mut views = Vec::new();
    for (name, dtype, length, bytes) in &bytes {
        let view = TensorView::new(*dtype, vec![*length], bytes).map_err(io::Error::other)?;
        views.push((*name, view));
    }
    let checksum = checksum(&text, views.iter().map(|(name, view)| (*name, view)));
    let metadata = [(STATE.to_owned(), text), (CHECKSUM.to_owned(), checksum)];
    serialize(views, Some(HashMap::from(metadata))).map_err(io::Error::other)
}

/// Restores the newest intact checkpoint. Returns `None` if there is none.
///
/// # Errors
///
/// [`CheckpointError`] if no checkpoint can be used, or if a job that extends another has none. `trainer` and `kept`
/// are then unchanged.
pub fn restore(
    dir: &JobDir,
    spec: &JobSpec,
    trainer: &mut Trainer<'_>,
    kept: &mut Kept,
) -> Result<Option<TrainingState>, CheckpointError> {
    let FoundCheckpoint { newest, damaged } = newest(dir)?;
    if newest.is_none() && spec.extends_epochs.is_some() {
        let missing = CheckpointError::Unusable {
            path: dir.last_checkpoint().display().to_string(),
            reason: "it is missing, but the extended job must continue from it".to_owned(),
        };
        return Err(damaged.unwrap_or(missing));
    }
    if let Some(damaged) = damaged {
        warn!("ignoring the last checkpoint: {damaged}");
        // Otherwise the next save would keep the damaged file as the previous checkpoint.
        let path = dir.last_checkpoint();
        disk::remove_file(&path)
            .map_err(|error| CheckpointError::Io(path.display().to_string(), error))?;
    }
    let Some(Checkpoint { bytes, state }) = newest else { return Ok(None) };
    let unusable = |reason: String| CheckpointError::Unusable {
        path: dir.checkpoints().display().to_string(),
        reason,
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| unusable(error.to_string()))?;

    // Reads everything before it changes anything.
    let mut engine = trainer.state();
    let (mut best, mut last) = (kept.best.flat(), kept.last.flat());
    for (name, mut vector) in vectors(&mut engine, &mut best, &mut last) {
        let view = file.tensor(name).map_err(|error| unusable(error.to_string()))?;
        vector.read(name, &view).map_err(unusable)?;
    }
    engine.watched = state.progress.watched;
    engine.figures = state.progress.figures.or_else(|| old_figures(&file)).unwrap_or_default();
    let layout = kept.best.layout();
    let weights = |flat: &[f32]| {
        Weights::from_flat(layout, flat).map_err(|error| unusable(error.to_string()))
    };
    *kept = Kept { best: weights(&best)?, last: weights(&last)? };
    // If the checkpoint does not state the views per step, they are derived from the finished job's number of epochs.
    let began = TrainSpec {
        epochs: spec.extends_epochs.unwrap_or(spec.params.epochs),
        ..spec.params.clone()
    };
    let views = state.views_per_step(&began, trainer.pictures());
    trainer.keep_views_per_step(views);
    trainer.restore(engine, state.steps, state.progress);
    Ok(Some(state))
}

/// Reads the sums of the training metrics from an earlier version's checkpoint, which stored them in a different order.
fn old_figures(file: &SafeTensors<'_>) -> Option<TrainMetrics> {
    let sums: [f32; 6] = singles(file.tensor("epoch.figures").ok()?.data()).try_into().ok()?;
    let [loss, box_loss, positive, background, gradient_norm, positives_per_face] =
        sums.map(f64::from);
    Some(TrainMetrics { loss, box_loss, positive, background, positives_per_face, gradient_norm })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_without_views_per_step_uses_the_earlier_rule() {
        let spec = TrainSpec { epochs: 100, accumulate_batches: 2, ..TrainSpec::default() };
        let before = serde_json::json!({"epoch": 1, "steps": 10, "rows": []});
        let before: TrainingState = serde_json::from_value(before).unwrap();
        assert_eq!(before.views_per_step(&spec, 20_000), 128, "the rule now gives 512 on a GPU");
        let known = TrainingState { views_per_step: Some(48), ..before };
        assert_eq!(known.views_per_step(&spec, 20_000), 48);
    }
}
