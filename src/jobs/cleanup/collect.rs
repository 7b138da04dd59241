//! Deletes files of ended jobs in two steps. First, one transaction records what to delete and removes the rows that
//! refer to it. Then the files are deleted. After a crash between the steps, the next server carries out the second.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{error, info, warn};

use super::policy::{EndedFiles, choose};
use crate::disk;
use crate::jobs::Jobs;
use crate::jobs::changes::{Change, record};
use crate::jobs::resources::JOB_BYTES;
use crate::protocol::folder::JobDir;
use crate::store;
use crate::store::deletions::{EndedJob, JobPart};
use crate::store::ids::JobId;
use crate::store::jobs::StateNote;
use crate::store::transitions::Actor;

/// How often to clean up even if no job has ended, because data sets also take up space.
const LOOK_EVERY: Duration = Duration::from_mins(1);

impl Jobs {
    /// Cleans up once a minute and whenever a job has ended, until the server stops.
    pub(in crate::jobs) async fn clean_up_always(self) {
        loop {
            if let Err(error) = self.clean_up().await {
                error!("cannot clean up: {error:#}");
            }
            tokio::select! {
                () = self.0.ended.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.0.stop.cancelled() => return,
            }
        }
    }

    /// Finishes recorded deletions, decides what else to delete, and deletes it.
    async fn clean_up(&self) -> anyhow::Result<()> {
        self.delete_recorded().await?;
        self.delete_stale_uploads()?;
        let ended = store::deletions::ended(&self.0.db).await?;
        let jobs = self.clone();
        let (files, used) = tokio::task::spawn_blocking(move || jobs.measure(&ended)).await?;
        let chosen = choose(&files, &self.0.storage, used, JOB_BYTES);
        for &(id, part) in &chosen {
            self.record_deletion(id, part).await?;
        }
        if !chosen.is_empty() {
            self.delete_recorded().await?;
            let jobs = self.clone();
            tokio::task::spawn_blocking(move || jobs.measure_folder()).await?;
        }
        self.wake_scheduler(); // Jobs may be waiting for disk space.
        Ok(())
    }

    /// Returns the sizes of the files of ended jobs, and the bytes in the data folder (0 if the folder has no limit).
    fn measure(&self, ended: &[EndedJob]) -> (Vec<EndedFiles>, u64) {
        // Without a limit, it only matters whether a file exists.
        let bytes = if self.counts_bytes() { used_bytes } else { is_there };
        let files = ended.iter().map(|job| files_of(job, &self.dir(job.id), bytes)).collect();
        (files, self.measure_folder())
    }

    fn counts_bytes(&self) -> bool {
        self.0.storage.max_bytes > 0
    }

    fn measure_folder(&self) -> u64 {
        let used = if self.counts_bytes() { used_bytes(self.0.folder.root()) } else { 0 };
        self.0.used_bytes.store(used, Ordering::Relaxed);
        used
    }

    /// Carries out the first step for one part of a job.
    async fn record_deletion(&self, id: JobId, part: JobPart) -> anyhow::Result<()> {
        let mut tx = store::begin(&self.0.db).await?;
        if !store::deletions::intend(&mut *tx, id, part).await? {
            return Ok(());
        }
        if part == JobPart::Files {
            store::deletions::forget_model(&mut *tx, id).await?;
            store::artifacts::forget(&mut *tx, id).await?;
            if let Some(job) = store::jobs::find(&mut *tx, id).await? {
                let (from, to, actor) = (job.state, job.state, Actor::Server);
                let reason = "its files are no longer kept";
                let note = StateNote { error: job.error.as_deref(), ..StateNote::default() };
                record(&mut tx, id, Some(from), Change { from, to, actor, reason, note }).await?;
            }
        }
        tx.commit().await?;
        info!(job.id = %id, "deleting {part:?} of job {id}");
        self.tell();
        Ok(())
    }

    /// Carries out the second step for all recorded deletions.
    pub(in crate::jobs) async fn delete_recorded(&self) -> anyhow::Result<()> {
        for (id, part) in store::deletions::intended(&self.0.db).await? {
            let mut tx = store::begin(&self.0.db).await?;
            let job = store::jobs::find(&mut *tx, id).await?;
            let paths = paths(&self.dir(id), part);
            // No job can start while this transaction is open. A job that has already started again keeps its files.
            let goes = job.is_some_and(|job| job.state.is_terminal());
            let set_aside = || paths.iter().try_for_each(|path| disk::set_aside(path));
            let out_of_sight = if goes { set_aside() } else { Ok(()) };
            tx.rollback().await?;
            let remove = move || paths.iter().try_for_each(|path| disk::remove_aside(path));
            let removed = match out_of_sight {
                Ok(()) => tokio::task::spawn_blocking(remove).await?,
                failed => failed,
            };
            if let Err(error) = removed {
                warn!(job.id = %id, "cannot delete files of job {id}; will try again: {error}");
                continue;
            }
            store::deletions::done(&self.0.db, id, part).await?;
        }
        Ok(())
    }
}

fn paths(dir: &JobDir, part: JobPart) -> Vec<PathBuf> {
    match part {
        JobPart::PreviousCheckpoint => vec![dir.previous_checkpoint()],
        JobPart::Checkpoints => vec![dir.checkpoints()],
        JobPart::Files => vec![dir.checkpoints(), dir.artifacts(), dir.events_file()],
    }
}

fn files_of(
    &EndedJob { id, state, is_needed }: &EndedJob,
    dir: &JobDir,
    bytes: impl Fn(&Path) -> u64,
) -> EndedFiles {
    let bytes = |part| paths(dir, part).iter().map(|path| bytes(path)).sum();
    EndedFiles {
        id,
        state,
        is_needed,
        previous_checkpoint: bytes(JobPart::PreviousCheckpoint),
        checkpoints: bytes(JobPart::Checkpoints),
        files: bytes(JobPart::Files),
    }
}

fn is_there(path: &Path) -> u64 {
    u64::from(path.exists())
}

/// Returns the bytes on disk of a file, or of a folder and everything in it. Unreadable entries count as 0.
fn used_bytes(path: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut used = 0;
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(file) = fs::symlink_metadata(&path) else { continue };
        if file.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten();
            waiting.extend(entries.flatten().map(|entry| entry.path()));
        } else if file.nlink() < 2 || seen.insert((file.dev(), file.ino())) {
            used += file.blocks() * 512; // The unit is 512 bytes on every file system.
        }
    }
    used
}
