//! Jobs that evaluate: what they may ask for, and what their worker needs to know.

use anyhow::Context;

use super::Jobs;
use super::submission::SubmitError;
use crate::protocol::evaluate_spec::{
    EvaluateParams, EvaluationSpec, MEDIAPIPE, ModelChoice, NamedModel, SplitChoice,
};
use crate::protocol::train_spec::DeviceChoice;
use crate::store;
use crate::store::datasets::Dataset;
use crate::store::jobs::Job;

/// Whether there is something to measure, and something to measure on.
pub(super) async fn check(
    db: &mut store::Connection,
    dataset: &Dataset,
    params: &EvaluateParams,
) -> Result<(), SubmitError> {
    let models = [("model_id", Some(params.model_id)), ("compare_with", params.compare_with)];
    for (field, model) in models {
        let Some(ModelChoice::Model(id)) = model else { continue };
        let id = id.into();
        if store::models::find(&mut *db, id).await?.is_none() {
            return Err(SubmitError::NothingToMeasure { field, id });
        }
    }
    if params.split != SplitChoice::All && images(dataset, params.split) == Some(0) {
        return Err(SubmitError::EmptySplit(params.split));
    }
    Ok(())
}

fn images(dataset: &Dataset, split: SplitChoice) -> Option<u64> {
    dataset.summary.as_ref()?["splits"][split.name()]["images"].as_u64()
}

impl Jobs {
    /// The job's `spec.json`. What goes wrong here ends the job: its text is for the user.
    pub(super) async fn evaluation(&self, job: &Job) -> anyhow::Result<EvaluationSpec> {
        let params: EvaluateParams = serde_json::from_value(job.params.0.clone())
            .context("the job's parameters are of another version of Blazetune")?;
        let device = job.device.clone().map_or(Ok(DeviceChoice::Auto), DeviceChoice::try_from);
        let id = job.dataset_id.context("the job's data set was deleted")?;
        let dataset = store::datasets::find(&self.0.db, id).await?;
        let mut models = Vec::new();
        for model in [Some(params.model_id), params.compare_with].into_iter().flatten() {
            models.push(self.named_model(model).await?);
        }
        Ok(EvaluationSpec {
            dataset: dataset.context("the job's data set was deleted")?.name,
            dataset_dir: self.0.folder.dataset(id),
            split: params.split,
            models,
            device: device.map_err(anyhow::Error::msg)?,
            threads: self.threads(),
        })
    }

    async fn named_model(&self, model: ModelChoice) -> anyhow::Result<NamedModel> {
        let ModelChoice::Model(id) = model else {
            return Ok(NamedModel { name: MEDIAPIPE.to_owned(), file: None });
        };
        let model = store::models::find(&self.0.db, id.into()).await?;
        let model = model.with_context(|| format!("the model {id} was deleted"))?;
        let file = self.weights_file(&model);
        let file = file.with_context(|| format!("the model {id} has no weights file"))?;
        Ok(NamedModel { name: model.name, file: Some(file) })
    }
}
