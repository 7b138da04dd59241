//! Table `transition`: how jobs came to their states.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::SqliteExecutor;

use super::ids::JobId;
use super::jobs::JobState;

/// A change of a job's state, or a restart, which leaves the state as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Transition {
    /// RFC 3339.
    pub time: String,
    /// `None` for a new job.
    pub from: Option<JobState>,
    /// The same as `from` when a worker was replaced.
    pub to: JobState,
    /// Who made it.
    pub actor: Actor,
    /// Why.
    pub reason: String,
}

/// Who changes a job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum Actor {
    /// Through the API.
    User,
    /// The server, by itself.
    Server,
    /// The worker, by what it reported.
    Worker,
}

/// Records a change.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
pub async fn insert(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    from: Option<JobState>,
    to: JobState,
    actor: Actor,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into transition (job_id, from_state, to_state, actor, reason) values (?, ?, ?, ?, ?)",
        job_id,
        from,
        to,
        actor,
        reason
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A job's changes, in order.
///
/// # Errors
///
/// The same as [`insert`].
pub async fn of_job(db: impl SqliteExecutor<'_>, job_id: JobId) -> sqlx::Result<Vec<Transition>> {
    sqlx::query_as!(
        Transition,
        r#"
        select time, from_state as "from: JobState", to_state as "to: JobState",
            actor as "actor: Actor", reason
        from transition where job_id = ? order by id
        "#,
        job_id
    )
    .fetch_all(db)
    .await
}

/// Every change that the database allows.
///
/// # Errors
///
/// The same as [`insert`].
pub async fn legal(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<(JobState, JobState)>> {
    let rows = sqlx::query!(
        r#"
        select from_state as "from: JobState", to_state as "to: JobState" from legal_transition
        "#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.from, row.to)).collect())
}
