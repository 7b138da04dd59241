//! Table `event`: what clients are told of a job, in order.

use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::JobId;

/// One of them.
#[derive(Debug, Clone)]
pub struct Event {
    /// Grows with time, over all jobs.
    pub id: i64,
    /// `started`, `step`, `epoch`, `sample` or `state`.
    pub kind: String,
    /// JSON.
    pub body: String,
}

/// What a new event needs.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// `started`, `step`, `epoch`, `sample` or `state`.
    pub kind: &'a str,
    /// That it belongs to.
    pub epoch: Option<u32>,
    /// What clients get.
    pub body: &'a Value,
}

/// Adds one.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
pub async fn insert(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    new: NewEvent<'_>,
) -> sqlx::Result<()> {
    let body = Json(new.body);
    sqlx::query!(
        "insert into event (job_id, type, epoch, body) values (?, ?, ?, ?)",
        job_id,
        new.kind,
        new.epoch,
        body
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Those of a job after `after`, in order.
///
/// # Errors
///
/// As [`insert`].
pub async fn after(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<Event>> {
    sqlx::query_as!(
        Event,
        r#"
        select id as "id!", type as kind, body from event
        where job_id = ? and id > ? order by id limit ?
        "#,
        job_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

/// The sample detections of an epoch, or the latest.
///
/// # Errors
///
/// As [`insert`].
pub async fn sample(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    epoch: Option<u32>,
) -> sqlx::Result<Option<Value>> {
    let body = sqlx::query_scalar!(
        r#"
        select body as "body: Json<Value>" from event
        where job_id = ?1 and type = 'sample' and (?2 is null or epoch = ?2)
        order by id desc limit 1
        "#,
        job_id,
        epoch
    );
    Ok(body.fetch_optional(db).await?.map(|Json(body)| body))
}

/// Forgets the steps of epochs up to this one: its row says what they said.
///
/// # Errors
///
/// As [`insert`].
pub async fn forget_steps(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    epoch: u32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from event where job_id = ? and type = 'step' and epoch <= ?",
        job_id,
        epoch
    )
    .execute(db)
    .await?;
    Ok(())
}
