//! Table `deletion`: files of ended jobs whose deletion has begun or is about to.

use sqlx::SqliteExecutor;

use super::ids::JobId;
use super::jobs::JobState;

/// Which files of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum JobPart {
    /// The checkpoint before the last one.
    PreviousCheckpoint,
    /// Both.
    Checkpoints,
    /// Everything large: both checkpoints, the artifacts and the model.
    Files,
}

/// A job that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedJob {
    /// Its id.
    pub id: JobId,
    /// How.
    pub state: JobState,
    /// Its model has a tag, another was made from it, or a job trains it further or measures it.
    pub is_needed: bool,
}

/// Every job that has ended, newest first.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
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

/// Records that a part of a job will be deleted. Returns false when that was recorded before, or must not happen: the
/// job is running again, or its model is needed.
///
/// # Errors
///
/// The same as [`ended`].
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

/// Recorded deletions that are not finished.
///
/// # Errors
///
/// The same as [`ended`].
pub async fn intended(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<(JobId, JobPart)>> {
    let rows = sqlx::query!(
        r#"select job_id as "id: JobId", part as "part: JobPart" from deletion order by job_id, part"#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.id, row.part)).collect())
}

/// Forgets a deletion that is finished.
///
/// # Errors
///
/// The same as [`ended`].
pub async fn done(db: impl SqliteExecutor<'_>, id: JobId, part: JobPart) -> sqlx::Result<()> {
    sqlx::query!("delete from deletion where job_id = ? and part = ?", id, part)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes the model of a job.
///
/// # Errors
///
/// The same as [`ended`].
pub async fn forget_model(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("delete from model where job_id = ?", id).execute(db).await?;
    Ok(())
}
