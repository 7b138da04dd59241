//! Jobs that mix a model with the base model.

use std::path::PathBuf;

use anyhow::Context;

use crate::jobs::Jobs;
use crate::jobs::submit_error::SubmitError;
use crate::protocol::folder::UNMIXED;
use crate::protocol::job_spec::Work;
use crate::protocol::mix_spec::{MixParams, MixSpec};
use crate::store;
use crate::store::jobs::Job;
use crate::store::models::Model;

/// Checks that the model exists.
pub(super) async fn check(
    db: &mut store::Connection,
    params: &MixParams,
) -> Result<(), SubmitError> {
    let id = params.model_id.into();
    let model = store::models::find(db, id).await?;
    model.map(|_| ()).ok_or(SubmitError::MissingModel { field: "model_id", id })
}

pub(super) async fn work(jobs: &Jobs, job: &Job, params: &MixParams) -> anyhow::Result<Work> {
    let id = params.model_id;
    let model = store::models::find(&jobs.0.db, id.into()).await?;
    let model = model.with_context(|| format!("model {id} was deleted"))?;
    let file = tuned_weights(jobs, &model);
    Ok(Work::Mix(MixSpec {
        weights_file: file.with_context(|| format!("model {id} has no weights file"))?,
        retain: params.retain,
        calibrate_scores: params.calibrate_scores,
        dataset_dir: job.dataset_id.map(|id| jobs.0.folder.dataset(id)),
        device: super::device_of(job)?,
        threads: jobs.threads(),
    }))
}

/// Returns the file of the fine-tuned weights. If the job that made the model also mixed it, these are the weights from
/// before the mix.
fn tuned_weights(jobs: &Jobs, model: &Model) -> Option<PathBuf> {
    if model.files.iter().any(|file| file.name == UNMIXED) {
        Some(jobs.model_dir(model).join(UNMIXED))
    } else {
        jobs.weights_file(model)
    }
}
