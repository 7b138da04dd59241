//! The `event` table: the events of jobs that clients receive, in order.

use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::JobId;
use crate::protocol::events::Started;

/// An event as stored in the database.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Increases over time, across all jobs.
    pub id: i64,
    /// `started`, `step`, `epoch`, `sample` or `state`.
    pub kind: String,
    /// The event as JSON.
    pub body: String,
}

/// A new event's values.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// `started`, `step`, `epoch`, `sample` or `state`.
    pub kind: &'a str,
    /// The epoch that it belongs to, if any.
    pub epoch: Option<u32>,
    /// What clients receive. It is empty for an `epoch` event, for which clients receive the epoch's row.
    pub body: &'a Value,
}

/// Adds an event.
///
/// # Errors
///
/// Any database error.
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

/// Returns up to `limit` of a job's events with an ID above `after`, in order.
///
/// # Errors
///
/// Any database error.
pub async fn after(
    db: impl SqliteExecutor<'_>,
    job_id: JobId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<StoredEvent>> {
    sqlx::query_as!(
        StoredEvent,
        r#"
        select id as "id!", type as kind,
            case when type = 'epoch'
                then coalesce((
                    select row from epoch
                    where epoch.job_id = event.job_id and epoch.epoch = event.epoch), body)
                else body end as "body!: String"
        from event
        where job_id = ? and id > ? order by id limit ?
        "#,
        job_id,
        after,
        limit
    )
    .fetch_all(db)
    .await
}

/// Returns the sample detections of an epoch, or the latest ones.
///
/// # Errors
///
/// Any database error.
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

/// Returns what the job's last worker reported when it started.
///
/// # Errors
///
/// Any database error.
pub async fn started(db: impl SqliteExecutor<'_>, job_id: JobId) -> sqlx::Result<Option<Started>> {
    let body = sqlx::query_scalar!(
        r#"
        select body as "body: Json<Started>" from event
        where job_id = ? and type = 'started' order by id desc limit 1
        "#,
        job_id
    );
    Ok(body.fetch_optional(db).await?.map(|Json(started)| started))
}

/// Deletes the `step` events of all epochs up to this one. The epochs' rows contain the same information.
///
/// # Errors
///
/// Any database error.
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

/// Deletes `step` events and most sample detections of a job that has ended. The sample detections of epochs 0, 1, 2,
/// 4, 8 and so on, of the best epoch and of the last epoch are kept.
///
/// # Errors
///
/// Any database error.
pub async fn thin(db: impl SqliteExecutor<'_>, job_id: JobId) -> sqlx::Result<()> {
    sqlx::query!(
        "
        delete from event
        where job_id = ?1 and (type = 'step' or type = 'sample'
            and (epoch & (epoch - 1)) <> 0
            and epoch <> (
                select max(last.epoch) from event last
                where last.job_id = ?1 and last.type = 'sample')
            and epoch is not (select best ->> '$.epoch' from job where id = ?1))
        ",
        job_id
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::metrics::{MetricsRow, ValMetrics};
    use crate::store::epochs;
    use crate::store::jobs::{self, tests::queue};
    use crate::store::tests::empty;
    use serde_json::json;

    #[tokio::test]
    async fn thinning_keeps_all_epochs_and_the_samples_of_a_few() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "cpu", 0).await;
        let best = jobs::BestEpoch { epoch: 77, metrics: ValMetrics::default() };
        jobs::set_best(&db, id, best).await.unwrap();
        for epoch in 0..=100 {
            for kind in ["step", "sample", "epoch"] {
                let body = json!({"epoch": epoch});
                insert(&db, id, NewEvent { kind, epoch: Some(epoch), body: &body }).await.unwrap();
            }
        }
        thin(&db, id).await.unwrap();
        let kept = after(&db, id, 0, 1000).await.unwrap();
        let of = |kind: &str| -> Vec<u64> {
            let epoch = |event: &StoredEvent| {
                serde_json::from_str::<Value>(&event.body).unwrap()["epoch"].as_u64().unwrap()
            };
            kept.iter().filter(|event| event.kind == kind).map(epoch).collect()
        };
        assert_eq!(of("step"), [0; 0]);
        assert_eq!(of("sample"), [0, 1, 2, 4, 8, 16, 32, 64, 77, 100]);
        assert_eq!(of("epoch"), (0..=100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn an_epoch_event_is_sent_with_the_row_from_the_epoch_table() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "cpu", 0).await;
        let row = MetricsRow {
            epoch: 3,
            step: 9,
            time: "2026-01-01T00:00:00.000Z".to_owned(),
            lr: 0.5,
            images_per_s: 1.0,
            seconds: 1.0,
            is_best: true,
            train: None,
            diagnostics: None,
            val: ValMetrics::default(),
        };
        epochs::put(&db, id, &row).await.unwrap();
        let new = NewEvent { kind: "epoch", epoch: Some(3), body: &json!({}) };
        insert(&db, id, new).await.unwrap();
        let told = after(&db, id, 0, 9).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&told[0].body).unwrap(), json!(row));
    }
}
