//! `POST /jobs` with `"kind": "evaluate"`.

use serde::Deserialize;
use serde_json::Value;

use super::when::when;
use crate::http::extract::typed;
use crate::http::fields::wrong_name;
use crate::http::problem::{Problem, Result, Wrong};
use crate::jobs::{Submission, Task};
use crate::protocol::evaluate_spec::{EvaluateParams, ModelChoice, SplitChoice};
use crate::store::ids::DatasetId;
use crate::store::job_kind::JobKind;

/// The body: which model to measure, and on which pictures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluateBody {
    #[serde(rename = "kind")]
    _kind: JobKind,
    name: Option<String>,
    dataset_id: DatasetId,
    model_id: ModelChoice,
    compare_with: Option<ModelChoice>,
    #[serde(default)]
    split: SplitChoice,
    #[serde(default)]
    priority: i64,
    not_before: Option<String>,
    time_limit_s: Option<i64>,
}

/// Returns the job that the body describes, or a problem with its invalid fields.
pub(super) fn submission(body: Value) -> Result<Submission> {
    let body: EvaluateBody = typed(body)?;
    let EvaluateBody { name, dataset_id, model_id, compare_with, split, .. } = &body;
    let (dataset_id, split) = (*dataset_id, *split);
    let (model_id, compare_with) = (*model_id, *compare_with);
    let (when, mut wrong) = when(body.priority, body.not_before.as_deref(), body.time_limit_s);
    wrong.extend(name.as_deref().and_then(wrong_name));
    if compare_with == Some(model_id) {
        let detail = "is the same model; name another model or leave it out".to_owned();
        wrong.push(Wrong { pointer: "/compare_with".to_owned(), detail });
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let name = name.as_deref().map_or("Evaluation", str::trim).to_owned();
    let task = Task::Evaluate(EvaluateParams { model_id, compare_with, split });
    Ok(Submission { name, dataset_id: Some(dataset_id), task, when })
}
