//! The `deletion` table: files of ended jobs that are being deleted or soon will be.

use sqlx::SqliteExecutor;

use super::ids::JobId;
use super::jobs::JobState;

/// A part of a job's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum JobPart {
    /// The checkpoint before the last one.
    PreviousCheckpoint,
    /// Both checkpoints.
    Checkpoints,
    /// Everything large: both checkpoints, the artifacts and the model.
    Files,
}

/// A job that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedJob {
    /// The job's ID.
    pub id: JobId,
    /// The state in which it ended.
    pub state: JobState,
    /// Whether its model has a tag, another model was mixed from it, or a job trains or evaluates it.
    pub is_needed: bool,
}

/// Returns every job that has ended, newest first.
///
/// # Errors
///
/// Any database error.
pub async fn ended(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<EndedJob>> {
    sqlx::query_as!(
        EndedJob,
        r#"
        select id as "id: JobId", state as "state: JobState",
            id in (select job_id from needed_model) as "is_needed!: bool"
        from job where state in ('completed', 'cancelled', 'failed')
        order by id desc
        "#
    )
    .fetch_all(db)
    .await
}

/// Records that a part of a job's files will be deleted. Returns false if this was already recorded, if the job has
/// been resumed, or if the part includes a model that is needed.
///
/// # Errors
///
/// Any database error.
pub async fn intend(db: impl SqliteExecutor<'_>, id: JobId, part: JobPart) -> sqlx::Result<bool> {
    let intended = sqlx::query!(
        "
        insert into deletion (job_id, part)
        select id, ?2 from job
        where id = ?1 and state in ('completed', 'cancelled', 'failed')
            and (?2 <> 'files' or id not in (select job_id from needed_model))
        on conflict do nothing
        ",
        id,
        part
    );
    Ok(intended.execute(db).await?.rows_affected() == 1)
}

/// Returns the recorded deletions that are not finished.
///
/// # Errors
///
/// Any database error.
pub async fn intended(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<(JobId, JobPart)>> {
    let rows = sqlx::query!(
        r#"select job_id as "id: JobId", part as "part: JobPart" from deletion order by job_id, part"#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.id, row.part)).collect())
}

/// Removes the record of a finished deletion.
///
/// # Errors
///
/// Any database error.
pub async fn done(db: impl SqliteExecutor<'_>, id: JobId, part: JobPart) -> sqlx::Result<()> {
    sqlx::query!("delete from deletion where job_id = ? and part = ?", id, part)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes a job's model from the database.
///
/// # Errors
///
/// Any database error.
pub async fn forget_model(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("delete from model where job_id = ?", id).execute(db).await?;
    Ok(())
}
