//! The `dataset` table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::DatasetId;
use crate::data::LabelOptions;

/// A data set as stored in the database.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The data set's ID.
    pub id: DatasetId,
    /// The name that the user gave it.
    pub name: String,
    /// The status of its import.
    pub status: DatasetStatus,
    /// Why its import failed.
    pub error: Option<String>,
    /// SHA-256 of its content.
    pub content_hash: Option<String>,
    /// Counts and the import's report.
    pub summary: Option<Json<Value>>,
    /// What the user said about the labels.
    pub import_options: Json<LabelOptions>,
    /// When it was created; RFC 3339.
    pub created_at: String,
    /// When the import ended.
    pub finished_at: Option<String>,
    /// The oldest other data set with the same content.
    pub same_as: Option<DatasetId>,
}

/// The status of a data set's import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum DatasetStatus {
    /// The archive has been uploaded but not imported yet.
    Importing,
    /// The data set is ready for training.
    Ready,
    /// The import failed.
    Failed,
}

/// Adds a data set that has not been imported yet.
///
/// # Errors
///
/// Any database error.
pub async fn insert(
    db: impl SqliteExecutor<'_>,
    id: DatasetId,
    name: &str,
    options: &LabelOptions,
) -> sqlx::Result<()> {
    let options = Json(options);
    sqlx::query!(
        "insert into dataset (id, name, import_options) values (?, ?, ?)",
        id,
        name,
        options
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Returns a data set.
///
/// # Errors
///
/// Any database error.
pub async fn find(db: impl SqliteExecutor<'_>, id: DatasetId) -> sqlx::Result<Option<Dataset>> {
    sqlx::query_as!(
        Dataset,
        r#"
        select
            id as "id: DatasetId", name, status as "status: DatasetStatus", error, content_hash,
            summary as "summary: Json<Value>", import_options as "import_options: Json<LabelOptions>",
            created_at, finished_at,
            (
                select min(other.id) from dataset as other
                where other.content_hash = dataset.content_hash and other.id < dataset.id
            ) as "same_as: DatasetId"
        from dataset where id = ?
        "#,
        id
    )
    .fetch_optional(db)
    .await
}

/// Returns up to `limit` data sets older than `before`, newest first.
///
/// # Errors
///
/// Any database error.
pub async fn page(
    db: impl SqliteExecutor<'_>,
    before: Option<DatasetId>,
    limit: i64,
) -> sqlx::Result<Vec<Dataset>> {
    sqlx::query_as!(
        Dataset,
        r#"
        select
            id as "id: DatasetId", name, status as "status: DatasetStatus", error, content_hash,
            summary as "summary: Json<Value>", import_options as "import_options: Json<LabelOptions>",
            created_at, finished_at,
            (
                select min(other.id) from dataset as other
                where other.content_hash = dataset.content_hash and other.id < dataset.id
            ) as "same_as: DatasetId"
        from dataset where ?1 is null or id < ?1
        order by id desc limit ?2
        "#,
        before,
        limit
    )
    .fetch_all(db)
    .await
}

/// Returns the data sets whose import has not ended, oldest first.
///
/// # Errors
///
/// Any database error.
pub async fn importing(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<DatasetId>> {
    sqlx::query_scalar!(
        r#"select id as "id: DatasetId" from dataset where status = 'importing' order by id"#
    )
    .fetch_all(db)
    .await
}

/// Returns the newest data set that was imported with these options from an archive with this SHA-256, in hexadecimal.
///
/// # Errors
///
/// Any database error.
pub async fn of_archive(
    db: impl SqliteExecutor<'_>,
    sha256: &str,
    options: &LabelOptions,
) -> sqlx::Result<Option<DatasetId>> {
    let options = Json(options);
    sqlx::query_scalar!(
        r#"
        select id as "id: DatasetId" from dataset
        where status = 'ready' and json_extract(summary, '$.archive_sha256') = ? and import_options = ?
        order by id desc limit 1
        "#,
        sha256,
        options
    )
    .fetch_optional(db)
    .await
}

/// Records that the import succeeded.
///
/// # Errors
///
/// Any database error.
pub async fn set_ready(
    db: impl SqliteExecutor<'_>,
    id: DatasetId,
    content_hash: &str,
    summary: &Value,
) -> sqlx::Result<()> {
    let summary = Json(summary);
    sqlx::query!(
        "
        update dataset
        set status = 'ready', content_hash = ?2, summary = ?3,
            finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
        where id = ?1 and status = 'importing'
        ",
        id,
        content_hash,
        summary
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Records that the import failed.
///
/// # Errors
///
/// Any database error.
pub async fn set_failed(
    db: impl SqliteExecutor<'_>,
    id: DatasetId,
    error: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "
        update dataset
        set status = 'failed', error = ?2, finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
        where id = ?1 and status = 'importing'
        ",
        id,
        error
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes a data set unless an unfinished job needs it. Returns whether it was deleted.
///
/// # Errors
///
/// Any database error.
pub async fn delete_unused(db: impl SqliteExecutor<'_>, id: DatasetId) -> sqlx::Result<bool> {
    let deleted = sqlx::query!(
        "
        delete from dataset
        where id = ?1 and not exists (
            select 1 from job
            where dataset_id = ?1 and state not in ('completed', 'cancelled', 'failed'))
        ",
        id
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::empty;
    use serde_json::json;

    #[tokio::test]
    async fn pages_list_data_sets_from_newest_to_oldest() {
        let (_folder, db) = empty().await;
        for number in 0..5 {
            insert(&db, DatasetId::new(), &number.to_string(), &LabelOptions::default())
                .await
                .unwrap();
        }
        let first = page(&db, None, 3).await.unwrap();
        let second = page(&db, Some(first[2].id), 3).await.unwrap();
        let names: Vec<_> = first.iter().chain(&second).map(|set| set.name.as_str()).collect();
        assert_eq!(names, ["4", "3", "2", "1", "0"]);
    }

    #[tokio::test]
    async fn an_import_ends_only_once() {
        let (_folder, db) = empty().await;
        let id = DatasetId::new();
        insert(&db, id, "faces", &LabelOptions::default()).await.unwrap();
        set_ready(&db, id, "abc", &json!({"images": 3})).await.unwrap();
        set_failed(&db, id, "too late").await.unwrap();
        let dataset = find(&db, id).await.unwrap().unwrap();
        assert_eq!((dataset.status, dataset.error), (DatasetStatus::Ready, None));
        assert!(importing(&db).await.unwrap().is_empty());
        assert!(delete_unused(&db, id).await.unwrap());
    }
}
