//! What a mix is asked to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::train_spec::DeviceChoice;

/// What a user asks for: `params` of a job that mixes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MixParams {
    /// The fine-tuned model.
    pub model_id: Uuid,
    /// Share of the base model's weights in the mix, 0..1.
    pub retain: f64,
}

/// The content of a mix's `spec.json`: all that a worker needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixSpec {
    /// Weights file of the fine-tuned model.
    pub weights_file: PathBuf,
    /// Share of the base model's weights in the mix, 0..1.
    pub retain: f64,
    /// Folder of the imported data set that the model was trained on, to measure the mix on; `None` when it was
    /// deleted.
    pub dataset_dir: Option<PathBuf>,
    /// Where to measure.
    pub device: DeviceChoice,
    /// Threads for a CPU job; `None` takes every core.
    pub threads: Option<usize>,
}
