//! Queues new jobs.

use anyhow::Context;
use tracing::info;

use super::Jobs;
use super::changes::{Change, record};
use super::submission::{Idempotency, Submission};
use super::submit_error::SubmitError;
use crate::store;
use crate::store::datasets::{Dataset, DatasetStatus};
use crate::store::ids::{DatasetId, JobId};
use crate::store::jobs::{Job, JobState, NewJob, StateNote};
use crate::store::transitions::Actor;

impl Jobs {
    /// Queues a job. Returns the existing job if the same request was sent before.
    ///
    /// # Errors
    ///
    /// Returns a [`SubmitError`] if the job cannot be queued.
    pub async fn submit(
        &self,
        new: Submission,
        idempotency: Option<Idempotency>,
    ) -> Result<Job, SubmitError> {
        let origin = Origin { reason: "submitted".to_owned(), extends_epochs: None };
        self.queue(JobId::new(), new, origin, idempotency).await
    }

    /// Queues a job under this ID. Returns the existing job, which has another ID, if the same request was sent before.
    pub(super) async fn queue(
        &self,
        id: JobId,
        new: Submission,
        origin: Origin,
        idempotency: Option<Idempotency>,
    ) -> Result<Job, SubmitError> {
        let mut tx = store::begin(&self.0.db).await?;
        if let Some(job) = queued_before(&mut tx, idempotency.as_ref()).await? {
            return Ok(job);
        }
        self.check(&mut tx, &new).await?;
        insert(&mut tx, id, &new, &origin).await?;
        if let Some(Idempotency { key, body_sha256 }) = &idempotency {
            store::idempotency::insert(&mut *tx, key, body_sha256, id).await?;
        }
        let job = found(&mut tx, id).await?;
        tx.commit().await?;
        info!(job.id = %id, "queued job {id}");
        self.tell();
        self.wake_scheduler();
        Ok(job)
    }

    async fn check(&self, db: &mut store::Connection, new: &Submission) -> Result<(), SubmitError> {
        let dataset = match new.dataset_id {
            Some(id) => Some(ready(db, id).await?),
            None => None,
        };
        new.task.check(self, db, dataset.as_ref()).await
    }
}

async fn ready(db: &mut store::Connection, id: DatasetId) -> Result<Dataset, SubmitError> {
    match store::datasets::find(db, id).await? {
        None => Err(SubmitError::NoDataset(id)),
        Some(dataset) if dataset.status == DatasetStatus::Ready => Ok(dataset),
        Some(Dataset { status, .. }) => Err(SubmitError::DatasetNotReady { id, status }),
    }
}

/// The origin of a new job.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The first reason in the job's history.
    pub(super) reason: String,
    /// The number of epochs requested for the finished job, if this job extends one.
    pub(super) extends_epochs: Option<u32>,
}

/// Returns the job that was queued when the same request was sent before.
pub(super) async fn queued_before(
    db: &mut store::Connection,
    idempotency: Option<&Idempotency>,
) -> Result<Option<Job>, SubmitError> {
    let Some(Idempotency { key, body_sha256 }) = idempotency else { return Ok(None) };
    match store::idempotency::find(&mut *db, key).await? {
        None => Ok(None),
        Some(used) if used.body_sha256 != *body_sha256 => Err(SubmitError::KeyReused),
        Some(used) => Ok(Some(found(db, used.job_id).await?)),
    }
}

async fn insert(
    db: &mut store::Connection,
    id: JobId,
    new: &Submission,
    origin: &Origin,
) -> anyhow::Result<()> {
    let row = NewJob {
        id,
        kind: new.task.kind(),
        name: &new.name,
        dataset_id: new.dataset_id,
        params: &new.task.params()?,
        wanted_device: &String::from(new.task.device()),
        priority: new.when.priority,
        not_before: new.when.not_before.as_deref(),
        time_limit_s: new.when.time_limit_s,
        extends_epochs: origin.extends_epochs.map(i64::from),
    };
    store::jobs::insert(&mut *db, row).await?;
    let (queued, actor, note) = (JobState::Queued, Actor::User, StateNote::default());
    let reason = &origin.reason;
    let change = Change { from: queued, to: queued, actor, reason, note };
    record(db, id, None, change).await?;
    Ok(())
}

async fn found(db: &mut store::Connection, id: JobId) -> anyhow::Result<Job> {
    store::jobs::find(db, id).await?.context("the job no longer exists")
}
