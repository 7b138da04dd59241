//! What the job's worker has reported.

use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use crate::store::ids::JobId;

/// Moves the position in `events.jsonl`. Returns false when it is not at `from`.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
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
/// As [`advance_events`].
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
/// As [`advance_events`].
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
/// As [`advance_events`].
pub async fn set_best(db: impl SqliteExecutor<'_>, id: JobId, best: &Value) -> sqlx::Result<()> {
    let best = Json(best);
    sqlx::query!("update job set best = ?2 where id = ?1", id, best).execute(db).await?;
    Ok(())
}

/// Sets the base model's measures.
///
/// # Errors
///
/// As [`advance_events`].
pub async fn set_baseline(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    metrics: &Value,
) -> sqlx::Result<()> {
    let metrics = Json(metrics);
    sqlx::query!("update job set baseline = ?2 where id = ?1", id, metrics).execute(db).await?;
    Ok(())
}
