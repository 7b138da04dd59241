//! Table `transition`: how jobs came to their states.

use sqlx::SqliteExecutor;

use super::ids::JobId;
use super::jobs::JobState;

/// Records one.
///
/// # Errors
///
/// When the database cannot be used.
pub async fn insert(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    from: Option<JobState>,
    to: JobState,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into transition (job_id, from_state, to_state, reason) values (?, ?, ?, ?)",
        job_id,
        from,
        to,
        reason
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The states a job was in, in order.
///
/// # Errors
///
/// As [`insert`].
pub async fn of_job(db: impl SqliteExecutor<'_>, job_id: JobId) -> sqlx::Result<Vec<JobState>> {
    sqlx::query_scalar!(
        r#"select to_state as "state: JobState" from transition where job_id = ? order by id"#,
        job_id
    )
    .fetch_all(db)
    .await
}
