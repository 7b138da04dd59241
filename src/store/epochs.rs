//! The `epoch` table: the metrics of jobs, one row per epoch.

use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::JobId;
use crate::protocol::metrics::MetricsRow;

/// Adds an epoch's row, or replaces the existing one.
///
/// # Errors
///
/// Any database error.
pub async fn put(db: impl SqliteExecutor<'_>, job_id: JobId, row: &MetricsRow) -> sqlx::Result<()> {
    let (epoch, row) = (row.epoch, Json(row));
    sqlx::query!(
        "insert or replace into epoch (job_id, epoch, row) values (?, ?, ?)",
        job_id,
        epoch,
        row
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Returns all rows of a job in order.
///
/// # Errors
///
/// Any database error.
pub async fn of_job(db: impl SqliteExecutor<'_>, job_id: JobId) -> sqlx::Result<Vec<Value>> {
    let rows = sqlx::query_scalar!(
        r#"select row as "row: Json<Value>" from epoch where job_id = ? order by epoch"#,
        job_id
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|Json(row)| row).collect())
}
