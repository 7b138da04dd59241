//! What the job's worker has reported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use crate::protocol::metrics::ValMetrics;
use crate::store::ids::JobId;

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JobProgress {
    /// The current epoch, from 1; 0 while the base model is measured, and for a job that does not train.
    pub epoch: u32,
    /// Epochs in all; 0 for a job that does not train.
    pub epochs: u32,
    /// Steps done in this epoch; pictures measured, for a job that does not train.
    pub step: u32,
    /// Steps per epoch; pictures to measure, for a job that does not train.
    pub steps: u32,
    /// Training views or pictures per second.
    pub images_per_s: Option<f64>,
    /// Seconds until the end.
    pub eta_s: Option<f64>,
}

/// The best epoch of a job so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BestEpoch {
    /// From 1.
    pub epoch: u32,
    /// What it measured.
    pub metrics: ValMetrics,
}

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
/// The same as [`advance_events`].
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
/// The same as [`advance_events`].
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
/// The same as [`advance_events`].
pub async fn set_best(db: impl SqliteExecutor<'_>, id: JobId, best: BestEpoch) -> sqlx::Result<()> {
    let best = Json(best);
    sqlx::query!("update job set best = ?2 where id = ?1", id, best).execute(db).await?;
    Ok(())
}

/// Sets the base model's measures.
///
/// # Errors
///
/// The same as [`advance_events`].
pub async fn set_baseline(
    db: impl SqliteExecutor<'_>,
    id: JobId,
    metrics: &ValMetrics,
) -> sqlx::Result<()> {
    let metrics = Json(metrics);
    sqlx::query!("update job set baseline = ?2 where id = ?1", id, metrics).execute(db).await?;
    Ok(())
}
