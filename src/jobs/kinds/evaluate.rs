//! Evaluation jobs.

use anyhow::Context;

use super::refuse_back_without_torch;
use crate::jobs::Jobs;
use crate::jobs::submit_error::SubmitError;
use crate::protocol::evaluate_spec::{
    EvaluateParams, EvaluationSpec, MEDIAPIPE, ModelChoice, NamedModel, SplitChoice,
};
use crate::protocol::job_spec::Work;
use crate::store;
use crate::store::datasets::Dataset;
use crate::store::jobs::Job;

/// Checks that the models and the pictures exist.
pub(super) async fn check(
    db: &mut store::Connection,
    dataset: Option<&Dataset>,
    params: &EvaluateParams,
) -> Result<(), SubmitError> {
    let models = [
        ("model_id", "/model_id", Some(params.model_id)),
        ("compare_with", "/compare_with", params.compare_with),
    ];
    for (field, pointer, model) in models {
        let Some(ModelChoice::Model(id)) = model else { continue };
        let id = id.into();
        let model = store::models::find(&mut *db, id).await?;
        let model = model.ok_or(SubmitError::MissingModel { field, id })?;
        refuse_back_without_torch(pointer, &model)?;
    }
    let images = dataset.and_then(|dataset| images(dataset, params.split));
    if params.split != SplitChoice::All && images == Some(0) {
        return Err(SubmitError::EmptySplit(params.split));
    }
    Ok(())
}

fn images(dataset: &Dataset, split: SplitChoice) -> Option<u64> {
    dataset.summary.as_ref()?["splits"][split.name()]["images"].as_u64()
}

pub(super) async fn work(jobs: &Jobs, job: &Job, params: &EvaluateParams) -> anyhow::Result<Work> {
    let id = job.dataset_id.context("the job's data set was deleted")?;
    let dataset = store::datasets::find(&jobs.0.db, id).await?;
    let mut models = Vec::new();
    for model in [Some(params.model_id), params.compare_with].into_iter().flatten() {
        models.push(named_model(jobs, model).await?);
    }
    Ok(Work::Evaluate(EvaluationSpec {
        dataset: dataset.context("the job's data set was deleted")?.name,
        dataset_dir: jobs.0.folder.dataset(id),
        split: params.split,
        models,
        device: super::device_of(job)?,
        threads: jobs.threads(),
    }))
}

async fn named_model(jobs: &Jobs, model: ModelChoice) -> anyhow::Result<NamedModel> {
    let ModelChoice::Model(id) = model else {
        return Ok(NamedModel { name: MEDIAPIPE.to_owned(), file: None });
    };
    let model = store::models::find(&jobs.0.db, id.into()).await?;
    let model = model.with_context(|| format!("model {id} was deleted"))?;
    let file = jobs.weights_file(&model);
    let file = file.with_context(|| format!("model {id} has no weights file"))?;
    Ok(NamedModel { name: model.name, file: Some(file) })
}
