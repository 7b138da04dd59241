//! A model as clients see it.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::downloads;
use crate::http::problem::{Problem, Result};
use crate::model::layout::Variant;
use crate::protocol::events::Artifact;
use crate::protocol::metrics::ValMetrics;
use crate::protocol::mixing::Mixing;
use crate::protocol::score_shift::ScoreShift;
use crate::store;
use crate::store::ids::{JobId, ModelId};
use crate::store::models::{Model, ModelKind};

/// A model in a path or query: `base` or an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum ModelRef {
    Base,
    Id(ModelId),
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == BASE {
            return Ok(Self::Base);
        }
        let id = ModelId::from_str(&text);
        id.map(Self::Id).map_err(|_| serde::de::Error::custom("a model's ID is base or a UUID"))
    }
}

pub(super) const BASE: &str = "base";

/// A model as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Model")]
pub(super) struct ModelView {
    pub(super) id: String,
    name: String,
    kind: KindView,
    job_id: Option<JobId>,
    /// The model it was mixed from.
    parent_id: Option<ModelId>,
    files: Vec<Artifact>,
    /// The metrics, if the model was trained or mixed here.
    #[schemars(with = "Option<ModelMetrics>")]
    metrics: Option<Value>,
    /// The network: `short` (128 × 128) or `back` (256 × 256).
    #[schemars(with = "VariantName")]
    variant: Variant,
    tags: Vec<String>,
    /// The name of every file that can be downloaded, including those written on request.
    downloads: Vec<String>,
    created_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ModelKind")]
enum KindView {
    Base,
    Imported,
    Trained,
    Mixed,
}

impl From<Model> for ModelView {
    fn from(model: Model) -> Self {
        let downloads = downloads::of(&model);
        let Model { id, name, kind, job_id, parent_id, files, metrics, variant, tags, created_at } =
            model;
        Self {
            downloads,
            variant: variant.0,
            tags: tags.0,
            id: id.to_string(),
            name,
            kind: match kind {
                ModelKind::Imported => KindView::Imported,
                ModelKind::Trained => KindView::Trained,
                ModelKind::Mixed => KindView::Mixed,
            },
            job_id,
            parent_id,
            files: files.0,
            metrics: metrics.map(|metrics| metrics.0),
            created_at: Some(created_at),
        }
    }
}

pub(super) fn base() -> ModelView {
    ModelView {
        id: BASE.to_owned(),
        name: "MediaPipe BlazeFace, short range".to_owned(),
        kind: KindView::Base,
        job_id: None,
        parent_id: None,
        files: vec![downloads::base_file()],
        metrics: None,
        variant: Variant::Short,
        tags: Vec::new(),
        downloads: downloads::of_base(),
        created_at: None,
    }
}

/// Returns a trained, mixed or imported model, or a 404.
pub(super) async fn find(db: &store::Db, id: ModelId) -> Result<Model> {
    let model = store::models::find(db, id).await?;
    model.ok_or_else(|| Problem::not_found(format_args!("model {id}")))
}

/// A model's metrics on the validation pictures of its data set.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "describes JSON from the database")]
struct ModelMetrics {
    /// The best epoch; `null` for a mix.
    epoch: Option<u32>,
    /// The metrics of the delivered weights.
    best: Option<ValMetrics>,
    /// The base model's metrics.
    baseline: Option<ValMetrics>,
    retention: Option<Mixing>,
    /// How the scores were shifted; `null` if the job did not shift them, absent for models of earlier versions.
    #[serde(default)]
    score_shift: Option<ScoreShift>,
    /// The recommended `min_detection_confidence`; absent for models of earlier versions.
    #[serde(default)]
    recommended_threshold: Option<f64>,
}

/// The network: `short` (128 × 128) or `back` (256 × 256).
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a type without a schema")]
enum VariantName {
    Short,
    Back,
}
