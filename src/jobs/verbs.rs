//! Carries out verbs: pause, resume, stop and cancel.

use schemars::JsonSchema;
use serde::Serialize;
use tracing::info;

use super::Jobs;
use super::changes::{Change, change};
use super::extend::can_be_extended;
use super::kinds;
use super::lifecycle::{self, Known, Next, Refused, Verb};
use crate::protocol::cause::Cause;
use crate::store;
use crate::store::ids::JobId;
use crate::store::jobs::{Job, JobState, StateNote};
use crate::store::transitions::Actor;

/// An error that prevents a verb from being carried out.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// The job does not exist.
    #[error("there is no job {0}")]
    NoJob(JobId),
    /// The job's state does not allow the verb.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Only a queued job can move within the queue.
    #[error("cannot move a job that is {}; only queued jobs can be moved", .0.name())]
    NotQueued(JobState),
    /// Jobs of this kind never obey the verb. The text says why.
    #[error("{0}")]
    NotOfThisKind(&'static str),
    /// The database cannot be used.
    #[error(transparent)]
    Db(#[from] store::Error),
}

/// An action that a user can take on a job, named after its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobVerb {
    /// Pause the job and free its device.
    Pause,
    /// Continue the job.
    Resume,
    /// End the job early and keep its result.
    Stop,
    /// End the job early and keep nothing.
    Cancel,
    /// Start the job before all other queued jobs of the same priority.
    Front,
    /// Train for more epochs, in a new job.
    Extend,
    /// Delete the job and its files.
    Delete,
}

impl From<Verb> for JobVerb {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Pause => Self::Pause,
            Verb::Resume => Self::Resume,
            Verb::Stop => Self::Stop,
            Verb::Cancel => Self::Cancel,
        }
    }
}

impl Jobs {
    /// Carries out a verb. Repeating the verb changes nothing. Returns the updated job.
    ///
    /// # Errors
    ///
    /// Returns a [`VerbError`] if the verb cannot be carried out.
    pub async fn command(&self, id: JobId, verb: Verb) -> Result<Job, VerbError> {
        let mut tx = store::begin(&self.0.db).await?;
        let job = store::jobs::find(&mut *tx, id).await?.ok_or(VerbError::NoJob(id))?;
        let Next::Go(to) = self.next(&job, verb)? else { return Ok(job) };
        let reason = format!("told to {}", verb.name());
        let (from, actor, note) = (job.state, Actor::User, StateNote::default());
        let moved = Change { from, to, actor, reason: &reason, note };
        change(&mut tx, id, moved).await?;
        let job = store::jobs::find(&mut *tx, id).await?.ok_or(VerbError::NoJob(id))?;
        tx.commit().await?;
        info!(job.id = %id, "job {id} is {}: {reason}", to.name());
        self.sync_control(id).await?;
        if to == JobState::Cancelled {
            self.discard(id).await;
        }
        self.tell();
        self.wake_scheduler();
        Ok(job)
    }

    /// Moves a queued job ahead of all others of the same priority.
    ///
    /// # Errors
    ///
    /// Returns a [`VerbError`] if the job does not exist or is not queued.
    pub async fn move_to_front(&self, id: JobId) -> Result<Job, VerbError> {
        let moved = store::queue::move_to_front(&self.0.db, id).await?;
        let job = store::jobs::find(&self.0.db, id).await?.ok_or(VerbError::NoJob(id))?;
        if moved { Ok(job) } else { Err(VerbError::NotQueued(job.state)) }
    }

    /// Returns what a user can do with a job now.
    pub fn verbs(&self, job: &Job) -> Vec<JobVerb> {
        let has_effect = |verb: &Verb| matches!(self.next(job, *verb), Ok(Next::Go(_)));
        let mut verbs: Vec<_> =
            Verb::ALL.into_iter().filter(has_effect).map(JobVerb::from).collect();
        verbs.extend((job.state == JobState::Queued).then_some(JobVerb::Front));
        verbs.extend(can_be_extended(job).then_some(JobVerb::Extend));
        verbs.extend(job.state.is_terminal().then_some(JobVerb::Delete));
        verbs
    }

    /// Returns what a verb does to a job.
    fn next(&self, job: &Job, verb: Verb) -> Result<Next, VerbError> {
        match kinds::refusal(job.kind, verb) {
            Some(why) if !job.state.is_terminal() => Err(VerbError::NotOfThisKind(why)),
            _ => Ok(lifecycle::next(self.known(job), verb)?),
        }
    }

    fn known(&self, job: &Job) -> Known {
        let dir = self.dir(job.id);
        let checkpoints = [dir.last_checkpoint(), dir.previous_checkpoint()];
        Known {
            state: job.state,
            has_device: job.device.is_some(),
            has_checkpoint: checkpoints.iter().any(|path| path.is_file()),
            failure: job.failure.as_deref().and_then(Cause::named),
        }
    }
}
