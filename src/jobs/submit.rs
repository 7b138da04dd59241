//! New jobs.

use anyhow::Context;
use tracing::info;

use super::Jobs;
use super::changes::{Change, record};
use super::evaluation;
use crate::store;
use crate::store::datasets::{Dataset, DatasetStatus};
use crate::store::ids::{DatasetId, JobId, ModelId};
use crate::store::job_kind::JobKind;
use crate::store::jobs::{Job, JobState, NewJob, Said};
use crate::store::transitions::Actor;
use crate::train::evaluation::spec::{EvaluateParams, SplitChoice};
use crate::train::spec::{DeviceChoice, Init, TrainSpec};

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The user's name for it.
    pub name: String,
    /// What to train on, or measure on.
    pub dataset_id: DatasetId,
    /// What to do.
    pub task: Task,
    /// When, and for how long.
    pub when: When,
}

/// When a job is to run, and for how long at most.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// Higher ones go first.
    pub priority: i64,
    /// Not before this; RFC 3339, UTC, milliseconds.
    pub not_before: Option<String>,
    /// It is stopped, with what it has, when it has run for so long.
    pub time_limit_s: Option<i64>,
}

/// What a job does, with the user's parameters, which were checked.
#[derive(Debug, Clone)]
pub enum Task {
    /// Fine-tunes a model.
    Train(Box<TrainSpec>),
    /// Measures models.
    Evaluate(EvaluateParams),
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
    /// There is none to measure.
    #[error("there is no model {id}")]
    NothingToMeasure {
        /// The request's name for it: `model_id` or `compare_with`.
        field: &'static str,
        /// The model.
        id: ModelId,
    },
    /// There is nothing to measure on.
    #[error("the data set has no {0} pictures; choose another split, such as \"all\"")]
    EmptySplit(SplitChoice),
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
        new: Submission,
        idempotency: Option<Idempotency>,
    ) -> Result<Job, SubmitError> {
        self.queue(JobId::new(), new, "submitted", idempotency).await
    }

    /// Queues a job under this id, or answers the one, of another id, that the same request queued before.
    pub(super) async fn queue(
        &self,
        id: JobId,
        new: Submission,
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

    async fn check(&self, db: &mut store::Connection, new: &Submission) -> Result<(), SubmitError> {
        let id = new.dataset_id;
        let dataset = match store::datasets::find(&mut *db, id).await? {
            None => return Err(SubmitError::NoDataset(id)),
            Some(dataset) if dataset.status == DatasetStatus::Ready => dataset,
            Some(Dataset { status, .. }) => {
                return Err(SubmitError::DatasetNotReady { id, status });
            }
        };
        match &new.task {
            Task::Train(params) => self.check_training(db, params).await,
            Task::Evaluate(params) => evaluation::check(db, &dataset, params).await,
        }
    }

    async fn check_training(
        &self,
        db: &mut store::Connection,
        params: &TrainSpec,
    ) -> Result<(), SubmitError> {
        if let Init::Model(id) = params.init
            && store::models::find(db, id.into()).await?.is_none()
        {
            return Err(SubmitError::NoModel(id.into()));
        }
        let wanted = String::from(params.device);
        let have: Vec<String> = self.0.slots.iter().map(|slot| slot.device.clone()).collect();
        if params.device == DeviceChoice::Auto || have.contains(&wanted) {
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
    new: &Submission,
    reason: &str,
) -> anyhow::Result<()> {
    let (kind, params, device) = match &new.task {
        Task::Train(params) => (JobKind::Train, serde_json::to_value(params)?, params.device),
        Task::Evaluate(params) => {
            (JobKind::Evaluate, serde_json::to_value(params)?, DeviceChoice::Auto)
        }
    };
    let row = NewJob {
        id,
        kind,
        name: &new.name,
        dataset_id: new.dataset_id,
        params: &params,
        wanted_device: &String::from(device),
        priority: new.when.priority,
        not_before: new.when.not_before.as_deref(),
        time_limit_s: new.when.time_limit_s,
    };
    store::jobs::insert(&mut *db, row).await?;
    let (queued, actor, said) = (JobState::Queued, Actor::User, Said::default());
    let change = Change { from: queued, to: queued, actor, reason, said };
    record(db, id, None, change).await?;
    Ok(())
}

async fn found(db: &mut store::Connection, id: JobId) -> anyhow::Result<Job> {
    store::jobs::find(db, id).await?.context("the job is gone")
}
