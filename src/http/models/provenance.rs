//! The provenance of models.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::view::BASE;
use crate::http::app::App;
use crate::http::problem::Result;
use crate::store;
use crate::store::ids::{DatasetId, JobId};
use crate::store::models::{Model, ModelKind};

/// Where a model comes from.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Provenance {
    /// The model that it was made from: `base`, an ID, or `null` if it was trained from scratch or this is unknown.
    parent_id: Option<String>,
    job: Option<JobOrigin>,
    pub(super) dataset: Option<DatasetOrigin>,
    licence: &'static str,
}

/// The job that made a model.
#[derive(Debug, Serialize, JsonSchema)]
struct JobOrigin {
    id: JobId,
    name: String,
    #[schemars(with = "Map<String, Value>")]
    params: Value,
    finished_at: Option<String>,
}

/// The data set that a model was trained on.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DatasetOrigin {
    id: DatasetId,
    name: String,
    pub(super) content_hash: Option<String>,
}

const LICENCE: &str = "Apache-2.0 (MediaPipe's weights, Google)";

impl Provenance {
    /// Returns the provenance of the `MediaPipe` model.
    pub(super) fn of_base() -> Self {
        Self { licence: LICENCE, ..Self::default() }
    }
}

/// Returns where a model comes from.
pub(super) async fn provenance(app: &App, model: &Model) -> Result<Provenance> {
    let mut provenance = Provenance { licence: LICENCE, ..Provenance::default() };
    let Some(job) = model.job_id else {
        provenance.parent_id = model.parent_id.map(|id| id.to_string());
        if model.kind == ModelKind::Imported {
            provenance.licence = "set by its author";
        }
        return Ok(provenance);
    };
    let Some(job) = store::jobs::find(&app.db, job).await? else { return Ok(provenance) };
    provenance.parent_id = match (model.kind, job.params.0["init"].as_str()) {
        (ModelKind::Mixed, _) => model.parent_id.map(|id| id.to_string()),
        (_, Some("mediapipe") | None) => Some(BASE.to_owned()),
        (_, Some("scratch")) => None,
        (_, Some(id)) => Some(id.to_owned()),
    };
    if let Some(id) = job.dataset_id
        && let Some(dataset) = store::datasets::find(&app.db, id).await?
    {
        let (name, content_hash) = (dataset.name, dataset.content_hash);
        provenance.dataset = Some(DatasetOrigin { id, name, content_hash });
    }
    let (id, name, params) = (job.id, job.name, job.params.0);
    provenance.job = Some(JobOrigin { id, name, params, finished_at: job.finished_at });
    Ok(provenance)
}
