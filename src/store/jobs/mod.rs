//! Table `job`.

mod life;
mod reports;
mod state;

use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::{DatasetId, JobId, ModelId};
use super::job_kind::JobKind;
use crate::protocol::metrics::ValMetrics;

pub use self::life::*;
pub use self::reports::*;
pub use self::state::JobState;

/// A job as stored in the database.
#[derive(Debug, Clone)]
pub struct Job {
    /// The job's ID.
    pub id: JobId,
    /// What the job does.
    pub kind: JobKind,
    /// The name that the user gave it.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// The data set it trains or evaluates on; `None` if it needs none or the data set was deleted.
    pub dataset_id: Option<DatasetId>,
    /// Its complete parameters.
    pub params: Json<Value>,
    /// Jobs with a higher priority run first.
    pub priority: i64,
    /// The device it runs on or last ran on.
    pub device: Option<String>,
    /// How many times it has restarted so far.
    pub restarts: i64,
    /// The progress it last reported.
    pub progress: Option<Json<JobProgress>>,
    /// The best epoch so far.
    pub best: Option<Json<BestEpoch>>,
    /// The base model's metrics.
    pub baseline: Option<Json<ValMetrics>>,
    /// Why it failed, or why the server paused it.
    pub error: Option<String>,
    /// The kind of failure, as the name of a `Cause`.
    pub failure: Option<String>,
    /// Why the server paused it until the disk is fixed, as the name of a `Cause`.
    pub hold: Option<String>,
    /// Batches are this many times smaller than requested.
    pub batch_divisor: i64,
    /// The number of epochs requested for the finished job that this one extends, if any.
    pub extends_epochs: Option<i64>,
    /// It waits in the queue until this time; RFC 3339.
    pub not_before: Option<String>,
    /// It is stopped after it has held a device for this many seconds.
    pub time_limit_s: Option<i64>,
    /// How many seconds it has held a device.
    pub ran_s: f64,
    /// Process ID of the last worker.
    pub worker_pid: Option<i64>,
    /// When that process started, in clock ticks since boot.
    pub worker_started: Option<i64>,
    /// How many bytes of `events.jsonl` are in the database.
    pub events_read: i64,
    /// When it was created; RFC 3339.
    pub created_at: String,
    /// When it first left the queue.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// The model that it produced.
    pub model_id: Option<ModelId>,
}

/// A new job's values.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// The job's ID.
    pub id: JobId,
    /// What the job does.
    pub kind: JobKind,
    /// The name that the user gave it.
    pub name: &'a str,
    /// The data set it trains or evaluates on.
    pub dataset_id: Option<DatasetId>,
    /// Its complete parameters.
    pub params: &'a Value,
    /// The requested device: `auto`, `cpu`, or a GPU such as `cuda:0`.
    pub wanted_device: &'a str,
    /// Jobs with a higher priority run first.
    pub priority: i64,
    /// It waits in the queue until this time; RFC 3339, UTC, with milliseconds.
    pub not_before: Option<&'a str>,
    /// It is stopped after it has held a device for this many seconds.
    pub time_limit_s: Option<i64>,
    /// See [`Job::extends_epochs`].
    pub extends_epochs: Option<i64>,
}

/// Adds a job to the queue.
///
/// # Errors
///
/// Any database error.
pub async fn insert(db: impl SqliteExecutor<'_>, new: NewJob<'_>) -> sqlx::Result<()> {
    let params = Json(new.params);
    sqlx::query!(
        "
        insert into job
            (id, kind, name, dataset_id, params, wanted_device, priority, not_before, time_limit_s,
             extends_epochs)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ",
        new.id,
        new.kind,
        new.name,
        new.dataset_id,
        params,
        new.wanted_device,
        new.priority,
        new.not_before,
        new.time_limit_s,
        new.extends_epochs
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Returns a job.
///
/// # Errors
///
/// Any database error.
pub async fn find(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<Option<Job>> {
    sqlx::query_as!(
        Job,
        r#"
        select
            id as "id: JobId", kind as "kind: JobKind", name, state as "state: JobState",
            dataset_id as "dataset_id: DatasetId", params as "params: Json<Value>", priority,
            device, restarts, progress as "progress: Json<JobProgress>", best as "best: Json<BestEpoch>", baseline as "baseline: Json<ValMetrics>",
            error, failure, hold, batch_divisor, extends_epochs, not_before, time_limit_s,
            ran_s + coalesce(max(0, (julianday('now') - julianday(active_since)) * 86400), 0) as "ran_s!: f64",
            worker_pid, worker_started, events_read, created_at, started_at, finished_at,
            (select model.id from model where model.job_id = job.id) as "model_id?: ModelId"
        from job where id = ?
        "#,
        id
    )
    .fetch_optional(db)
    .await
}

/// Returns up to `limit` jobs older than `before`, newest first.
///
/// # Errors
///
/// Any database error.
pub async fn page(
    db: impl SqliteExecutor<'_>,
    before: Option<JobId>,
    limit: i64,
) -> sqlx::Result<Vec<Job>> {
    sqlx::query_as!(
        Job,
        r#"
        select
            id as "id: JobId", kind as "kind: JobKind", name, state as "state: JobState",
            dataset_id as "dataset_id: DatasetId", params as "params: Json<Value>", priority,
            device, restarts, progress as "progress: Json<JobProgress>", best as "best: Json<BestEpoch>", baseline as "baseline: Json<ValMetrics>",
            error, failure, hold, batch_divisor, extends_epochs, not_before, time_limit_s,
            ran_s + coalesce(max(0, (julianday('now') - julianday(active_since)) * 86400), 0) as "ran_s!: f64",
            worker_pid, worker_started, events_read, created_at, started_at, finished_at,
            (select model.id from model where model.job_id = job.id) as "model_id?: ModelId"
        from job where ?1 is null or id < ?1
        order by id desc limit ?2
        "#,
        before,
        limit
    )
    .fetch_all(db)
    .await
}

/// Returns the number of jobs in each state; states without jobs are left out.
///
/// # Errors
///
/// Any database error.
pub async fn counts(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<(JobState, i64)>> {
    let rows = sqlx::query!(
        r#"select state as "state: JobState", count(*) as "jobs!: i64" from job group by state"#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.state, row.jobs)).collect())
}

/// Deletes an ended job with its model, unless an unfinished job uses the model. Returns whether it was deleted.
///
/// # Errors
///
/// Any database error.
pub async fn delete_unused(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<bool> {
    let deleted = sqlx::query!(
        "
        delete from job
        where id = ?1 and state in ('completed', 'cancelled', 'failed') and not exists (
            select 1 from job as other
            join model on model.id in (
                other.params ->> '$.init', other.params ->> '$.model_id',
                other.params ->> '$.compare_with')
            where model.job_id = ?1
                and other.state not in ('completed', 'cancelled', 'failed'))
        ",
        id
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected() == 1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::datasets;
    use crate::store::tests::empty;
    use serde_json::json;
    use sqlx::SqlitePool;

    pub(in crate::store) async fn queue(db: &SqlitePool, device: &str, priority: i64) -> JobId {
        let (id, dataset_id) = (JobId::new(), DatasetId::new());
        datasets::insert(db, dataset_id, "faces", &crate::data::LabelOptions::default())
            .await
            .unwrap();
        let params = json!({"init": "mediapipe"});
        let new = NewJob {
            id,
            kind: JobKind::Train,
            name: "job",
            dataset_id: Some(dataset_id),
            params: &params,
            wanted_device: device,
            priority,
            not_before: None,
            time_limit_s: None,
            extends_epochs: None,
        };
        insert(db, new).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_job_changes_state_only_from_the_expected_state() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "auto", 0).await;
        let wrong =
            set_state(&db, id, JobState::Running, JobState::Completed, StateNote::default()).await;
        assert!(!wrong.unwrap());
        assert!(
            set_state(&db, id, JobState::Queued, JobState::Cancelled, StateNote::default())
                .await
                .unwrap()
        );
        let job = find(&db, id).await.unwrap().unwrap();
        assert_eq!((job.state, job.finished_at.is_some()), (JobState::Cancelled, true));
    }

    #[tokio::test]
    async fn the_database_refuses_a_failure_without_a_reason() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "auto", 0).await;
        set_state(&db, id, JobState::Queued, JobState::Failed, StateNote::default())
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn a_data_set_that_an_unfinished_job_needs_is_not_deleted() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "auto", 0).await;
        let dataset = find(&db, id).await.unwrap().unwrap().dataset_id.unwrap();
        datasets::set_ready(&db, dataset, "abc", &json!({})).await.unwrap();
        assert!(!datasets::delete_unused(&db, dataset).await.unwrap());
        set_state(&db, id, JobState::Queued, JobState::Cancelled, StateNote::default())
            .await
            .unwrap();
        assert!(datasets::delete_unused(&db, dataset).await.unwrap());
        assert_eq!(find(&db, id).await.unwrap().unwrap().dataset_id, None);
    }
}
