//! A data set as clients see it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::data::options::ImportProgress;
use crate::data::{DatasetSummary, ImportReport, LabelOptions};
use crate::http::app::App;
use crate::store::datasets::{Dataset, DatasetStatus};
use crate::store::ids::DatasetId;

/// A data set as clients see it. Once imported, it also has its counts and its report.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Dataset")]
pub(super) struct DatasetView {
    pub(super) id: DatasetId,
    name: String,
    status: DatasetStatus,
    error: Option<String>,
    content_hash: Option<String>,
    /// An older data set with the same pictures and labels.
    same_as: Option<DatasetId>,
    progress: Option<ImportProgress>,
    /// What the upload said about the labels.
    import_options: LabelOptions,
    created_at: String,
    finished_at: Option<String>,
    #[serde(flatten)]
    #[schemars(with = "Option<Imported>")]
    summary: Map<String, Value>,
}

impl DatasetView {
    pub(super) fn new(app: &App, dataset: Dataset) -> Self {
        let Dataset { id, name, status, error, content_hash, summary, .. } = dataset;
        let Dataset { import_options, created_at, finished_at, same_as, .. } = dataset;
        let progress = match status {
            DatasetStatus::Importing => app.jobs.import_progress(id),
            DatasetStatus::Ready | DatasetStatus::Failed => None,
        };
        let summary = match summary.map(|summary| summary.0) {
            Some(Value::Object(summary)) => summary,
            _ => Map::new(),
        };
        Self {
            id,
            name,
            status,
            error,
            content_hash,
            same_as,
            progress,
            import_options: import_options.0,
            created_at,
            finished_at,
            summary,
        }
    }
}

/// Fields that only an imported data set has.
#[derive(Debug, Serialize, JsonSchema)]
struct Imported {
    #[serde(flatten)]
    summary: DatasetSummary,
    report: ImportReport,
}
