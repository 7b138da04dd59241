//! The `transition` table: the history of each job's states.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::SqliteExecutor;

use super::ids::JobId;
use super::jobs::JobState;

/// A change of a job's state, or a restart, which does not change the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Transition {
    /// When it happened; RFC 3339.
    pub time: String,
    /// The previous state; `None` for a new job.
    pub from: Option<JobState>,
    /// The new state; equal to `from` if a worker was replaced.
    pub to: JobState,
    /// Who made the change.
    pub actor: Actor,
    /// Why it was made.
    pub reason: String,
}

/// Who changed a job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum Actor {
    /// A user, through the API.
    User,
    /// The server, on its own.
    Server,
    /// The worker, through its reports.
    Worker,
}

/// Records a change.
///
/// # Errors
///
/// Any database error.
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

/// Returns a job's changes in order.
///
/// # Errors
///
/// Any database error.
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

/// Returns every change that the database allows.
///
/// # Errors
///
/// Any database error.
pub async fn legal(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<(JobState, JobState)>> {
    let rows = sqlx::query!(
        r#"
        select from_state as "from: JobState", to_state as "to: JobState" from legal_transition
        "#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.from, row.to)).collect())
}
