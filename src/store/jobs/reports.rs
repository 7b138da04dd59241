//! What a job's worker has reported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use crate::protocol::metrics::ValMetrics;
use crate::store::ids::JobId;

/// A job's progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JobProgress {
    /// The current epoch, from 1; 0 while the base model is measured, and always 0 for a job that does not train.
    pub epoch: u32,
    /// The total number of epochs; 0 for a job that does not train.
    pub epochs: u32,
    /// Steps done in this epoch, or pictures done for a job that does not train.
    pub step: u32,
    /// Steps per epoch, or the total number of pictures for a job that does not train.
    pub steps: u32,
    /// Training views per second, or pictures per second for a job that does not train.
    pub images_per_s: Option<f64>,
    /// Estimated seconds until the job ends.
    pub eta_s: Option<f64>,
}

/// A job's best epoch so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BestEpoch {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Its metrics.
    pub metrics: ValMetrics,
}

/// Moves the read position in `events.jsonl` from `from` to `to`. Returns false if it is not at `from`.
///
/// # Errors
///
/// Any database error.
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

/// Moves the read position back to the end of an `events.jsonl` that has become shorter.
///
/// # Errors
///
/// Any database error.
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
/// Any database error.
pub async fn set_progress(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    progress: JobProgress,
) -> sqlx::Result<()> {
    let progress = Json(progress);
    sqlx::query!("update job set progress = ?2 where id = ?1", id, progress).execute(db).await?;
    Ok(())
}

/// Sets the best epoch so far.
///
/// # Errors
///
/// Any database error.
pub async fn set_best(db: impl SqliteExecutor<'_>, id: JobId, best: BestEpoch) -> sqlx::Result<()> {
    let best = Json(best);
    sqlx::query!("update job set best = ?2 where id = ?1", id, best).execute(db).await?;
    Ok(())
}

/// Sets the base model's metrics.
///
/// # Errors
///
/// Any database error.
pub async fn set_baseline(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    metrics: &ValMetrics,
) -> sqlx::Result<()> {
    let metrics = Json(metrics);
    sqlx::query!("update job set baseline = ?2 where id = ?1", id, metrics).execute(db).await?;
    Ok(())
}
