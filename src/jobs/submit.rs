//! New jobs.

use anyhow::Context;
use tracing::info;

use super::Jobs;
use super::changes::{Change, record};
use super::evaluation;
use super::submission::{Idempotency, Submission, SubmitError, Task};
use crate::protocol::train_spec::{DeviceChoice, Init, TrainSpec};
use crate::store;
use crate::store::datasets::{Dataset, DatasetStatus};
use crate::store::ids::JobId;
use crate::store::job_kind::JobKind;
use crate::store::jobs::{Job, JobState, NewJob, Said};
use crate::store::transitions::Actor;

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
