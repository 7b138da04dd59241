//! Imports uploaded archives as data sets, each in a worker process of its own.

mod end;
mod follow;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{error, info};

use super::Jobs;
use crate::data::LabelOptions;
use crate::data::options::ImportProgress;
use crate::store;
use crate::store::ids::DatasetId;

/// Archives of more bytes than this have a queue of their own, so that small ones do not wait for them.
const LARGE_BYTES: u64 = 256 << 20;

/// A data set that is waiting to be imported.
#[derive(Debug)]
pub(super) struct Import {
    id: DatasetId,
    /// SHA-256 of the archive; `None` if this server did not receive the archive in one piece.
    sha256: Option<String>,
}

/// The queues of imports.
#[derive(Debug)]
pub(super) struct ImportQueues {
    small: UnboundedSender<Import>,
    large: UnboundedSender<Import>,
}

impl ImportQueues {
    /// Creates the queues. Each receiver is for one call of [`Jobs::import_all`].
    pub(super) fn new() -> (Self, [UnboundedReceiver<Import>; 2]) {
        let (small, small_imports) = unbounded_channel();
        let (large, large_imports) = unbounded_channel();
        (Self { small, large }, [small_imports, large_imports])
    }

    fn add(&self, import: Import, archive_bytes: u64) {
        let queue = if archive_bytes > LARGE_BYTES { &self.large } else { &self.small };
        let _ = queue.send(import); // This fails only at shutdown; the next server queues the import again.
    }
}

impl Jobs {
    /// Queues the import of an uploaded archive.
    ///
    /// * `sha256`: of the archive, if it is known. If the same archive was imported before, the data
    ///   sets share their files.
    ///
    /// # Errors
    ///
    /// Fails if the database cannot be used.
    pub async fn begin_import(
        &self,
        id: DatasetId,
        name: &str,
        sha256: Option<String>,
        options: &LabelOptions,
    ) -> store::Result<()> {
        store::datasets::insert(&self.0.db, id, name, options).await?;
        info!(dataset.id = %id, "queued data set {id} for import");
        self.queue_import(Import { id, sha256 });
        Ok(())
    }

    /// Returns the progress of a running import.
    pub fn import_progress(&self, id: DatasetId) -> Option<ImportProgress> {
        self.progress().get(&id).copied()
    }

    fn progress(&self) -> MutexGuard<'_, HashMap<DatasetId, ImportProgress>> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue_import(&self, import: Import) {
        let archive = fs::metadata(self.0.folder.upload(import.id));
        self.0.imports.add(import, archive.map_or(0, |archive| archive.len()));
    }

    /// Queues the imports that the last server did not finish, and deletes unfinished uploads.
    pub(super) async fn recover_imports(&self) -> anyhow::Result<()> {
        let mut waiting: BTreeSet<_> =
            store::datasets::importing(&self.0.db).await?.into_iter().collect();
        for file in fs::read_dir(self.0.folder.uploads())? {
            let path = file?.path();
            let is_needed = match path.extension() {
                None => id_of(&path).is_some_and(|id| waiting.contains(&id)),
                // A client can still continue an upload that it announced.
                Some(_) => path.with_extension("json").exists(),
            };
            if !is_needed {
                fs::remove_file(path)?;
            }
        }
        // Imports of deleted data sets are queued too: running them cleans up after them.
        for folder in fs::read_dir(self.0.folder.imports())? {
            waiting.extend(id_of(&folder?.path()));
        }
        for id in waiting {
            self.queue_import(Import { id, sha256: None });
        }
        Ok(())
    }

    /// Runs the imports of one queue until the server stops.
    pub(super) async fn import_all(self, mut waiting: UnboundedReceiver<Import>) {
        loop {
            let import = tokio::select! {
                biased;
                () = self.0.stop.cancelled() => return,
                Some(import) = waiting.recv() => import,
            };
            let id = import.id;
            if let Err(error) = self.import_one(import).await {
                error!(dataset.id = %id, "cannot import data set {id}: {error:#}");
            }
            self.progress().remove(&id);
            self.0.ended.notify_one();
            self.tell();
        }
    }
}

fn id_of(path: &Path) -> Option<DatasetId> {
    path.file_name()?.to_str()?.parse().ok()
}
