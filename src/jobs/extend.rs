//! More epochs for a finished job: a job of its own that goes on from the last checkpoint, so that the
//! former result stays what it is.

use anyhow::Context;
use tracing::warn;

use super::Jobs;
use super::submission::{Idempotency, Submission, SubmitError, Task, When};
use super::submit::queued_before;
use crate::disk;
use crate::protocol::schedule;
use crate::protocol::train_spec::{TrainSpec, Violation};
use crate::store;
use crate::store::ids::{DatasetId, JobId};
use crate::store::job_kind::JobKind;
use crate::store::jobs::{Job, JobState};
use crate::worker::checkpoint::{self, State};
use crate::worker::extension;

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Extension {
    /// Epochs in all, those that are done included.
    pub epochs: u32,
    /// The new job's name; none for that of the finished one, marked.
    pub name: Option<String>,
}

/// A job that cannot be extended.
#[derive(Debug, thiserror::Error)]
pub enum ExtendError {
    /// There is no such job.
    #[error("no such job {0}")]
    NoJob(JobId),
    /// It is not one to go on with; says why, and what to do.
    #[error("this job cannot be extended: {0}")]
    Refused(String),
    /// What was asked for cannot be done.
    #[error("the extension's parameters are wrong")]
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
const START_ANEW: &str = "start a new job, which can begin with the model that this one made";

impl Jobs {
    /// Queues a job that goes on where a finished one ended, to more epochs in all, or answers the one
    /// that the same request queued before. The finished job and its model do not change.
    ///
    /// # Errors
    ///
    /// [`ExtendError`].
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
        let state = self.last_state(id).await?;
        let new = self.extended(finished, extension, &state).await?;

        // The files come first: a job without them would begin anew.
        let to = JobId::new();
        let queued = match self.copy(id, to).await {
            Ok(()) => self.queue(to, new, &format!("extends job {id}"), idempotency).await,
            Err(error) => Err(error.into()),
        };
        if !queued.as_ref().is_ok_and(|job| job.id == to) {
            self.forget(to).await;
        }
        Ok(queued?)
    }

    /// What the last checkpoint says.
    async fn last_state(&self, id: JobId) -> Result<State, ExtendError> {
        let dir = self.dir(id);
        let found = tokio::task::spawn_blocking(move || checkpoint::newest(&dir)).await;
        let why = match found.context("reading was interrupted")? {
            Ok(checkpoint::Found { newest: Some(newest), .. }) => return Ok(newest.state),
            Ok(_) => "there is no checkpoint to go on from (any more)",
            Err(error) => {
                warn!(job.id = %id, "cannot extend job {id}: {error}");
                "its last checkpoint cannot be read"
            }
        };
        Err(ExtendError::Refused(format!("{why}; {START_ANEW}")))
    }

    /// The new job.
    async fn extended(
        &self,
        finished: Job,
        Extension { epochs, name }: Extension,
        state: &State,
    ) -> Result<Submission, ExtendError> {
        let refused = |why| ExtendError::Refused(format!("{why}; {START_ANEW}"));
        let dataset_id = finished.dataset_id.ok_or_else(|| refused("its data set was deleted"))?;
        let params: TrainSpec = serde_json::from_value(finished.params.0)
            .map_err(|_| refused("its parameters are of another version of Blazetune"))?;
        let pictures = self.training_pictures(dataset_id).await?;
        let views = state.views_per_step(&params, pictures);
        let params = schedule::extended(&params, epochs, views);
        check(&params, state.epoch).map_err(ExtendError::Invalid)?;
        let base = finished.name.trim_end_matches(MARK);
        let name = name.unwrap_or_else(|| format!("{base}{MARK}"));
        let when = When {
            priority: finished.priority,
            not_before: None,
            time_limit_s: finished.time_limit_s,
        };
        Ok(Submission { name, dataset_id, task: Task::Train(Box::new(params)), when })
    }

    pub(super) async fn training_pictures(&self, id: DatasetId) -> anyhow::Result<usize> {
        let dataset = store::datasets::find(&self.0.db, id).await?;
        let summary = dataset.and_then(|dataset| dataset.summary).context("no such data set")?;
        let pictures = summary["splits"]["train"]["images"].as_u64();
        Ok(pictures.context("the data set's training pictures were not counted")? as usize)
    }

    async fn copy(&self, from: JobId, to: JobId) -> anyhow::Result<()> {
        let (ended, dir) = (self.dir(from), self.dir(to));
        let copy = move || extension::copy(&ended, &dir);
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

fn why_not(job: &Job) -> Option<String> {
    if job.kind != JobKind::Train {
        return Some("it does not train; name a job that does".to_owned());
    }
    let advice = match job.state {
        JobState::Completed => return None,
        JobState::Failed | JobState::Cancelled => "start a new job instead",
        JobState::Paused => "resume it, and wait until it has completed",
        _ => "wait until it has completed, or stop it",
    };
    Some(format!("it is {}; {advice}", job.state.name()))
}

/// `done`: epochs that the finished job has done.
fn check(params: &TrainSpec, done: u32) -> Result<(), Vec<Violation>> {
    if params.epochs <= done {
        let detail = format!("has to be above {done}, the number of epochs that are done");
        return Err(vec![Violation { pointer: "/epochs".to_owned(), detail }]);
    }
    params.check()
}
