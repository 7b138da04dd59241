//! New jobs.

use anyhow::Context;
use serde_json::Value;
use tracing::info;

use super::Jobs;
use super::changes::{Change, record};
use crate::store;
use crate::store::datasets::DatasetStatus;
use crate::store::ids::{DatasetId, JobId, ModelId};
use crate::store::jobs::{Job, JobState, NewJob};
use crate::train::spec::{DeviceChoice, Init, TrainSpec};

/// What a user asks for; `params` were checked.
#[derive(Debug, Clone)]
pub struct NewTrainJob {
    /// The user's name for it.
    pub name: String,
    /// What to train on.
    pub dataset_id: DatasetId,
    /// How.
    pub params: TrainSpec,
    /// Higher ones go first.
    pub priority: i64,
}

/// What makes a request recognisable when it is sent again.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The client's.
    pub key: String,
    /// Of the request's body.
    pub body_sha256: String,
}

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
    /// This machine does not have it.
    #[error("this server has no {wanted}; it has {}", have.join(", "))]
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// What there is.
        have: Vec<String>,
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

impl Jobs {
    /// Queues a job, or answers the one that the same request queued before.
    ///
    /// # Errors
    ///
    /// [`SubmitError`].
    pub async fn submit(
        &self,
        new: NewTrainJob,
        idempotency: Option<Idempotency>,
    ) -> Result<Job, SubmitError> {
        self.queue(JobId::new(), new, "submitted", idempotency).await
    }

    /// Queues a job under this id, or answers the one, of another id, that the same request queued before.
    pub(super) async fn queue(
        &self,
        id: JobId,
        new: NewTrainJob,
        reason: &str,
        idempotency: Option<Idempotency>,
    ) -> Result<Job, SubmitError> {
        let mut tx = store::begin(&self.0.db).await?;
        if let Some(job) = queued_before(&mut tx, idempotency.as_ref()).await? {
            return Ok(job);
        }
        self.check(&mut tx, &new).await?;
        insert(&mut tx, id, &new, reason).await?;
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

    async fn check(
        &self,
        db: &mut store::Connection,
        new: &NewTrainJob,
    ) -> Result<(), SubmitError> {
        let id = new.dataset_id;
        match store::datasets::find(&mut *db, id).await?.map(|dataset| dataset.status) {
            None => return Err(SubmitError::NoDataset(id)),
            Some(DatasetStatus::Ready) => {}
            Some(status) => return Err(SubmitError::DatasetNotReady { id, status }),
        }
        if let Init::Model(id) = new.params.init
            && store::models::find(db, id.into()).await?.is_none()
        {
            return Err(SubmitError::NoModel(id.into()));
        }
        let wanted = String::from(new.params.device);
        let have: Vec<String> = self.0.slots.iter().map(|slot| slot.device.clone()).collect();
        if new.params.device == DeviceChoice::Auto || have.contains(&wanted) {
            Ok(())
        } else {
            Err(SubmitError::NoDevice { wanted, have })
        }
    }
}

/// What the same request queued before.
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
    new: &NewTrainJob,
    reason: &str,
) -> anyhow::Result<()> {
    let params: Value = serde_json::to_value(&new.params)?;
    let row = NewJob {
        id,
        name: &new.name,
        dataset_id: new.dataset_id,
        params: &params,
        wanted_device: &String::from(new.params.device),
        priority: new.priority,
    };
    store::jobs::insert(&mut *db, row).await?;
    let queued = JobState::Queued;
    let change = Change { from: queued, to: queued, reason, error: None };
    record(db, id, None, change).await?;
    Ok(())
}

async fn found(db: &mut store::Connection, id: JobId) -> anyhow::Result<Job> {
    store::jobs::find(db, id).await?.context("the job is gone")
}
