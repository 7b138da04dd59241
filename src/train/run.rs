//! What a worker does: the job in a folder, to its end, and how that is reported.

use tracing::{info, warn};

use super::TrainError;
use super::cause::Cause;
use super::checkpoint::CheckpointError;
use super::device::DeviceError;
use super::evaluation;
use super::evaluation::job::EvaluationError;
use super::events::{Body, Finished, Outcome, Work};
use super::heartbeat;
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
    /// The system gives no threads.
    #[error("cannot start the job's threads: {0}")]
    Threads(String),
    /// The result cannot be written in one of its formats.
    #[error("cannot export the result")]
    Export(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RunError {
    /// What kind of failure it is.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Train(TrainError::Diverged { .. }) | Self::NotFinite(_) => Cause::Diverged,
            Self::Train(TrainError::NoPictures)
            | Self::Data(_)
            | Self::Evaluation(EvaluationError::NoPictures(_)) => Cause::BadData,
            Self::Evaluation(EvaluationError::Weights { .. }) | Self::Init(_) => Cause::BadWeights,
            Self::Device(_) => Cause::NoDevice,
            Self::Folder(error) => error.cause(),
            Self::Checkpoint(CheckpointError::Unusable { .. }) => Cause::BadCheckpoint,
            Self::Checkpoint(CheckpointError::Io(_, error)) | Self::Disk(error) => {
                Cause::of_io(error)
            }
            Self::Threads(_) | Self::Export(_) => Cause::Internal,
        }
    }
}

/// Does the job in `dir` and reports how it ended, failures included.
///
/// # Errors
///
/// Only when not even that can be reported: why.
pub fn run(dir: &JobDir) -> Result<Outcome, Cause> {
    heartbeat::begin(&dir.heartbeat_file());
    let mut events = dir.events().map_err(|error| {
        warn!("cannot report anything: {}", chain(&error));
        error.cause()
    })?;
    let finished = match work(dir, &mut events) {
        Ok(finished) => finished,
        Err(error) => {
            let text = chain(&error);
            warn!("the job failed: {text}");
            Finished::failed(error.cause(), text)
        }
    };
    let outcome = finished.outcome;
    info!("the job ended: {outcome:?}");
    let cause = finished.cause;
    if let Err(error) = events.append(Body::Finished(finished)) {
        warn!("cannot report the end: {error}");
        // The server sees the exit code instead.
        return Err(cause.filter(|cause| cause.is_of_disk()).unwrap_or(Cause::of_io(&error)));
    }
    Ok(outcome)
}

fn work(dir: &JobDir, events: &mut EventLog) -> Result<Finished, RunError> {
    match dir.work()? {
        Work::Train(spec) => on_threads(spec.threads, || training::run(dir, &spec, events)),
        Work::Evaluate(spec) => {
            on_threads(spec.threads, || evaluation::job::run(dir, &spec, events))
        }
    }
}

/// Works on this many threads, or on one a core. The work itself is on one of them, so that none is woken for what
/// the one at hand can do.
fn on_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> Result<T, RunError> + Send,
) -> Result<T, RunError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| RunError::Threads(error.to_string()))?;
    pool.install(|| {
        if let Some(threads) = threads {
            tch::set_num_threads(threads as i32);
        }
        work()
    })
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
