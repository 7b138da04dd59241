//! A job's folder, as its worker needs to find it.

use std::path::PathBuf;

use anyhow::Context;
use tracing::warn;

use super::Jobs;
use super::lifecycle;
use crate::protocol::folder::JobDir;
use crate::protocol::job_spec::{CheckpointEvery, JobSpec, Work};
use crate::protocol::schedule;
use crate::protocol::train_spec::{DeviceChoice, Init, TrainSpec};
use crate::store;
use crate::store::ids::{DatasetId, JobId, ModelId};
use crate::store::job_kind::JobKind;
use crate::store::jobs::Job;
use crate::store::models::Model;
use crate::worker::checkpoint;

/// The weights of a model that training can start from, best first.
const STARTS: [&str; 3] = [".safetensors", ".pth", ".tflite"];

impl Jobs {
    /// The folder of a job.
    pub fn dir(&self, id: JobId) -> JobDir {
        JobDir::new(self.0.folder.job(id))
    }

    /// Writes the folder's `spec.json`. What goes wrong here ends the job: its text is for the
    /// user.
    pub(super) async fn prepare(&self, job: &Job) -> anyhow::Result<()> {
        let work = match job.kind {
            JobKind::Train => Work::Train(Box::new(self.training(job).await?)),
            JobKind::Evaluate => Work::Evaluate(self.evaluation(job).await?),
        };
        let dir = self.dir(job.id);
        let create = tokio::task::spawn_blocking(move || dir.create(&work));
        create.await?.context("cannot write the job's folder")
    }

    async fn training(&self, job: &Job) -> anyhow::Result<JobSpec> {
        let mut params: TrainSpec = serde_json::from_value(job.params.0.clone())
            .context("the job's parameters are of another version of Blazetune")?;
        if let Some(device) = job.device.clone() {
            params.device = DeviceChoice::try_from(device).map_err(anyhow::Error::msg)?;
        }
        let dataset = job.dataset_id.context("the job's data set was deleted")?;
        if job.batch_divisor > 1 {
            let views = self.views_a_step(job.id, dataset, &params).await?;
            params = schedule::shrunk(&params, job.batch_divisor.unsigned_abs() as u32, views);
        }
        let init_file = match params.init {
            Init::Model(id) => Some(self.init_file(id.into()).await?),
            Init::Mediapipe | Init::Scratch => None,
        };
        Ok(JobSpec {
            job_id: job.id.to_string(),
            name: job.name.clone(),
            dataset_dir: self.0.folder.dataset(dataset),
            init_file,
            threads: self.threads(),
            checkpoints: CheckpointEvery {
                seconds: self.0.settings.checkpoint_every_s,
                steps: self.0.settings.checkpoint_every_steps,
            },
            params,
        })
    }

    /// Views that each step of a job on a GPU has: as many as those that were done had.
    pub(super) async fn views_a_step(
        &self,
        id: JobId,
        dataset: DatasetId,
        params: &TrainSpec,
    ) -> anyhow::Result<u32> {
        let pictures = self.training_pictures(dataset).await?;
        let dir = self.dir(id);
        let found = tokio::task::spawn_blocking(move || checkpoint::newest(&dir)).await?;
        // A damaged one is for the worker to tell of.
        let begun = found.ok().and_then(|found| found.newest);
        Ok(begun.map_or_else(
            || schedule::batch_size(params, pictures, true) as u32 * params.accumulate_batches,
            |checkpoint| checkpoint.state.views_per_step(params, pictures),
        ))
    }

    /// Of a CPU job; none where it takes every core.
    pub(super) fn threads(&self) -> Option<usize> {
        Some(self.0.devices.cpu_threads).filter(|&threads| threads > 0)
    }

    async fn init_file(&self, id: ModelId) -> anyhow::Result<PathBuf> {
        let model = store::models::find(&self.0.db, id).await?;
        let model = model.with_context(|| format!("the model {id} to start from was deleted"))?;
        self.weights_file(&model).with_context(|| format!("the model {id} has no weights file"))
    }

    /// The folder of a model's files.
    pub fn model_dir(&self, model: &Model) -> PathBuf {
        match model.job_id {
            Some(job) => self.dir(job).artifacts(),
            None => self.0.folder.model(model.id),
        }
    }

    /// The file that a model's weights are best read from.
    pub fn weights_file(&self, model: &Model) -> Option<PathBuf> {
        let of_kind = |ending: &&str| {
            let mut files = model.files.iter().filter(|file| file.name.ends_with(*ending));
            files.find(|file| !file.name.starts_with("last"))
        };
        let file = STARTS.iter().find_map(of_kind)?;
        Some(self.model_dir(model).join(&file.name))
    }

    /// Writes `control.json` as the job's state wants it. A folder that is not there yet will get
    /// it with the rest.
    pub(super) async fn sync_control(&self, id: JobId) -> store::Result<()> {
        let _one_at_a_time = self.0.control.lock().await;
        let Some(job) = store::jobs::find(&self.0.db, id).await? else { return Ok(()) };
        let dir = self.dir(id);
        let command = lifecycle::command(job.state);
        let write = move || if dir.path().is_dir() { dir.command(command) } else { Ok(()) };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(job.id = %id, "cannot tell job {id} what is wanted: {error}"),
            Err(error) => warn!(job.id = %id, "cannot tell job {id} what is wanted: {error}"),
        }
        Ok(())
    }
}
