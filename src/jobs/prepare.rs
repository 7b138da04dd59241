//! Prepares a job's folder for its worker.

use std::path::PathBuf;

use anyhow::Context;
use tracing::warn;

use super::Jobs;
use super::kinds::Task;
use super::lifecycle;
use crate::protocol::folder::JobDir;
use crate::store;
use crate::store::ids::JobId;
use crate::store::jobs::Job;
use crate::store::models::Model;

/// File name endings of weights that training can start from, best first.
const STARTS: [&str; 3] = [".safetensors", ".pth", ".tflite"];

impl Jobs {
    /// Returns a job's folder.
    pub fn dir(&self, id: JobId) -> JobDir {
        JobDir::new(self.0.folder.job(id))
    }

    /// Writes `spec.json` to the job's folder. The user sees the text of an error.
    pub(super) async fn prepare(&self, job: &Job) -> anyhow::Result<()> {
        let work = Task::of(job)?.work(self, job).await?;
        let dir = self.dir(job.id);
        let create = tokio::task::spawn_blocking(move || dir.create(&work));
        create.await?.context("cannot write the job's folder")
    }

    /// Returns the number of threads for a CPU job; `None` means every core.
    pub(super) fn threads(&self) -> Option<usize> {
        Some(self.0.devices.cpu_threads).filter(|&threads| threads > 0)
    }

    /// Returns the folder of a model's files.
    pub fn model_dir(&self, model: &Model) -> PathBuf {
        match model.job_id {
            Some(job) => self.dir(job).artifacts(),
            None => self.0.folder.model(model.id),
        }
    }

    /// Returns the best file to read a model's weights from.
    pub fn weights_file(&self, model: &Model) -> Option<PathBuf> {
        let of_kind = |ending: &&str| {
            let mut files = model.files.iter().filter(|file| file.name.ends_with(*ending));
            files.find(|file| !file.name.starts_with("last"))
        };
        let file = STARTS.iter().find_map(of_kind)?;
        Some(self.model_dir(model).join(&file.name))
    }

    /// Writes `control.json` to match the job's state. Does nothing if the job's folder does not exist yet; the
    /// supervisor calls this again once it does.
    pub(super) async fn sync_control(&self, id: JobId) -> store::Result<()> {
        let _one_at_a_time = self.0.control.lock().await;
        let Some(job) = store::jobs::find(&self.0.db, id).await? else { return Ok(()) };
        let dir = self.dir(id);
        let command = lifecycle::command(job.state);
        let write = move || if dir.path().is_dir() { dir.command(command) } else { Ok(()) };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(job.id = %id, "cannot write the command of job {id}: {error}"),
            Err(error) => warn!(job.id = %id, "cannot write the command of job {id}: {error}"),
        }
        Ok(())
    }
}
