//! Follows the worker of one import.
//!
//! The worker runs in `imports/<data set>` just as a job's worker runs in the job's folder: `spec.json` says what to
//! import, and `events.jsonl` records the progress and how the import ended. The worker outlives the server, and the
//! next server finds it by its lock.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::end::{ImportEnd, remove_dataset};
use crate::data::options::{ImportError, ImportOptions};
use crate::data::{ArchiveLimits, LabelOptions};
use crate::disk;
use crate::jobs::Jobs;
use crate::jobs::executor::{Exit, Ticket, Worker, last_words};
use crate::jobs::intake;
use crate::protocol::cause::Cause;
use crate::protocol::events::{Body, Finished, Outcome};
use crate::protocol::folder::JobDir;
use crate::protocol::import_spec::{ImportResult, ImportSpec};
use crate::protocol::job_spec::Work;
use crate::store;
use crate::store::ids::DatasetId;

/// How many workers are started for one import if the system kills them.
const ATTEMPTS: u32 = 3;

/// What [`Jobs::watch_import`] saw.
enum Seen {
    Exit(Exit),
    Deleted,
    /// The server is stopping.
    Later,
}

impl Jobs {
    /// Runs an import in a worker of its own, or follows the worker that an earlier server started.
    pub(super) async fn follow_import(&self, id: DatasetId) -> anyhow::Result<ImportEnd> {
        let dir = JobDir::new(self.0.folder.import(id));
        let mut worker = self.0.executor.find(dir.path(), ticket(&dir))?;
        loop {
            let exit = match worker.take() {
                None => None,
                Some(worker) => match self.watch_import(id, &dir, worker).await? {
                    Seen::Exit(exit) => Some(exit),
                    Seen::Deleted => return Ok(ImportEnd::Deleted),
                    Seen::Later => return Ok(ImportEnd::Later),
                },
            };
            let Some(dataset) = store::datasets::find(&self.0.db, id).await? else {
                return Ok(ImportEnd::Deleted);
            };
            if let Some(finished) = self.read_import(id, &dir, 0).await?.1 {
                return self.reported(&dir, finished);
            }
            let attempt = attempts(&dir) + 1;
            if let Some(exit) = exit {
                let words = last_words(dir.path()).unwrap_or_default();
                warn!(dataset.id = %id, "the import of data set {id} {}: {words}", exit.how);
                if attempt > ATTEMPTS || !matches!(exit.cause, Cause::Killed | Cause::OutOfMemory) {
                    return Ok(ImportEnd::Failed(self.failure(&exit, &words)));
                }
            } else if attempt > ATTEMPTS {
                let reason = format!(
                    "the import was interrupted {ATTEMPTS} times, together with the server; \
                     the archive may need more memory than the machine has"
                );
                return Ok(ImportEnd::Failed(reason));
            }
            worker = match self.start_import(id, &dir, attempt, dataset.import_options.0).await {
                Ok(worker) => Some(worker),
                Err(StartError::Refused(reason)) => return Ok(ImportEnd::Failed(reason)),
                Err(StartError::Other(error)) => return Err(error),
            };
        }
    }

    /// Starts a worker for an import.
    async fn start_import(
        &self,
        id: DatasetId,
        dir: &JobDir,
        attempt: u32,
        labels: LabelOptions,
    ) -> Result<Box<dyn Worker>, StartError> {
        let (archive, dataset_dir) = (self.0.folder.upload(id), self.0.folder.dataset(id));
        if !archive.is_file() {
            let reason = "the uploaded archive is no longer on the server; upload it again";
            return Err(StartError::Refused(reason.to_owned()));
        }
        let stale = dataset_dir.clone();
        // An earlier worker may have published the data set without reporting it.
        spawn_blocking(move || remove_dataset(&stale)).await.context("cleaning up")??;
        let memory = self.0.limits.import_memory_bytes;
        let memory_bytes = (memory > 0).then_some(memory);
        let options = self.import_options(labels);
        let spec = ImportSpec { archive, dataset_dir, options, memory_bytes, attempt };
        dir.create(&Work::Import(spec)).map_err(|error| match error.cause() {
            Cause::DiskFull => StartError::Refused(ImportError::DiskFull.to_string()),
            _ => StartError::Other(error.into()),
        })?;
        let worker = self.0.executor.start(dir.path(), self.0.devices.cpu_nice)?;
        let worker = worker.context("the import already has a worker")?;
        let ticket = worker.ticket();
        // Without the ticket, the next server can follow this worker but not kill it.
        if let Err(error) = disk::write(&ticket_file(dir), &serde_json::to_vec(&ticket)?) {
            warn!(dataset.id = %id, "cannot store the process ID of an import's worker: {error}");
        }
        let pid = ticket.pid.unwrap_or_default();
        info!(dataset.id = %id, "worker {pid} imports data set {id}");
        Ok(worker)
    }

    /// Follows a worker until it ends. Kills it if the data set is deleted.
    async fn watch_import(
        &self,
        id: DatasetId,
        dir: &JobDir,
        mut worker: Box<dyn Worker>,
    ) -> anyhow::Result<Seen> {
        let poll = Duration::from_millis(self.0.settings.poll_ms);
        let mut read = 0;
        let mut is_deleted = false;
        loop {
            if let Some(exit) = worker.poll()? {
                return Ok(if is_deleted { Seen::Deleted } else { Seen::Exit(exit) });
            }
            read = self.read_import(id, dir, read).await?.0;
            if !is_deleted && store::datasets::find(&self.0.db, id).await?.is_none() {
                info!(dataset.id = %id, "data set {id} was deleted; ending its import");
                worker.kill();
                is_deleted = true;
            }
            if !self.pause(poll).await {
                return Ok(Seen::Later);
            }
        }
    }

    /// Reads an import's events from offset `from` and remembers the progress. Returns the offset after the last event,
    /// and how the worker ended if it has reported that.
    async fn read_import(
        &self,
        id: DatasetId,
        dir: &JobDir,
        mut from: u64,
    ) -> anyhow::Result<(u64, Option<Finished>)> {
        loop {
            let path = dir.events_file();
            let batch = spawn_blocking(move || intake::read(&path, from)).await??;
            for event in &batch.events {
                if let Body::Importing(progress) = event.body {
                    self.progress().insert(id, progress);
                    self.tell();
                }
            }
            if let Some(end) = batch.finished {
                return Ok((end.to, Some(end.finished)));
            }
            if !batch.has_more || batch.bad.is_some() || batch.to == from {
                return Ok((batch.to, None));
            }
            from = batch.to;
        }
    }

    /// Returns what a worker's report means.
    fn reported(&self, dir: &JobDir, finished: Finished) -> anyhow::Result<ImportEnd> {
        if finished.outcome != Outcome::Completed {
            let reason = match finished.cause {
                Some(Cause::OutOfMemory) => self.needs_memory(),
                _ => finished.error.unwrap_or_else(|| "the import ended early".to_owned()),
            };
            return Ok(ImportEnd::Failed(reason));
        }
        let path = dir.result_file();
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let result: ImportResult = serde_json::from_slice(&text)?;
        Ok(ImportEnd::Ready(Box::new(result)))
    }

    fn needs_memory(&self) -> String {
        format!(
            "the import needs more memory than limits.import_memory_bytes allows ({} MB); \
             split the archive, or raise the limit",
            self.0.limits.import_memory_bytes >> 20
        )
    }

    /// Returns the message for a worker that ended without a report.
    fn failure(&self, exit: &Exit, words: &str) -> String {
        match exit.cause {
            Cause::DiskFull => ImportError::DiskFull.to_string(),
            Cause::Killed | Cause::OutOfMemory => format!(
                "the import was killed {ATTEMPTS} times; the system may have run out of memory, \
                 so try again when less is running, or split the archive"
            ),
            _ if Cause::of_words(words) == Some(Cause::OutOfMemory) => self.needs_memory(),
            _ if words.is_empty() => format!("the import {}", exit.how),
            _ => format!("the import {}; its last words were: {words}", exit.how),
        }
    }

    fn import_options(&self, labels: LabelOptions) -> ImportOptions {
        let (limits, defaults) = (&self.0.limits, ImportOptions::default());
        let threads = self.0.devices.cpu_threads;
        ImportOptions {
            archive: ArchiveLimits {
                entries: limits.entries,
                unpacked_bytes: limits.unpacked_bytes,
                file_bytes: limits.picture_bytes,
            },
            megapixels: limits.picture_megapixels,
            threads: if threads == 0 { defaults.threads } else { threads },
            reserve_bytes: self.0.storage.reserve_bytes,
            most_bytes: self.may_take(),
            labels,
            ..defaults
        }
    }
}

/// Why an import's worker could not be started.
enum StartError {
    /// A message that the user can act on.
    Refused(String),
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for StartError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Returns how many workers have been started for the import in `dir`.
fn attempts(dir: &JobDir) -> u32 {
    match dir.work() {
        Ok(Work::Import(spec)) => spec.attempt,
        _ => 0,
    }
}

fn ticket_file(dir: &JobDir) -> std::path::PathBuf {
    dir.path().join("ticket.json")
}

fn ticket(dir: &JobDir) -> Ticket {
    let text = fs::read(ticket_file(dir)).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}
