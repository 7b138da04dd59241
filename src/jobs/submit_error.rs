//! Why a job cannot be queued.

use crate::model::device::NeedsTorch;
use crate::protocol::evaluate_spec::SplitChoice;
use crate::store;
use crate::store::datasets::DatasetStatus;
use crate::store::ids::{DatasetId, ModelId};

/// An error that prevents a job from being queued.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The data set does not exist.
    #[error("there is no data set {0}")]
    NoDataset(DatasetId),
    /// The data set is still being imported, or its import failed.
    #[error("data set {id} is {}", match status {
        DatasetStatus::Importing => "still being imported; wait until it is ready",
        DatasetStatus::Failed => "unusable, because its import failed; import it again",
        DatasetStatus::Ready => "ready",
    })]
    DatasetNotReady {
        /// The data set.
        id: DatasetId,
        /// The data set's status.
        status: DatasetStatus,
    },
    /// The model to start from does not exist.
    #[error("there is no model {0} to start from")]
    NoModel(ModelId),
    /// The model to measure or mix does not exist.
    #[error("there is no model {id}")]
    MissingModel {
        /// The field of the request that names the model: `model_id` or `compare_with`.
        field: &'static str,
        /// The model.
        id: ModelId,
    },
    /// The chosen split has no pictures to measure on.
    #[error("the data set has no {0} pictures; choose another split, such as \"all\"")]
    EmptySplit(SplitChoice),
    /// The server does not have the requested device.
    #[error("this server has no {wanted}; it has {}", have.join(", "))]
    NoDevice {
        /// The requested device.
        wanted: String,
        /// The server's devices.
        have: Vec<String>,
    },
    /// The job needs libtorch, which this build lacks.
    #[error("{source}")]
    NeedsTorch {
        /// JSON pointer to the field of the request that needs libtorch.
        pointer: &'static str,
        /// What needs libtorch.
        source: NeedsTorch,
    },
    /// The key was already used for another request.
    #[error("this Idempotency-Key was already used for another request; use a new one")]
    KeyReused,
    /// An internal error of the server.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<store::Error> for SubmitError {
    fn from(error: store::Error) -> Self {
        Self::Internal(error.into())
    }
}
