//! Where training goes on after a crash: everything that changes, in one file that knows its own checksum.
//!
//! Two are kept. Whatever happens while one is written, and should the last one be damaged on the disk,
//! there is another to go on from.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};
use tracing::warn;

use crate::disk;
use crate::model::network::Network;
use crate::protocol::folder::JobDir;
use crate::protocol::metrics::MetricsRow;
use crate::protocol::schedule;
use crate::protocol::train_spec::TrainSpec;
use crate::train::progress::Counts;
use crate::train::trainer::Trainer;

/// What training has come to, beside the tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs done.
    pub epoch: u32,
    /// Optimizer steps done.
    pub steps: u64,
    /// Views that each of them saw.
    #[serde(default)]
    views_a_step: Option<u32>,
    /// How far the epoch after these is.
    #[serde(default)]
    pub within: Counts,
    /// One row an epoch, the baseline's included.
    pub rows: Vec<MetricsRow>,
}

impl State {
    /// Views that each step saw, of a job with these parameters on so many pictures. An automatic batch size goes by the
    /// device, too, but steps are to stay what they were, whatever device the job goes on.
    pub fn views_a_step(&self, spec: &TrainSpec, pictures: usize) -> u32 {
        // Earlier versions did not write it, and had one rule for all devices.
        let before =
            || schedule::batch_size(spec, pictures, false) as u32 * spec.accumulate_batches;
        self.views_a_step.unwrap_or_else(before)
    }
}

/// The epochs' results, as folded networks.
#[derive(Debug)]
pub struct Kept {
    /// After the best epoch; before the first, what the job began with.
    pub best: Network,
    /// After the last epoch.
    pub last: Network,
}

/// A checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Reading or writing failed.
    #[error("cannot access checkpoint {0}")]
    Io(String, #[source] io::Error),
    /// It is damaged, or of another job.
    #[error("checkpoint {path} cannot be used: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What there is to go on from.
#[derive(Debug)]
pub struct Found {
    /// The newest whole checkpoint.
    pub newest: Option<Checkpoint>,
    /// What is wrong with a newer one.
    pub damaged: Option<CheckpointError>,
}

/// A whole checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it says.
    pub state: State,
}

const STATE: &str = "state";
const CHECKSUM: &str = "sha256";

/// Looks for the newest whole checkpoint of a job.
///
/// # Errors
///
/// [`CheckpointError`] when a file cannot be read, or when both are damaged. Where there was but one so far
/// and that is damaged, nothing is found: the job may begin anew.
pub fn newest(dir: &JobDir) -> Result<Found, CheckpointError> {
    let (last, previous) = (dir.last_checkpoint(), dir.previous_checkpoint());
    let damaged = match read(&last) {
        Ok(Some(checkpoint)) => return Ok(Found { newest: Some(checkpoint), damaged: None }),
        Ok(None) => None,
        Err(error @ CheckpointError::Unusable { .. }) => Some(error),
        Err(error) => return Err(error),
    };
    Ok(Found { newest: read(&previous)?, damaged })
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

/// The state in a file that is what was written.
fn verified(bytes: &[u8]) -> Result<State, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let texts = metadata.metadata().as_ref().ok_or("it holds no training state")?;
    let text = texts.get(STATE).ok_or("it holds no training state")?;
    let expected = texts.get(CHECKSUM).ok_or("it has no checksum")?;
    let tensors = file.tensors();
    if checksum(text, tensors.iter().map(|(name, view)| (name.as_str(), view))) != *expected {
        return Err("it is damaged: its checksum is not that of its content".to_owned());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Of all that the file holds, in the order of the names.
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

/// The tensors that change, by name.
fn tensors<'a>(
    trainer: &'a mut Trainer<'_>,
    kept: &'a mut Kept,
) -> [(&'static str, &'a mut Tensor); 10] {
    [
        ("parameters", &mut trainer.network.parameters),
        ("buffers", &mut trainer.network.buffers),
        ("average.parameters", &mut trainer.average.parameters),
        ("average.buffers", &mut trainer.average.buffers),
        ("adam.mean", &mut trainer.optimizer.mean),
        ("adam.variance", &mut trainer.optimizer.variance),
        ("epoch.figures", &mut trainer.within.figures),
        ("epoch.diagnostics", trainer.watch.sums_mut()),
        ("best", &mut kept.best.parameters),
        ("last", &mut kept.last.parameters),
    ]
}

/// Writes everything that changes, atomically, and keeps the checkpoint before.
///
/// # Errors
///
/// [`CheckpointError::Io`]; there is a whole checkpoint then, if there was one before.
pub fn save(
    dir: &JobDir,
    trainer: &mut Trainer<'_>,
    kept: &mut Kept,
    state: &mut State,
) -> Result<(), CheckpointError> {
    let path = dir.last_checkpoint();
    let failed = |error| CheckpointError::Io(path.display().to_string(), error);
    state.steps = trainer.optimizer.steps;
    state.views_a_step = Some(trainer.views_a_step() as u32);
    state.within = Counts { watched: trainer.watch.counts(), ..trainer.within.counts };
    let bytes = encoded(trainer, kept, state).map_err(failed)?;
    disk::write_keeping(&path, &dir.previous_checkpoint(), &bytes).map_err(failed)
}

fn encoded(trainer: &mut Trainer<'_>, kept: &mut Kept, state: &State) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(state)?;
    let bytes = tensors(trainer, kept).map(|(name, tensor)| (name, dtype(tensor), bytes(tensor)));
    let mut views = Vec::new();
    for (name, dtype, bytes) in &bytes {
        let shape = vec![bytes.len() * 8 / dtype.bitsize()];
        views.push((*name, TensorView::new(*dtype, shape, bytes).map_err(io::Error::other)?));
    }
    let checksum = checksum(&text, views.iter().map(|(name, view)| (*name, view)));
    let metadata = [(STATE.to_owned(), text), (CHECKSUM.to_owned(), checksum)];
    serialize(views, Some(HashMap::from(metadata))).map_err(io::Error::other)
}

/// Goes back to the newest whole checkpoint; `None` where there is none.
///
/// # Errors
///
/// [`CheckpointError`]; nothing has changed then.
pub fn restore(
    dir: &JobDir,
    trainer: &mut Trainer<'_>,
    kept: &mut Kept,
) -> Result<Option<State>, CheckpointError> {
    let Found { newest, damaged } = newest(dir)?;
    if let Some(damaged) = damaged {
        warn!("going on from the checkpoint before: {damaged}");
        // It must not become the one that is kept when the next one is saved.
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

    // All are looked at before the first is changed.
    let mut found = Vec::new();
    for (name, tensor) in tensors(trainer, kept) {
        let view = file.tensor(name).map_err(|error| unusable(error.to_string()))?;
        if view.dtype() != dtype(tensor) || view.shape() != [tensor.numel()] {
            let (shape, expected) = (view.shape(), tensor.numel());
            let reason = format!("{name} has shape {shape:?} where [{expected}] is needed");
            return Err(unusable(reason));
        }
        let size = [tensor.numel() as i64];
        found.push(Tensor::from_data_size(view.data(), &size, tensor.kind()));
    }
    let _guard = tch::no_grad_guard();
    for ((_, tensor), value) in tensors(trainer, kept).into_iter().zip(&found) {
        tensor.copy_(value);
    }
    trainer.optimizer.steps = state.steps;
    let (spec, pictures) = trainer.job();
    let views = state.views_a_step(spec, pictures);
    trainer.keep_views_a_step(views);
    trainer.within.counts = state.within;
    trainer.watch.restore_counts(state.within.watched);
    Ok(Some(state))
}

fn dtype(tensor: &Tensor) -> Dtype {
    if tensor.kind() == Kind::Double { Dtype::F64 } else { Dtype::F32 }
}

/// Little-endian, as they lie in memory.
fn bytes(tensor: &Tensor) -> Vec<u8> {
    let flat = tensor.detach().to_device(tch::Device::Cpu).reshape([-1]).contiguous();
    let count = flat.numel();
    if flat.kind() == Kind::Double {
        let mut values = vec![0f64; count];
        flat.copy_data(&mut values, count);
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    } else {
        let mut values = vec![0f32; count];
        flat.copy_data(&mut values, count);
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_checkpoint_that_does_not_say_how_large_they_were_are_those_of_earlier_versions() {
        let spec = TrainSpec { epochs: 100, accumulate_batches: 2, ..TrainSpec::default() };
        let before = serde_json::json!({"epoch": 1, "steps": 10, "rows": []});
        let before: State = serde_json::from_value(before).unwrap();
        assert_eq!(before.views_a_step(&spec, 20_000), 128, "on a GPU it would be 512 now");
        let known = State { views_a_step: Some(48), ..before };
        assert_eq!(known.views_a_step(&spec, 20_000), 48);
    }
}
