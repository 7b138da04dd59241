//! Deleting what is no longer kept of jobs that have ended, in two steps: what is to go is written to the
//! database with all that it forgets, and then the files go. A crash in between leaves the intention, and the
//! next server carries it out.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{error, info, warn};

use super::Jobs;
use super::changes::{Change, record};
use super::resources::JOB_BYTES;
use super::surplus::{Left, surplus};
use crate::disk;
use crate::protocol::folder::JobDir;
use crate::store;
use crate::store::deletions::{Ended, Part};
use crate::store::ids::JobId;
use crate::store::jobs::Said;
use crate::store::transitions::Actor;

/// Even when no job has ended: data sets take room, too.
const LOOK_EVERY: Duration = Duration::from_mins(1);

impl Jobs {
    /// Tidies up whenever a job has ended, until told to stop.
    pub(super) async fn tidy_all(self) {
        loop {
            if let Err(error) = self.tidy().await {
                error!("cannot delete what is no longer kept: {error:#}");
            }
            tokio::select! {
                () = self.0.ended.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.0.stop.cancelled() => return,
            }
        }
    }

    /// Carries out what was intended, decides what else is to go, and carries that out.
    async fn tidy(&self) -> anyhow::Result<()> {
        self.carry_out().await?;
        let ended = store::deletions::ended(&self.0.db).await?;
        let jobs = self.clone();
        let (left, used) = tokio::task::spawn_blocking(move || jobs.measure(&ended)).await?;
        let chosen = surplus(&left, &self.0.storage, used, JOB_BYTES);
        for &(id, part) in &chosen {
            self.intend(id, part).await?;
        }
        if !chosen.is_empty() {
            self.carry_out().await?;
            let jobs = self.clone();
            tokio::task::spawn_blocking(move || jobs.measure_folder()).await?;
        }
        self.wake_scheduler(); // Jobs may have waited for room.
        Ok(())
    }

    /// What is left of jobs, and what the data folder holds; 0 where nobody asks.
    fn measure(&self, ended: &[Ended]) -> (Vec<Left>, u64) {
        // Without a limit it is enough to know what is there.
        let bytes = if self.counts_bytes() { used_bytes } else { is_there };
        let left = ended.iter().map(|job| left(job, &self.dir(job.id), bytes)).collect();
        (left, self.measure_folder())
    }

    fn counts_bytes(&self) -> bool {
        self.0.storage.max_bytes > 0
    }

    fn measure_folder(&self) -> u64 {
        let used = if self.counts_bytes() { used_bytes(self.0.folder.root()) } else { 0 };
        self.0.used_bytes.store(used, Ordering::Relaxed);
        used
    }

    /// The first step.
    async fn intend(&self, id: JobId, part: Part) -> anyhow::Result<()> {
        let mut tx = store::begin(&self.0.db).await?;
        if !store::deletions::intend(&mut *tx, id, part).await? {
            return Ok(());
        }
        if part == Part::Files {
            store::deletions::forget_model(&mut *tx, id).await?;
            store::artifacts::forget(&mut *tx, id).await?;
            if let Some(job) = store::jobs::find(&mut *tx, id).await? {
                let (from, to, actor) = (job.state, job.state, Actor::Server);
                let reason = "its files are no longer kept";
                let said = Said { error: job.error.as_deref(), ..Said::default() };
                record(&mut tx, id, Some(from), Change { from, to, actor, reason, said }).await?;
            }
        }
        tx.commit().await?;
        info!(job.id = %id, "job {id}: {part:?} no longer kept");
        self.tell();
        Ok(())
    }

    /// The second one, of all that is intended.
    pub(super) async fn carry_out(&self) -> anyhow::Result<()> {
        for (id, part) in store::deletions::intended(&self.0.db).await? {
            let mut tx = store::begin(&self.0.db).await?;
            let job = store::jobs::find(&mut *tx, id).await?;
            let paths = paths(&self.dir(id), part);
            // No job begins while this transaction is open; one that has meanwhile keeps what it has.
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
                warn!(job.id = %id, "cannot delete files of job {id}, will try again: {error}");
                continue;
            }
            store::deletions::done(&self.0.db, id, part).await?;
        }
        Ok(())
    }
}

fn paths(dir: &JobDir, part: Part) -> Vec<PathBuf> {
    match part {
        Part::PreviousCheckpoint => vec![dir.previous_checkpoint()],
        Part::Checkpoints => vec![dir.checkpoints()],
        Part::Files => vec![dir.checkpoints(), dir.artifacts(), dir.events_file()],
    }
}

fn left(
    &Ended { id, state, is_needed }: &Ended,
    dir: &JobDir,
    bytes: impl Fn(&Path) -> u64,
) -> Left {
    let bytes = |part| paths(dir, part).iter().map(|path| bytes(path)).sum();
    Left {
        id,
        state,
        is_needed,
        previous_checkpoint: bytes(Part::PreviousCheckpoint),
        checkpoints: bytes(Part::Checkpoints),
        files: bytes(Part::Files),
    }
}

fn is_there(path: &Path) -> u64 {
    u64::from(path.exists())
}

/// What a file, or a folder with all in it, takes of the disk; what cannot be looked at takes nothing.
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
            used += file.blocks() * 512; // POSIX's unit, whatever the file system's is.
        }
    }
    used
}
