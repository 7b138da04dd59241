//! Updates of a job's state and of what the server records about its worker.

use sqlx::SqliteExecutor;

use super::JobState;
use crate::store::ids::JobId;

/// Why a job is in its new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateNote<'a> {
    /// A message for the user.
    pub error: Option<&'a str>,
    /// The name of a `Cause`, if the job failed.
    pub failure: Option<&'a str>,
    /// The name of a `Cause`, if the server pauses the job on its own.
    pub hold: Option<&'a str>,
}

/// Moves a job from the state `from` to the state `to`. Returns false if the job was not in the state `from`.
///
/// A failed job that continues may restart as often as a new one. A job that is told to stop while it holds no device
/// waits for one.
///
/// # Errors
///
/// Any database error, including a change that the database does not allow.
pub async fn set_state(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    from: JobState,
    to: JobState,
    note: StateNote<'_>,
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
        note.error,
        note.failure,
        note.hold,
        is_terminal,
        has_device
    )
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Stores which process is the job's worker.
///
/// # Errors
///
/// Any database error.
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

/// Sets the number of seconds for which the job has held a device so far, measured independently of the wall clock.
///
/// # Errors
///
/// Any database error.
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

/// Halves the size of the job's batches from now on.
///
/// # Errors
///
/// Any database error.
pub async fn shrink_batches(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("update job set batch_divisor = batch_divisor * 2 where id = ?", id)
        .execute(db)
        .await?;
    Ok(())
}

/// Increments the job's number of restarts.
///
/// # Errors
///
/// Any database error.
pub async fn count_restart(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("update job set restarts = restarts + 1 where id = ?", id).execute(db).await?;
    Ok(())
}
