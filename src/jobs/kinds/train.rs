//! Training jobs.

use anyhow::Context;
use serde_json::Value;
use tracing::warn;

use super::{refuse_back_without_torch, refuse_without_torch};
use crate::jobs::Jobs;
use crate::jobs::submit_error::SubmitError;
use crate::protocol::job_spec::{CheckpointEvery, JobSpec, Work};
use crate::protocol::schedule;
use crate::protocol::train_spec::{DeviceChoice, Init, TrainSpec};
use crate::store;
use crate::store::ids::DatasetId;
use crate::store::jobs::Job;

/// Reads the stored parameters of a job. One of an earlier version keeps its meaning: it did not calibrate scores.
pub(super) fn of_stored(mut params: Value) -> serde_json::Result<TrainSpec> {
    if let Some(params) = params.as_object_mut() {
        params.entry("calibrate_scores").or_insert(false.into());
    }
    serde_json::from_value(params)
}

/// Checks that the server has the model to start from and the device, and that this build supports the parameters.
pub(super) async fn check(
    jobs: &Jobs,
    db: &mut store::Connection,
    params: &TrainSpec,
) -> Result<(), SubmitError> {
    if let Init::Model(id) = params.init {
        let model = store::models::find(db, id.into()).await?;
        let model = model.ok_or(SubmitError::NoModel(id.into()))?;
        refuse_back_without_torch("/params/init", &model)?;
    }
    if params.unfold.uses_batches() {
        refuse_without_torch("/params/unfold", "unfold = calibrated or identity")?;
    }
    if matches!(params.device, DeviceChoice::Cuda(_)) {
        refuse_without_torch("/params/device", "a GPU")?;
    }
    let wanted = String::from(params.device);
    let have: Vec<String> = jobs.slots().iter().map(|slot| slot.device.clone()).collect();
    if params.device == DeviceChoice::Auto || have.contains(&wanted) {
        Ok(())
    } else {
        Err(SubmitError::NoDevice { wanted, have })
    }
}

pub(super) async fn work(jobs: &Jobs, job: &Job, params: &TrainSpec) -> anyhow::Result<Work> {
    let mut params = params.clone();
    if let Some(device) = job.device.clone() {
        params.device = DeviceChoice::try_from(device).map_err(anyhow::Error::msg)?;
    }
    let init_file = match params.init {
        Init::Model(id) => {
            let model = store::models::find(&jobs.0.db, id.into()).await?;
            let model = model.with_context(|| format!("the initial model {id} was deleted"))?;
            let file = jobs.weights_file(&model);
            Some(file.with_context(|| format!("model {id} has no weights file"))?)
        }
        Init::Mediapipe | Init::Scratch => None,
    };
    let settings = &jobs.0.settings;
    Ok(Work::Train(Box::new(JobSpec {
        job_id: job.id.to_string(),
        name: job.name.clone(),
        dataset_dir: jobs
            .0
            .folder
            .dataset(job.dataset_id.context("the job's data set was deleted")?),
        init_file,
        threads: jobs.threads(),
        checkpoints: CheckpointEvery {
            seconds: settings.checkpoint_every_s,
            steps: settings.checkpoint_every_steps,
        },
        batch_divisor: job.batch_divisor.unsigned_abs() as u32,
        extends_epochs: job.extends_epochs.map(|epochs| epochs.unsigned_abs() as u32),
        params,
    })))
}

/// Whether the job can continue with batches half as large. Only jobs on a GPU can.
pub(super) async fn can_shrink(jobs: &Jobs, job: &Job, params: &TrainSpec) -> bool {
    let is_gpu = job.device.as_deref().is_some_and(|device| device != "cpu");
    let (true, Some(dataset)) = (is_gpu, job.dataset_id) else { return false };
    let divisor = job.batch_divisor.unsigned_abs() as u32 * 2;
    match views_per_step(jobs, job, dataset, params).await {
        Ok(views) => schedule::can_divide_batches(params, divisor, views),
        Err(error) => {
            warn!(job.id = %job.id, "cannot determine the batch size of job {}: {error:#}", job.id);
            false
        }
    }
}

/// Returns the views per step that the last worker reported. If it reported none, computes them from the parameters.
async fn views_per_step(
    jobs: &Jobs,
    job: &Job,
    dataset: DatasetId,
    params: &TrainSpec,
) -> anyhow::Result<u32> {
    let started = store::events::started(&jobs.0.db, job.id).await?;
    if let Some(views) = started.and_then(|started| started.views_per_step) {
        return Ok(views);
    }
    let dataset = store::datasets::find(&jobs.0.db, dataset).await?;
    let summary = dataset.and_then(|dataset| dataset.summary).context("no data set summary")?;
    let pictures = summary["splits"]["train"]["images"].as_u64();
    let pictures = pictures.context("the summary has no count of training pictures")?;
    let batch = schedule::batch_size(params, pictures as usize, true) as u32;
    Ok(batch * params.accumulate_batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stored_job_of_an_earlier_version_does_not_start_to_calibrate_scores() {
        let calibrates = |params| of_stored(params).unwrap().calibrate_scores;
        assert!(!calibrates(json!({"epochs": 3})));
        assert!(calibrates(json!({"epochs": 3, "calibrate_scores": true})));
        let new = serde_json::to_value(TrainSpec::default()).unwrap();
        assert!(calibrates(new), "a new job stores every parameter");
    }
}
