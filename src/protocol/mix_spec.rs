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
    /// Whether to shift the mix's scores so that 0.5 is the threshold to use; `false` for jobs of earlier versions.
    #[serde(default)]
    pub calibrate_scores: bool,
}

/// The spec of a mixing job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixSpec {
    /// Weights file of the fine-tuned model.
    pub weights_file: PathBuf,
    /// Share of the base model's weights in the mix, 0..1.
    pub retain: f64,
    /// Whether to shift the mix's scores so that 0.5 is the threshold to use. Has no effect without a data set.
    #[serde(default)]
    pub calibrate_scores: bool,
    /// Folder of the data set whose validation pictures the mix is measured on. `None` if the model was trained on a
    /// data set that has been deleted, or elsewhere.
    pub dataset_dir: Option<PathBuf>,
    /// The device to measure on.
    pub device: DeviceChoice,
    /// Number of CPU threads; `None` means one per core.
    pub threads: Option<usize>,
}
