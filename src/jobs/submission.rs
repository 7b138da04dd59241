//! What a user can ask for, and why it may not be queued.

use crate::protocol::evaluate_spec::{EvaluateParams, SplitChoice};
use crate::protocol::train_spec::TrainSpec;
use crate::store;
use crate::store::datasets::DatasetStatus;
use crate::store::ids::{DatasetId, ModelId};

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The user's name for it.
    pub name: String,
    /// What to train on, or measure on.
    pub dataset_id: DatasetId,
    /// What to do.
    pub task: Task,
    /// When, and for how long.
    pub when: When,
}

/// When a job is to run, and for how long at most.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// Higher ones go first.
    pub priority: i64,
    /// Not before this; RFC 3339, UTC, milliseconds.
    pub not_before: Option<String>,
    /// It is stopped, with what it has, when it has run for so long.
    pub time_limit_s: Option<i64>,
}

/// What a job does, with the user's parameters, which were checked.
#[derive(Debug, Clone)]
pub enum Task {
    /// Fine-tunes a model.
    Train(Box<TrainSpec>),
    /// Measures models.
    Evaluate(EvaluateParams),
}

/// What makes a request recognisable when it is sent again.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The client's.
    pub key: String,
    /// Of the request's body.
    pub body_sha256: String,
}

/// A job that cannot be queued.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It does not exist.
    #[error("there is no data set {0}")]
    NoDataset(DatasetId),
    /// It cannot be trained on, yet or ever.
    #[error("the data set {id} is {}", match status {
        DatasetStatus::Importing => "still being imported; wait until it is ready",
        DatasetStatus::Failed => "unusable, because its import failed; import it again",
        DatasetStatus::Ready => "ready",
    })]
    DatasetNotReady {
        /// The data set.
        id: DatasetId,
        /// How far it is.
        status: DatasetStatus,
    },
    /// It does not exist.
    #[error("there is no model {0} to start from")]
    NoModel(ModelId),
    /// There is none to measure.
    #[error("there is no model {id}")]
    NothingToMeasure {
        /// The request's name for it: `model_id` or `compare_with`.
        field: &'static str,
        /// The model.
        id: ModelId,
    },
    /// There is nothing to measure on.
    #[error("the data set has no {0} pictures; choose another split, such as \"all\"")]
    EmptySplit(SplitChoice),
    /// This machine does not have it.
    #[error("this server has no {wanted}; it has {}", have.join(", "))]
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// What there is.
        have: Vec<String>,
    },
    /// The key stands for another request.
    #[error("this Idempotency-Key was used with another request; use a new one")]
    KeyReused,
    /// The server is in trouble.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<store::Error> for SubmitError {
    fn from(error: store::Error) -> Self {
        Self::Internal(error.into())
    }
}
