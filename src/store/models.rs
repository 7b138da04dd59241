//! Table `model`: imported, trained and mixed models. `MediaPipe`'s own has no row.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use super::ids::{JobId, ModelId};
use crate::model::layout::Variant;
use crate::protocol::events::Artifact;

/// A model, as the database knows it.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// The user's name for it.
    pub name: String,
    /// Where it comes from.
    pub kind: ModelKind,
    /// The job that trained or mixed it; models mixed by earlier versions have none.
    pub job_id: Option<JobId>,
    /// The model it was mixed from.
    pub parent_id: Option<ModelId>,
    /// Files in the job's artifacts, or in the model's own folder.
    pub files: Json<Vec<Artifact>>,
    /// What it measured before and after training, if it was trained here.
    pub metrics: Option<Json<Value>>,
    /// Which network its weights are of.
    pub variant: Json<Variant>,
    /// The user's.
    pub tags: Json<Vec<String>>,
    /// RFC 3339.
    pub created_at: String,
}

/// Where a model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum ModelKind {
    /// A user's file.
    Imported,
    /// A job of this server.
    Trained,
    /// Another model's weights and the base model's.
    Mixed,
}

/// What a new model needs.
#[derive(Debug, Clone)]
pub struct NewModel<'a> {
    /// Its id.
    pub id: ModelId,
    /// The user's name for it.
    pub name: &'a str,
    /// The job that trained or mixed it, if one did.
    pub job_id: Option<JobId>,
    /// The model it was mixed from, if it was.
    pub parent_id: Option<ModelId>,
    /// Its files.
    pub files: &'a [Artifact],
    /// What it measured before and after training.
    pub metrics: Option<&'a Value>,
}

/// Adds a model; a job's only once.
///
/// # Errors
///
/// When the database cannot be used, as for every function here.
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

/// One of them.
///
/// # Errors
///
/// The same as [`insert`].
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

/// Those older than `before`, newest first.
///
/// # Errors
///
/// The same as [`insert`].
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
/// The same as [`insert`].
pub async fn set_variant(
    db: impl SqliteExecutor<'_>,
    id: ModelId,
    variant: Variant,
) -> sqlx::Result<()> {
    let variant = variant.name();
    sqlx::query!("update model set variant = ? where id = ?", variant, id).execute(db).await?;
    Ok(())
}

/// Changes a model's name and tags; `None` leaves them. Returns whether there is such a model.
///
/// # Errors
///
/// The same as [`insert`].
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

/// What needs a model: others that were mixed from it, and jobs that have not ended. Each as `model …` or
/// `job …`.
///
/// # Errors
///
/// The same as [`insert`].
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

/// Deletes a model that nothing needs and that belongs to no job. Returns whether it did.
///
/// # Errors
///
/// The same as [`insert`].
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
