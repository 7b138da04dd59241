//! What a worker does: the job in a folder, to its end, and how that is reported.

use tracing::{info, warn};

use super::TrainError;
use super::checkpoint::CheckpointError;
use super::device::DeviceError;
use super::evaluation;
use super::evaluation::job::EvaluationError;
use super::events::{Body, Finished, Outcome, Work};
use super::job_dir::{EventLog, JobDir, JobDirError};
use super::training;
use crate::model::tensors::LayoutError;

/// A job cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Training itself failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// There is nothing to measure, or nothing to measure on.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// No such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The data set cannot be read.
    #[error("the data set cannot be read; import it again")]
    Data(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The weights to start from cannot be used.
    #[error("the weights to start from cannot be used")]
    Init(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The weights hold NaN or infinity.
    #[error("the weights are no longer finite numbers; try a lower learning rate")]
    NotFinite(#[from] LayoutError),
    /// The job's folder cannot be used.
    #[error(transparent)]
    Folder(#[from] JobDirError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file of the job cannot be written.
    #[error("cannot write to the job's folder; is the disk full?")]
    Disk(#[from] std::io::Error),
    /// The result cannot be written in one of its formats.
    #[error("cannot export the result")]
    Export(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RunError {
    /// Whether another try from the last checkpoint could end differently.
    pub fn retry(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Folder(_) | Self::Checkpoint(CheckpointError::Io(..)))
    }
}

/// Does the job in `dir` and reports how it ended, failures included.
///
/// # Errors
///
/// Only when not even that can be reported.
pub fn run(dir: &JobDir) -> Result<Outcome, JobDirError> {
    let mut events = dir.events()?;
    let finished = match work(dir, &mut events) {
        Ok(finished) => finished,
        Err(error) => {
            let text = chain(&error);
            warn!("the job failed: {text}");
            Finished::without_result(Outcome::Failed, Some(text), error.retry())
        }
    };
    let outcome = finished.outcome;
    info!("the job ended: {outcome:?}");
    if let Err(error) = events.append(Body::Finished(finished)) {
        warn!("cannot report the end: {error}"); // The server sees the exit without an end.
    }
    Ok(outcome)
}

fn work(dir: &JobDir, events: &mut EventLog) -> Result<Finished, RunError> {
    match dir.work()? {
        Work::Train(spec) => training::run(dir, &spec, events),
        Work::Evaluate(spec) => evaluation::job::run(dir, &spec, events),
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
