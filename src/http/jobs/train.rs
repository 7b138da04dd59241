//! `POST /jobs` with `"kind": "train"`.

use axum::Json;
use serde::Deserialize;
use serde_json::Value;

use super::when::when;
use crate::http::extract::typed;
use crate::http::fields::wrong_name;
use crate::http::problem::{Problem, Result, Wrong};
use crate::jobs::{Submission, Task};
use crate::protocol::train_spec::TrainSpec;
use crate::protocol::train_spec::presets;
use crate::store::ids::DatasetId;
use crate::store::job_kind::JobKind;

/// The body: the data set and the training parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainBody {
    #[serde(rename = "kind")]
    _kind: JobKind,
    name: Option<String>,
    dataset_id: DatasetId,
    #[serde(default)]
    params: TrainSpec,
    #[serde(default)]
    priority: i64,
    not_before: Option<String>,
    time_limit_s: Option<i64>,
}

/// Returns the job that the body describes, or a problem with its invalid fields.
pub(super) fn submission(mut value: Value) -> Result<Submission> {
    if let Some(params) = value.get_mut("params") {
        presets::expand(params);
    }
    let TrainBody { name, dataset_id, params, priority, not_before, time_limit_s, .. } =
        typed(value)?;
    let (when, mut wrong) = when(priority, not_before.as_deref(), time_limit_s);
    wrong.extend(name.as_deref().and_then(wrong_name));
    if let Err(violations) = params.check() {
        wrong.extend(violations.into_iter().map(|violation| Wrong {
            pointer: format!("/params{}", violation.pointer),
            detail: violation.detail,
        }));
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let name = name.map_or_else(|| "Unnamed".to_owned(), |name| name.trim().to_owned());
    Ok(Submission { name, dataset_id: Some(dataset_id), task: Task::Train(Box::new(params)), when })
}

/// `GET /schema/train`
pub(super) async fn schema() -> Json<Value> {
    Json(TrainSpec::schema())
}
