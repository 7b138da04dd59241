//! The `artifact` table: the files that jobs have produced.

use sqlx::SqliteExecutor;

use super::ids::JobId;
use crate::protocol::events::Artifact;

/// Adds an artifact, or replaces the one with the same name.
///
/// # Errors
///
/// Any database error.
pub async fn put(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    artifact: &Artifact,
) -> sqlx::Result<()> {
    let size_bytes = artifact.size_bytes.cast_signed();
    sqlx::query!(
        "insert or replace into artifact (job_id, name, size_bytes, sha256) values (?, ?, ?, ?)",
        job_id,
        artifact.name,
        size_bytes,
        artifact.sha256
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Returns a job's artifacts, sorted by name.
///
/// # Errors
///
/// Any database error.
pub async fn of_job(db: impl SqliteExecutor<'_>, job_id: JobId) -> sqlx::Result<Vec<Artifact>> {
    let rows = sqlx::query!(
        "select name, size_bytes, sha256 from artifact where job_id = ? order by name",
        job_id
    );
    let artifacts = rows.fetch_all(db).await?.into_iter().map(|row| Artifact {
        name: row.name,
        size_bytes: row.size_bytes.cast_unsigned(),
        sha256: row.sha256,
    });
    Ok(artifacts.collect())
}

/// Removes a job's artifacts from the table; the files stay.
///
/// # Errors
///
/// Any database error.
pub async fn forget(db: impl SqliteExecutor<'_>, job_id: JobId) -> sqlx::Result<()> {
    sqlx::query!("delete from artifact where job_id = ?", job_id).execute(db).await?;
    Ok(())
}
