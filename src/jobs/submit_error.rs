//! Why a job cannot be queued.

use crate::model::device::NeedsTorch;
use crate::protocol::evaluate_spec::SplitChoice;
use crate::store;
use crate::store::datasets::DatasetStatus;
use crate::store::ids::{DatasetId, ModelId};

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
    /// There is none to measure or mix.
    #[error("there is no model {id}")]
    MissingModel {
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
    /// This build cannot do it.
    #[error("{source}")]
    NeedsTorch {
        /// The request's field that asks for it, as a JSON pointer.
        pointer: &'static str,
        /// What needs libtorch.
        source: NeedsTorch,
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
