//! The content of `spec.json`, which tells a worker what to do.

use serde::{Deserialize, Serialize};

use super::evaluate_spec::EvaluationSpec;
use super::import_spec::ImportSpec;
use super::mix_spec::MixSpec;
use super::train_spec::TrainSpec;

/// The content of `spec.json`, such as `{"kind": "train", …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Fine-tunes a model.
    Train(Box<JobSpec>),
    /// Measures models.
    Evaluate(EvaluationSpec),
    /// Mixes a model with the base model.
    Mix(MixSpec),
    /// Imports an archive as a data set.
    Import(ImportSpec),
}

/// The spec of a training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The job's ID, recorded in the model's metadata.
    pub job_id: String,
    /// The user's name for the job.
    pub name: String,
    /// Folder of the imported data set.
    pub dataset_dir: std::path::PathBuf,
    /// Weights file to start from, if `params.init` names a model.
    pub init_file: Option<std::path::PathBuf>,
    /// Number of CPU threads; `None` means one per core.
    pub threads: Option<usize>,
    /// How often to save a checkpoint within an epoch.
    #[serde(default)]
    pub checkpoints: CheckpointEvery,
    /// The factor by which batches are made smaller, and the number of batches per step larger, to save GPU memory.
    #[serde(default = "one")]
    pub batch_divisor: u32,
    /// Number of epochs of the finished job that this job extends, if any. The worker then continues from the finished
    /// job's checkpoint, and fails if the checkpoint is missing.
    #[serde(default)]
    pub extends_epochs: Option<u32>,
    /// The training parameters.
    pub params: TrainSpec,
}

fn one() -> u32 {
    1
}

/// How often to save a checkpoint within an epoch. A checkpoint is also saved after each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckpointEvery {
    /// Seconds between checkpoints.
    pub seconds: u64,
    /// Steps between checkpoints, counted from the start of the epoch; 0 saves by time only.
    pub steps: u32,
}

impl Default for CheckpointEvery {
    fn default() -> Self {
        Self { seconds: 60, steps: 0 }
    }
}
