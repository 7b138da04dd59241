//! Extends a finished job to more epochs. A new job continues from the last checkpoint, so the finished job's result
//! does not change.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use tracing::warn;

use super::Jobs;
use super::kinds::Task;
use super::submission::{Idempotency, Submission, When};
use super::submit::{Origin, queued_before};
use super::submit_error::SubmitError;
use crate::disk;
use crate::protocol::folder::JobDir;
use crate::protocol::train_spec::{TrainSpec, Violation};
use crate::store;
use crate::store::ids::JobId;
use crate::store::job_kind::JobKind;
use crate::store::jobs::{Job, JobState};

/// A request to extend a job.
#[derive(Debug, Clone)]
pub struct Extension {
    /// Total number of epochs, including those already done.
    pub epochs: u32,
    /// The new job's name; `None` adds " (extended)" to the finished job's name.
    pub name: Option<String>,
}

/// An error that prevents a job from being extended.
#[derive(Debug, thiserror::Error)]
pub enum ExtendError {
    /// The job does not exist.
    #[error("there is no job {0}")]
    NoJob(JobId),
    /// The job cannot be continued. The text says why, and what to do instead.
    #[error("this job cannot be extended: {0}")]
    Refused(String),
    /// The requested parameters are invalid.
    #[error("the extension's parameters are invalid")]
    Invalid(Vec<Violation>),
    /// The new job cannot be queued.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl From<anyhow::Error> for ExtendError {
    fn from(error: anyhow::Error) -> Self {
        Self::Submit(error.into())
    }
}

impl From<store::Error> for ExtendError {
    fn from(error: store::Error) -> Self {
        Self::Submit(error.into())
    }
}

const MARK: &str = " (extended)";
const START_AGAIN: &str = "start a new job from this job's model instead";

impl Jobs {
    /// Queues a job that continues where a finished job ended, up to a larger number of epochs. Returns the existing
    /// job if the same request was sent before. The finished job and its model do not change.
    ///
    /// # Errors
    ///
    /// Returns an [`ExtendError`] if the job cannot be extended.
    pub async fn extend(
        &self,
        id: JobId,
        extension: Extension,
        idempotency: Option<Idempotency>,
    ) -> Result<Job, ExtendError> {
        let db = &self.0.db;
        if let Some(job) = queued_before(&mut *db.acquire().await?, idempotency.as_ref()).await? {
            return Ok(job);
        }
        let finished = store::jobs::find(db, id).await?.ok_or(ExtendError::NoJob(id))?;
        if let Some(why) = why_not(&finished) {
            return Err(ExtendError::Refused(why));
        }
        let rows = store::epochs::of_job(db, id).await?;
        let (new, origin) = extended(&finished, extension, &rows)?;

        // Copy the files first: the new job fails without them.
        let to = JobId::new();
        let queued = match self.copy(id, to, rows).await {
            Ok(true) => Ok(self.queue(to, new, origin, idempotency).await?),
            Ok(false) => Err(refused("it has no checkpoint to continue from")),
            Err(error) => Err(error.into()),
        };
        if !queued.as_ref().is_ok_and(|job| job.id == to) {
            self.forget(to).await;
        }
        queued
    }

    /// Copies the files that the new job continues from. Returns whether there was a checkpoint. The worker checks
    /// whether it is intact.
    async fn copy(&self, from: JobId, to: JobId, rows: Vec<Value>) -> anyhow::Result<bool> {
        let (finished, dir) = (self.dir(from), self.dir(to));
        let copy = move || copy(&finished, &dir, &rows);
        tokio::task::spawn_blocking(copy).await?.context("cannot copy the checkpoints")
    }

    /// Removes the files of a job that was not queued.
    async fn forget(&self, id: JobId) {
        let dir = self.dir(id);
        let removed = tokio::task::spawn_blocking(move || disk::remove_folder(dir.path())).await;
        if !matches!(removed, Ok(Ok(()))) {
            warn!(job.id = %id, "cannot remove the files of job {id}, which was not queued");
        }
    }
}

fn refused(why: &str) -> ExtendError {
    ExtendError::Refused(format!("{why}; {START_AGAIN}"))
}

/// Builds the new job.
fn extended(
    finished: &Job,
    Extension { epochs, name }: Extension,
    rows: &[Value],
) -> Result<(Submission, Origin), ExtendError> {
    let dataset_id = finished.dataset_id.ok_or_else(|| refused("its data set was deleted"))?;
    let Ok(Task::Train(mut params)) = Task::of(finished) else {
        return Err(refused("its parameters come from another version of Blazetune"));
    };
    let asked_for = std::mem::replace(&mut params.epochs, epochs);
    let steps = finished.progress.map_or(0, |progress| progress.steps);
    check(&params, epochs_done(rows, steps)).map_err(ExtendError::Invalid)?;
    let base = finished.name.trim_end_matches(MARK);
    let name = name.unwrap_or_else(|| format!("{base}{MARK}"));
    let when =
        When { priority: finished.priority, not_before: None, time_limit_s: finished.time_limit_s };
    let reason = format!("extends job {}", finished.id);
    let new = Submission { name, dataset_id: Some(dataset_id), task: Task::Train(params), when };
    Ok((new, Origin { reason, extends_epochs: Some(asked_for) }))
}

/// Returns how many epochs a finished job completed. A job that was stopped early has a row for its unfinished epoch,
/// which does not count.
fn epochs_done(rows: &[Value], steps_per_epoch: u32) -> u32 {
    let last = rows.last().unwrap_or(&Value::Null);
    let (epoch, step) = (last["epoch"].as_u64().unwrap_or(0), last["step"].as_u64().unwrap_or(0));
    let is_whole = step >= epoch * u64::from(steps_per_epoch);
    (if is_whole { epoch } else { epoch.saturating_sub(1) }) as u32
}

/// Copies the checkpoints of a finished job, and the sample views that its rows name, to a new folder. Everything is
/// safely on disk when this returns. Returns whether there was a checkpoint.
fn copy(finished: &JobDir, dir: &JobDir, rows: &[Value]) -> io::Result<bool> {
    for folder in [dir.checkpoints(), dir.artifacts()] {
        fs::create_dir_all(folder)?;
    }
    let views = rows.iter().filter_map(|row| row["diagnostics"]["sample_views"].as_str());
    for name in views {
        copy_file(&finished.artifacts().join(name), &dir.artifacts().join(name))?;
    }
    let last = copy_file(&finished.last_checkpoint(), &dir.last_checkpoint())?;
    let previous = copy_file(&finished.previous_checkpoint(), &dir.previous_checkpoint())?;
    disk::sync_folder(dir.path())?;
    dir.path().parent().map_or(Ok(()), disk::sync_folder)?;
    Ok(last || previous)
}

/// Copies a file. Returns whether it existed.
fn copy_file(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::read(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        bytes => disk::write(to, &bytes?).map(|()| true),
    }
}

/// Whether a job can be extended. Does not check whether its checkpoint exists.
pub(super) fn can_be_extended(job: &Job) -> bool {
    why_not(job).is_none() && job.dataset_id.is_some()
}

fn why_not(job: &Job) -> Option<String> {
    if job.kind != JobKind::Train {
        return Some("it is not a training job; choose one that is".to_owned());
    }
    let advice = match job.state {
        JobState::Completed => return None,
        JobState::Failed | JobState::Cancelled => "start a new job instead",
        JobState::Paused => "resume it and wait until it completes",
        _ => "wait until it completes, or stop it",
    };
    Some(format!("it is {}; {advice}", job.state.name()))
}

/// Checks the new job's parameters. `done` is the number of epochs that the finished job completed.
fn check(params: &TrainSpec, done: u32) -> Result<(), Vec<Violation>> {
    if params.epochs <= done {
        let detail = format!("must be above {done}, the number of epochs already done");
        return Err(vec![Violation { pointer: "/epochs".to_owned(), detail }]);
    }
    params.check()
}
