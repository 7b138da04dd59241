//! The `model` table: imported, trained and mixed models. `MediaPipe`'s own model has no row.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::{JobId, ModelId};
use crate::model::layout::Variant;
use crate::protocol::events::Artifact;

/// A model as stored in the database.
#[derive(Debug, Clone)]
pub struct Model {
    /// The model's ID.
    pub id: ModelId,
    /// The name that the user gave it.
    pub name: String,
    /// Where it comes from.
    pub kind: ModelKind,
    /// The job that trained or mixed it; models mixed by earlier versions have none.
    pub job_id: Option<JobId>,
    /// The model it was mixed from.
    pub parent_id: Option<ModelId>,
    /// Its files, which are among the job's artifacts or in the model's own folder.
    pub files: Json<Vec<Artifact>>,
    /// Its metrics before and after training, if this server measured them.
    pub metrics: Option<Json<Value>>,
    /// The network that its weights belong to.
    pub variant: Json<Variant>,
    /// The user's tags.
    pub tags: Json<Vec<String>>,
    /// When it was created; RFC 3339.
    pub created_at: String,
}

/// Where a model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum ModelKind {
    /// From a user's file.
    Imported,
    /// From a training job of this server.
    Trained,
    /// From another model's weights and the base model's.
    Mixed,
}

/// A new model's values.
#[derive(Debug, Clone)]
pub struct NewModel<'a> {
    /// The model's ID.
    pub id: ModelId,
    /// The name that the user gave it.
    pub name: &'a str,
    /// The job that trained or mixed it, if any.
    pub job_id: Option<JobId>,
    /// The model it was mixed from, if any.
    pub parent_id: Option<ModelId>,
    /// Its files.
    pub files: &'a [Artifact],
    /// Its metrics before and after training, if they were measured.
    pub metrics: Option<&'a Value>,
}

/// Adds a model, unless its job already has one.
///
/// # Errors
///
/// Any database error.
pub async fn insert(db: impl SqliteExecutor<'_>, new: NewModel<'_>) -> sqlx::Result<()> {
    let kind = match (new.job_id, new.parent_id) {
        (_, Some(_)) => ModelKind::Mixed,
        (Some(_), None) => ModelKind::Trained,
        (None, None) => ModelKind::Imported,
    };
    let (files, metrics) = (Json(new.files), new.metrics.map(Json));
    sqlx::query!(
        "
        insert into model (id, name, kind, job_id, parent_id, files, metrics)
        values (?, ?, ?, ?, ?, ?, ?)
        on conflict (job_id) do nothing
        ",
        new.id,
        new.name,
        kind,
        new.job_id,
        new.parent_id,
        files,
        metrics
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Returns a model.
///
/// # Errors
///
/// Any database error.
pub async fn find(db: impl SqliteExecutor<'_>, id: ModelId) -> sqlx::Result<Option<Model>> {
    sqlx::query_as!(
        Model,
        r#"
        select
            id as "id: ModelId", name, kind as "kind: ModelKind", job_id as "job_id: JobId",
            parent_id as "parent_id: ModelId", files as "files: Json<Vec<Artifact>>", metrics as "metrics: Json<Value>",
            json_quote(variant) as "variant!: Json<Variant>", tags as "tags: Json<Vec<String>>", created_at
        from model where id = ?
        "#,
        id
    )
    .fetch_optional(db)
    .await
}

/// Returns up to `limit` models older than `before`, newest first.
///
/// # Errors
///
/// Any database error.
pub async fn page(
    db: impl SqliteExecutor<'_>,
    before: Option<ModelId>,
    limit: i64,
) -> sqlx::Result<Vec<Model>> {
    sqlx::query_as!(
        Model,
        r#"
        select
            id as "id: ModelId", name, kind as "kind: ModelKind", job_id as "job_id: JobId",
            parent_id as "parent_id: ModelId", files as "files: Json<Vec<Artifact>>", metrics as "metrics: Json<Value>",
            json_quote(variant) as "variant!: Json<Variant>", tags as "tags: Json<Vec<String>>", created_at
        from model where ?1 is null or id < ?1
        order by id desc limit ?2
        "#,
        before,
        limit
    )
    .fetch_all(db)
    .await
}

/// Sets which network a model's weights belong to.
///
/// # Errors
///
/// Any database error.
pub async fn set_variant(
    db: impl SqliteExecutor<'_>,
    id: ModelId,
    variant: Variant,
) -> sqlx::Result<()> {
    let variant = variant.name();
    sqlx::query!("update model set variant = ? where id = ?", variant, id).execute(db).await?;
    Ok(())
}

/// Changes a model's name and tags; `None` leaves a value unchanged. Returns whether the model exists.
///
/// # Errors
///
/// Any database error.
pub async fn describe(
    db: impl SqliteExecutor<'_>,
    id: ModelId,
    name: Option<&str>,
    tags: Option<&[String]>,
) -> sqlx::Result<bool> {
    let tags = tags.map(Json);
    let changed = sqlx::query!(
        "update model set name = coalesce(?, name), tags = coalesce(?, tags) where id = ?",
        name,
        tags,
        id
    )
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Returns everything that needs a model: the models that were mixed from it and the unfinished jobs that use it, each
/// as `model …` or `job …`.
///
/// # Errors
///
/// Any database error.
pub async fn dependents(db: impl SqliteExecutor<'_>, id: ModelId) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select 'model ' || id as "text!: String" from model where parent_id = ?1
        union all
        select 'job ' || id from job
        where ?1 in (params ->> '$.init', params ->> '$.model_id', params ->> '$.compare_with')
            and state not in ('completed', 'cancelled', 'failed')
        "#,
        id
    )
    .fetch_all(db)
    .await
}

/// Deletes a model that nothing needs and that belongs to no job. Returns whether it was deleted.
///
/// # Errors
///
/// Any database error.
pub async fn delete_unused(db: impl SqliteExecutor<'_>, id: ModelId) -> sqlx::Result<bool> {
    let deleted = sqlx::query!(
        "
        delete from model
        where id = ?1 and job_id is null
            and not exists (select 1 from model as other where other.parent_id = ?1)
            and not exists (
                select 1 from job
                where ?1 in (params ->> '$.init', params ->> '$.model_id', params ->> '$.compare_with')
                    and state not in ('completed', 'cancelled', 'failed'))
        ",
        id
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected() == 1)
}
