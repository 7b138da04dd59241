//! Where training goes on after a crash: everything that changes, in one file.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::events::MetricsRow;
use super::trainer::Trainer;
use crate::disk;
use crate::model::network;

/// What training has come to, beside the tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs done.
    pub epoch: u32,
    /// Optimizer steps done.
    pub steps: u64,
    /// One row an epoch, the baseline's included.
    pub rows: Vec<MetricsRow>,
}

/// A checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Reading or writing failed.
    #[error("cannot access checkpoint {0}")]
    Io(String, #[source] std::io::Error),
    /// It is damaged, or of another job.
    #[error("checkpoint {path} cannot be used: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

const STATE: &str = "state";

impl State {
    /// What the checkpoint at `path` says; `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`].
    pub fn read(path: &Path) -> Result<Option<Self>, CheckpointError> {
        let bytes = read(path)?;
        bytes.map(|bytes| Self::parse(&bytes).map_err(|reason| unusable(path, reason))).transpose()
    }

    fn parse(file: &[u8]) -> Result<Self, String> {
        let (_, metadata) = SafeTensors::read_metadata(file).map_err(|error| error.to_string())?;
        let text = metadata.metadata().as_ref().and_then(|texts| texts.get(STATE));
        let text = text.ok_or("it holds no training state")?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl Trainer<'_> {
    /// The tensors that change, by name.
    fn tensors(&mut self) -> [(&'static str, &mut Tensor); 6] {
        [
            ("parameters", &mut self.network.parameters),
            ("buffers", &mut self.network.buffers),
            ("average.parameters", &mut self.average.parameters),
            ("average.buffers", &mut self.average.buffers),
            ("adam.mean", &mut self.optimizer.mean),
            ("adam.variance", &mut self.optimizer.variance),
        ]
    }

    /// Writes everything that changes, atomically.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Io`]; the checkpoint before is untouched then.
    pub fn save(&mut self, path: &Path, state: &State) -> Result<(), CheckpointError> {
        let io = |error| CheckpointError::Io(path.display().to_string(), error);
        let text = serde_json::to_string(state).map_err(|error| io(error.into()))?;
        let bytes: Vec<(&str, Vec<u8>)> = self.tensors().map(|(name, t)| (name, bytes(t))).into();
        let views = bytes.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
            view.map(|view| (*name, view))
        });
        let invalid = |error: safetensors::SafeTensorError| io(std::io::Error::other(error));
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(invalid)?;
        let metadata = HashMap::from([(STATE.to_owned(), text)]);
        disk::write(path, &serialize(views, Some(metadata)).map_err(invalid)?).map_err(io)
    }

    /// Goes back to what [`Trainer::save`] wrote; `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; nothing has changed then.
    pub fn restore(&mut self, path: &Path) -> Result<Option<State>, CheckpointError> {
        let unusable = |reason| unusable(path, reason);
        let Some(bytes) = read(path)? else { return Ok(None) };
        let state = State::parse(&bytes).map_err(unusable)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| unusable(error.to_string()))?;

        // All are looked at before the first is changed.
        let mut found = Vec::new();
        for (name, tensor) in self.tensors() {
            let view = file.tensor(name).map_err(|error| unusable(error.to_string()))?;
            if view.dtype() != Dtype::F32 || view.shape() != [tensor.numel()] {
                let (shape, expected) = (view.shape(), tensor.numel());
                let reason = format!("{name} has shape {shape:?} where [{expected}] is needed");
                return Err(unusable(reason));
            }
            found.push(Tensor::from_data_size(view.data(), &[tensor.numel() as i64], Kind::Float));
        }
        let _guard = tch::no_grad_guard();
        for ((_, tensor), value) in self.tensors().into_iter().zip(&found) {
            tensor.copy_(value);
        }
        self.optimizer.steps = state.steps;
        Ok(Some(state))
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CheckpointError> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CheckpointError::Io(path.display().to_string(), error)),
        Ok(bytes) => Ok(Some(bytes)),
    }
}

fn unusable(path: &Path, reason: String) -> CheckpointError {
    CheckpointError::Unusable { path: path.display().to_string(), reason }
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    network::array(tensor).values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
