//! Errors that end a job without a result.

use std::error::Error;

use super::checkpoint::CheckpointError;
use crate::data::ArchiveError;
use crate::data::options::ImportError;
use crate::model::device::NeedsTorch;
use crate::model::tensors::LayoutError;
use crate::protocol::cause::Cause;
use crate::protocol::evaluate_spec::SplitChoice;
use crate::protocol::folder::JobDirError;
use crate::train::TrainError;
use crate::train::device::DeviceError;

/// An error that ends a job.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The models cannot be evaluated.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The requested device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The job needs libtorch, which this build does not have.
    #[error(transparent)]
    NeedsTorch(#[from] NeedsTorch),
    /// The data set cannot be read.
    #[error("the data set cannot be read; import it again")]
    Data(#[source] Box<dyn Error + Send + Sync>),
    /// The weights of the model to train or mix cannot be used.
    #[error("the model's weights cannot be used")]
    Init(#[source] Box<dyn Error + Send + Sync>),
    /// The weights contain NaN or infinity.
    #[error("the weights are no longer finite; try a lower learning rate")]
    NotFinite(#[from] LayoutError),
    /// The archive cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The job's folder cannot be used.
    #[error(transparent)]
    Folder(#[from] JobDirError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file of the job cannot be written.
    #[error("cannot write to the job's folder; is the disk full?")]
    Disk(#[from] std::io::Error),
    /// The job's threads cannot be started.
    #[error("cannot start the job's threads: {0}")]
    Threads(String),
    /// The result cannot be exported in one of the formats.
    #[error("cannot export the result")]
    Export(#[source] Box<dyn Error + Send + Sync>),
}

impl RunError {
    /// Returns the kind of failure.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Train(TrainError::Diverged { .. }) | Self::NotFinite(_) => Cause::Diverged,
            Self::Import(ImportError::Archive(ArchiveError::OutOfMemory(_))) => Cause::OutOfMemory,
            Self::Import(ImportError::DiskFull) => Cause::DiskFull,
            Self::Import(ImportError::Disk(error)) => Cause::of_io(error),
            Self::Train(TrainError::NoPictures)
            | Self::Data(_)
            | Self::Import(_)
            | Self::Evaluation(EvaluationError::NoPictures(_)) => Cause::BadData,
            Self::Evaluation(EvaluationError::Weights { .. }) | Self::Init(_) => Cause::BadWeights,
            Self::Device(_) | Self::NeedsTorch(_) => Cause::NoDevice,
            Self::Folder(error) => error.cause(),
            Self::Checkpoint(CheckpointError::Unusable { .. }) => Cause::BadCheckpoint,
            Self::Checkpoint(CheckpointError::Io(_, error)) | Self::Disk(error) => {
                Cause::of_io(error)
            }
            Self::Threads(_) | Self::Export(_) => Cause::Internal,
        }
    }
}

/// An error that ends an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A model's weights cannot be used.
    #[error("the weights of the model {name:?} cannot be used")]
    Weights {
        /// The model's name.
        name: String,
        /// Why the weights cannot be used.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The split has no pictures.
    #[error("the data set has no {0} pictures; choose another split, such as \"all\"")]
    NoPictures(SplitChoice),
}
