//! Pause, resume, stop, cancel.

use tracing::info;

use super::Jobs;
use super::changes::{Change, change};
use super::lifecycle::{self, Next, Refused, Verb};
use crate::store;
use crate::store::ids::JobId;
use crate::store::job_kind::JobKind;
use crate::store::jobs::{Job, JobState};

/// A verb that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// There is no such job.
    #[error("no such job {0}")]
    NoJob(JobId),
    /// It makes no sense in the job's state.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A report is whole or of no use.
    #[error("an evaluation has nothing to keep before its end; let it finish, or cancel it")]
    NothingToKeep,
    /// The database cannot be used.
    #[error(transparent)]
    Db(#[from] store::Error),
}

impl Jobs {
    /// Carries out a verb; once more changes nothing. Answers the job as it is then.
    ///
    /// # Errors
    ///
    /// [`VerbError`].
    pub async fn command(&self, id: JobId, verb: Verb) -> Result<Job, VerbError> {
        let mut tx = store::begin(&self.0.db).await?;
        let job = store::jobs::find(&mut *tx, id).await?.ok_or(VerbError::NoJob(id))?;
        if verb == Verb::Stop && job.kind == JobKind::Evaluate && !job.state.is_terminal() {
            return Err(VerbError::NothingToKeep);
        }
        let Next::Go(to) = lifecycle::next(job.state, verb)? else { return Ok(job) };
        let reason = format!("told to {}", verb.name());
        let moved = Change { from: job.state, to, reason: &reason, error: None };
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
}
