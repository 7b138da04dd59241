//! The `idempotency_key` table: requests that must not be executed twice.

use sqlx::SqliteExecutor;

use super::ids::JobId;

/// The request that used a key.
#[derive(Debug, Clone)]
pub struct Used {
    /// SHA-256 of the request's body.
    pub body_sha256: String,
    /// The job that it queued.
    pub job_id: JobId,
}

/// Returns the request that used a key, if any.
///
/// # Errors
///
/// Any database error.
pub async fn find(db: impl SqliteExecutor<'_>, key: &str) -> sqlx::Result<Option<Used>> {
    sqlx::query_as!(
        Used,
        r#"select body_sha256, job_id as "job_id: JobId" from idempotency_key where key = ?"#,
        key
    )
    .fetch_optional(db)
    .await
}

/// Stores the key of a request.
///
/// # Errors
///
/// Any database error, including a key that is already in use.
pub async fn insert(
    db: impl SqliteExecutor<'_>,
    key: &str,
    body_sha256: &str,
    job_id: JobId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into idempotency_key (key, body_sha256, job_id) values (?, ?, ?)",
        key,
        body_sha256,
        job_id
    )
    .execute(db)
    .await?;
    Ok(())
}
