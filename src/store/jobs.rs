//! Table `job`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::{DatasetId, JobId, ModelId};
use super::job_kind::JobKind;

/// A job, as the database knows it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// The user's name for it.
    pub name: String,
    /// How far it is.
    pub state: JobState,
    /// What it trains on, or measures on; none when that was deleted since.
    pub dataset_id: Option<DatasetId>,
    /// What it was asked to do, in full.
    pub params: Json<Value>,
    /// Higher ones go first.
    pub priority: i64,
    /// What it runs on, or ran on last.
    pub device: Option<String>,
    /// Restarts after crashes so far.
    pub restarts: i64,
    /// The last step it reported.
    pub progress: Option<Json<Value>>,
    /// The best epoch so far.
    pub best: Option<Json<Value>>,
    /// The untouched model's measures.
    pub baseline: Option<Json<Value>>,
    /// Why it failed, or why the server has paused it.
    pub error: Option<String>,
    /// What kind of failure that is: the name of a `Cause`.
    pub failure: Option<String>,
    /// The server has paused it by itself, until the disk was seen to: the name of a `Cause`.
    pub hold: Option<String>,
    /// Batches are this many times smaller than was asked for.
    pub batch_divisor: i64,
    /// It waits in the queue until then; RFC 3339.
    pub not_before: Option<String>,
    /// It is stopped when it has run for so long.
    pub time_limit_s: Option<i64>,
    /// Seconds that it has held a device.
    pub ran_s: f64,
    /// Of the last worker.
    pub worker_pid: Option<i64>,
    /// When that began, in clock ticks since boot.
    pub worker_started: Option<i64>,
    /// Bytes of `events.jsonl` that are in the database.
    pub events_read: i64,
    /// RFC 3339.
    pub created_at: String,
    /// When it first left the queue.
    pub started_at: Option<String>,
    /// When it came to its last state.
    pub finished_at: Option<String>,
    /// The model that it has made.
    pub model_id: Option<ModelId>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a device.
    Queued,
    /// A worker has it in hand, or will after a crash.
    Running,
    /// The worker was told to save and leave.
    Pausing,
    /// Waits to be resumed.
    Paused,
    /// The worker was told to end early.
    Stopping,
    /// The worker was told to give up.
    Cancelling,
    /// Ended with a result.
    Completed,
    /// Given up.
    Cancelled,
    /// Could not go on.
    Failed,
}

impl JobState {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Stopping,
        Self::Cancelling,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// Whether nothing can change it any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    /// Whether it takes up a slot of a device.
    pub fn holds_device(self) -> bool {
        matches!(self, Self::Running | Self::Pausing | Self::Stopping | Self::Cancelling)
    }

    /// Its name, as in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// What a new job needs.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// The user's name for it.
    pub name: &'a str,
    /// What it trains on, or measures on.
    pub dataset_id: DatasetId,
    /// What to do, in full.
    pub params: &'a Value,
    /// `auto`, `cpu`, `cuda:0` ….
    pub wanted_device: &'a str,
    /// Higher ones go first.
    pub priority: i64,
    /// It waits until then; RFC 3339, UTC, milliseconds.
    pub not_before: Option<&'a str>,
    /// It is stopped when it has run for so long.
    pub time_limit_s: Option<i64>,
}

/// Adds one to the queue.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
pub async fn insert(db: impl SqliteExecutor<'_>, new: NewJob<'_>) -> sqlx::Result<()> {
    let params = Json(new.params);
    sqlx::query!(
        "
        insert into job
            (id, kind, name, dataset_id, params, wanted_device, priority, not_before, time_limit_s)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ",
        new.id,
        new.kind,
        new.name,
        new.dataset_id,
        params,
        new.wanted_device,
        new.priority,
        new.not_before,
        new.time_limit_s
    )
    .execute(db)
    .await?;
    Ok(())
}

/// One of them.
///
/// # Errors
///
/// As [`insert`].
pub async fn find(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<Option<Job>> {
    sqlx::query_as!(
        Job,
        r#"
        select
            id as "id: JobId", kind as "kind: JobKind", name, state as "state: JobState",
            dataset_id as "dataset_id: DatasetId", params as "params: Json<Value>", priority,
            device, restarts, progress as "progress: Json<Value>", best as "best: Json<Value>", baseline as "baseline: Json<Value>",
            error, failure, hold, batch_divisor, not_before, time_limit_s,
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

/// Those before `before`, newest first.
///
/// # Errors
///
/// As [`insert`].
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
            device, restarts, progress as "progress: Json<Value>", best as "best: Json<Value>", baseline as "baseline: Json<Value>",
            error, failure, hold, batch_divisor, not_before, time_limit_s,
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

/// How many there are in each state.
///
/// # Errors
///
/// As [`insert`].
pub async fn counts(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<(JobState, i64)>> {
    let rows = sqlx::query!(
        r#"select state as "state: JobState", count(*) as "jobs!: i64" from job group by state"#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.state, row.jobs)).collect())
}

/// What is said of a job's new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said<'a> {
    /// A sentence for the user.
    pub error: Option<&'a str>,
    /// The name of a `Cause`, where that failed.
    pub failure: Option<&'a str>,
    /// The same, where the server pauses it by itself.
    pub hold: Option<&'a str>,
}

/// Moves a job from one state to another. Answers false when it was not in the first.
///
/// A job that goes back to the queue has its restarts anew if it had failed; one that is to be stopped and
/// holds no device waits for one.
///
/// # Errors
///
/// As [`insert`], and when there is no such change.
pub async fn set_state(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    from: JobState,
    to: JobState,
    said: Said<'_>,
) -> sqlx::Result<bool> {
    let is_terminal = to.is_terminal();
    let has_device = from.holds_device();
    let changed = sqlx::query!(
        "
        update job
        set state = ?3, error = ?4, failure = ?5, hold = ?6,
            finished_at = case when ?7 then strftime('%Y-%m-%dT%H:%M:%fZ', 'now') end,
            device = case when ?3 = 'stopping' and not ?8 then null else device end,
            restarts = case when ?2 = 'failed' then 0 else restarts end
        where id = ?1 and state = ?2
        ",
        id,
        from,
        to,
        said.error,
        said.failure,
        said.hold,
        is_terminal,
        has_device
    )
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Remembers the worker that has the job in hand.
///
/// # Errors
///
/// As [`insert`].
pub async fn set_worker(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    pid: i64,
    started: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update job set worker_pid = ?2, worker_started = ?3 where id = ?1",
        id,
        pid,
        started
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Says for how many seconds the job has held a device until now, whatever the clock on the wall says.
///
/// # Errors
///
/// As [`insert`].
pub async fn set_ran(db: impl SqliteExecutor<'_>, id: JobId, ran_s: f64) -> sqlx::Result<()> {
    sqlx::query!(
        "
        update job
        set ran_s = ?2,
            active_since = case when active_since is not null
                then strftime('%Y-%m-%dT%H:%M:%fZ', 'now') end
        where id = ?1
        ",
        id,
        ran_s
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes the job's batches half as large from now on.
///
/// # Errors
///
/// As [`insert`].
pub async fn shrink_batches(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("update job set batch_divisor = batch_divisor * 2 where id = ?", id)
        .execute(db)
        .await?;
    Ok(())
}

/// Counts one more restart.
///
/// # Errors
///
/// As [`insert`].
pub async fn count_restart(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("update job set restarts = restarts + 1 where id = ?", id).execute(db).await?;
    Ok(())
}

/// Moves the mark in `events.jsonl`. Answers false when it is not where it was thought to be.
///
/// # Errors
///
/// As [`insert`].
pub async fn advance_events(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    from: i64,
    to: i64,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "update job set events_read = ?3 where id = ?1 and events_read = ?2",
        id,
        from,
        to
    )
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Goes back to the end of an `events.jsonl` that is shorter than it was.
///
/// # Errors
///
/// As [`insert`].
pub async fn rewind_events(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    from: i64,
    to: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update job set events_read = ?3 where id = ?1 and events_read = ?2",
        id,
        from,
        to
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Sets the progress that clients see.
///
/// # Errors
///
/// As [`insert`].
pub async fn set_progress(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    progress: &Value,
) -> sqlx::Result<()> {
    let progress = Json(progress);
    sqlx::query!("update job set progress = ?2 where id = ?1", id, progress).execute(db).await?;
    Ok(())
}

/// Sets the best epoch so far.
///
/// # Errors
///
/// As [`insert`].
pub async fn set_best(db: impl SqliteExecutor<'_>, id: JobId, best: &Value) -> sqlx::Result<()> {
    let best = Json(best);
    sqlx::query!("update job set best = ?2 where id = ?1", id, best).execute(db).await?;
    Ok(())
}

/// Sets the untouched model's measures.
///
/// # Errors
///
/// As [`insert`].
pub async fn set_baseline(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    metrics: &Value,
) -> sqlx::Result<()> {
    let metrics = Json(metrics);
    sqlx::query!("update job set baseline = ?2 where id = ?1", id, metrics).execute(db).await?;
    Ok(())
}

/// Deletes a job that has ended, with its model, unless a job that has not ended starts from that
/// model or measures it. Answers whether it did.
///
/// # Errors
///
/// As [`insert`].
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
        datasets::insert(db, dataset_id, "faces").await.unwrap();
        let params = json!({"init": "mediapipe"});
        let new = NewJob {
            id,
            kind: JobKind::Train,
            name: "job",
            dataset_id,
            params: &params,
            wanted_device: device,
            priority,
            not_before: None,
            time_limit_s: None,
        };
        insert(db, new).await.unwrap();
        id
    }

    #[tokio::test]
    async fn a_state_changes_only_from_the_one_that_was_named() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "auto", 0).await;
        let wrong =
            set_state(&db, id, JobState::Running, JobState::Completed, Said::default()).await;
        assert!(!wrong.unwrap());
        assert!(
            set_state(&db, id, JobState::Queued, JobState::Cancelled, Said::default())
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
        set_state(&db, id, JobState::Queued, JobState::Failed, Said::default()).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_data_set_that_a_job_waits_for_is_not_deleted() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "auto", 0).await;
        let dataset = find(&db, id).await.unwrap().unwrap().dataset_id.unwrap();
        datasets::set_ready(&db, dataset, "abc", &json!({})).await.unwrap();
        assert!(!datasets::delete_unused(&db, dataset).await.unwrap());
        set_state(&db, id, JobState::Queued, JobState::Cancelled, Said::default()).await.unwrap();
        assert!(datasets::delete_unused(&db, dataset).await.unwrap());
        assert_eq!(find(&db, id).await.unwrap().unwrap().dataset_id, None);
    }

    #[tokio::test]
    async fn names_of_states_are_those_of_the_database() {
        for state in JobState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), json!(state.name()));
        }
    }
}
