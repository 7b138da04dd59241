//! Parameters of a mixing job.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::train_spec::DeviceChoice;

/// A mixing job's `params`, as the user submits them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MixParams {
    /// The fine-tuned model.
    pub model_id: Uuid,
    /// Share of the base model's weights in the mix, 0..1.
    pub retain: f64,
}

/// The spec of a mixing job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixSpec {
    /// Weights file of the fine-tuned model.
    pub weights_file: PathBuf,
    /// Share of the base model's weights in the mix, 0..1.
    pub retain: f64,
    /// Folder of the data set that the model was trained on; the mix is measured on its pictures. `None` if the data
    /// set has been deleted.
    pub dataset_dir: Option<PathBuf>,
    /// The device to measure on.
    pub device: DeviceChoice,
    /// Number of CPU threads; `None` means one per core.
    pub threads: Option<usize>,
}
