//! Table `idempotency_key`: requests that must not be done twice.

use sqlx::SqliteExecutor;

use super::ids::JobId;

/// What a key was used for.
#[derive(Debug, Clone)]
pub struct Used {
    /// SHA-256 of the request's body.
    pub body_sha256: String,
    /// The job that it queued.
    pub job_id: JobId,
}

/// What a key was used for, if it was.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
pub async fn find(db: impl SqliteExecutor<'_>, key: &str) -> sqlx::Result<Option<Used>> {
    sqlx::query_as!(
        Used,
        r#"select body_sha256, job_id as "job_id: JobId" from idempotency_key where key = ?"#,
        key
    )
    .fetch_optional(db)
    .await
}

/// Remembers a key.
///
/// # Errors
///
/// The same as [`find`]; when the key is in use.
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
