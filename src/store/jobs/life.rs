//! Changes of a job's state, and of what the server notes about its workers.

use sqlx::SqliteExecutor;

use super::JobState;
use crate::store::ids::JobId;

/// Why a job is in its new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateNote<'a> {
    /// A sentence for the user.
    pub error: Option<&'a str>,
    /// The name of a `Cause`, for a job that failed.
    pub failure: Option<&'a str>,
    /// The name of a `Cause`, for a job that the server pauses by itself.
    pub hold: Option<&'a str>,
}

/// Moves a job from one state to another. Returns false when the job was not in the first state.
///
/// A failed job that goes back to the queue may restart as often as a new one. A job that is told to stop while it
/// holds no device waits for one.
///
/// # Errors
///
/// When the database cannot be used, and when there is no such change.
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

/// Remembers the worker of a job.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
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

/// Sets for how many seconds the job has held a device until now, whatever the wall clock says.
///
/// # Errors
///
/// The same as [`set_state`].
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

/// Halves the job's batches from now on.
///
/// # Errors
///
/// The same as [`set_state`].
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
/// The same as [`set_state`].
pub async fn count_restart(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("update job set restarts = restarts + 1 where id = ?", id).execute(db).await?;
    Ok(())
}
