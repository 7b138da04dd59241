//! What a worker needs to know: the content of `spec.json`.

use serde::{Deserialize, Serialize};

use super::evaluate_spec::EvaluationSpec;
use super::mix_spec::MixSpec;
use super::train_spec::TrainSpec;

/// The content of `spec.json`. JSON: `{"kind": "train", …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Fine-tunes a model.
    Train(Box<JobSpec>),
    /// Measures models.
    Evaluate(EvaluationSpec),
    /// Mixes a model with the base model.
    Mix(MixSpec),
}

/// What a worker that trains needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// For logs and the model's name.
    pub job_id: String,
    /// The user's name for it.
    pub name: String,
    /// Folder of the imported data set.
    pub dataset_dir: std::path::PathBuf,
    /// Weights file to start from, if `params.init` names a model.
    pub init_file: Option<std::path::PathBuf>,
    /// Threads for a CPU job; `None` takes every core.
    pub threads: Option<usize>,
    /// When to save a checkpoint within an epoch.
    #[serde(default)]
    pub checkpoints: CheckpointEvery,
    /// Batches are this many times smaller than `params` says, and each step accumulates as many more of them: for a
    /// GPU with too little memory.
    #[serde(default = "one")]
    pub batch_divisor: u32,
    /// The job continues from the checkpoint of a finished job, which was asked for this many epochs; it fails when
    /// that checkpoint is missing.
    #[serde(default)]
    pub extends_epochs: Option<u32>,
    /// What to do.
    pub params: TrainSpec,
}

fn one() -> u32 {
    1
}

/// When to save a checkpoint within an epoch; one is always saved after each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckpointEvery {
    /// Seconds since the last one.
    pub seconds: u64,
    /// Steps since the last one, or since the epoch began; 0 ignores steps.
    pub steps: u32,
}

impl Default for CheckpointEvery {
    fn default() -> Self {
        Self { seconds: 60, steps: 0 }
    }
}
