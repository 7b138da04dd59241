//! Imports uploaded archives as data sets, one at a time.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{error, info, warn};

use super::Jobs;
use super::supervisor::AFTER_TROUBLE;
use crate::data::import::import;
use crate::data::options::{BAD_PICTURE, ImportError, ImportOptions, ImportProgress};
use crate::data::{ArchiveLimits, ImportedDataset, LabelOptions, Manifest};
use crate::disk;
use crate::error::chain;
use crate::store;
use crate::store::ids::DatasetId;

/// A data set that is waiting to be imported.
#[derive(Debug)]
pub(super) struct Import {
    id: DatasetId,
    /// SHA-256 of the archive; `None` if an earlier server received the archive.
    sha256: Option<String>,
}

/// How an import ended.
enum Imported {
    Done(Box<Manifest>),
    Failed(String),
    /// The server is stopping; the next server runs the import.
    Later,
}

impl Jobs {
    /// Queues the import of an uploaded archive with this SHA-256.
    ///
    /// # Errors
    ///
    /// Fails if the database cannot be used.
    pub async fn begin_import(
        &self,
        id: DatasetId,
        name: &str,
        sha256: String,
        options: &LabelOptions,
    ) -> store::Result<()> {
        store::datasets::insert(&self.0.db, id, name, options).await?;
        info!(dataset.id = %id, "queued data set {id} for import");
        let import = Import { id, sha256: Some(sha256) };
        let _ = self.0.imports.send(import); // This fails only at shutdown.
        Ok(())
    }

    /// Returns the progress of a running import.
    pub fn import_progress(&self, id: DatasetId) -> Option<ImportProgress> {
        self.progress().get(&id).copied()
    }

    fn progress(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::HashMap<DatasetId, ImportProgress>> {
        self.0.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Queues the imports that the last server did not finish, and deletes unfinished uploads.
    pub(super) async fn recover_imports(&self) -> anyhow::Result<()> {
        let waiting = store::datasets::importing(&self.0.db).await?;
        for file in fs::read_dir(self.0.folder.uploads())? {
            let file = file?;
            let id = file.file_name().to_str().and_then(|name| name.parse::<DatasetId>().ok());
            if !id.is_some_and(|id| waiting.contains(&id)) {
                fs::remove_file(file.path())?;
            }
        }
        for id in waiting {
            let import = Import { id, sha256: None };
            let _ = self.0.imports.send(import); // `start` still holds the receiver.
        }
        Ok(())
    }

    /// Runs imports until the server stops.
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

    async fn import_one(&self, Import { id, sha256 }: Import) -> anyhow::Result<()> {
        let Some(dataset) = store::datasets::find(&self.0.db, id).await? else { return Ok(()) };
        let labels = dataset.import_options.0;
        let twin = match &sha256 {
            Some(sha256) => store::datasets::of_archive(&self.0.db, sha256, &labels).await?,
            None => None,
        };
        let jobs = self.clone();
        let import = move || match twin.and_then(|twin| jobs.link_files(twin, id)) {
            Some(manifest) => Imported::Done(Box::new(manifest)),
            None => jobs.import_files(id, labels),
        };
        let imported = tokio::task::spawn_blocking(import).await;
        // A panic is our bug, but the user must still learn that the import failed.
        let imported = imported
            .unwrap_or_else(|_| Imported::Failed("the import crashed on this archive".to_owned()));
        while let Err(error) = self.store_end(id, &imported, sha256.as_deref()).await {
            error!(dataset.id = %id, "cannot store the import of data set {id}: {error:#}");
            if !self.give_up_spare().unwrap_or(false) && !self.pause(AFTER_TROUBLE).await {
                return Ok(()); // The next server imports it again.
            }
        }
        if matches!(imported, Imported::Later) {
            return Ok(());
        }
        // Delete the archive only now: until the database has the outcome, the next server may need it again.
        match fs::remove_file(self.0.folder.upload(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Stores the outcome of an import in the database.
    async fn store_end(
        &self,
        id: DatasetId,
        imported: &Imported,
        sha256: Option<&str>,
    ) -> anyhow::Result<()> {
        match imported {
            Imported::Later => {}
            Imported::Done(manifest) => {
                let mut summary = summary(manifest)?;
                summary["archive_sha256"] = json!(sha256);
                let hash = &manifest.content_hash;
                store::datasets::set_ready(&self.0.db, id, hash, &summary).await?;
                info!(dataset.id = %id, "data set {id} has {} pictures", manifest.pictures.len());
            }
            Imported::Failed(reason) => {
                store::datasets::set_failed(&self.0.db, id, reason).await?;
                warn!(dataset.id = %id, "the import of data set {id} failed: {reason}");
            }
        }
        Ok(())
    }

    /// Shares the files of a data set that was imported from the same archive. Returns `None` if that is not possible.
    fn link_files(&self, twin: DatasetId, id: DatasetId) -> Option<Manifest> {
        let twin = ImportedDataset::open(&self.0.folder.dataset(twin)).ok()?;
        // The earlier import may have refused a picture because of a lower size limit.
        let is_whole = !twin.manifest.report.counts.contains_key(BAD_PICTURE);
        let dir = self.0.folder.dataset(id);
        (is_whole && twin.link(&dir).is_ok()).then_some(twin.manifest)
    }

    fn import_files(&self, id: DatasetId, labels: LabelOptions) -> Imported {
        let (archive, dir) = (self.0.folder.upload(id), self.0.folder.dataset(id));
        if !archive.is_file() {
            let reason = "the uploaded archive is no longer on the server; upload it again";
            return Imported::Failed(reason.to_owned());
        }
        let progress = |progress: ImportProgress| {
            self.progress().insert(id, progress);
            if self.0.stop.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let options = self.options(labels);
        match clean(&dir).and_then(|()| import(&archive, &dir, &options, &progress)) {
            Ok(manifest) => Imported::Done(Box::new(manifest)),
            Err(ImportError::Cancelled) => Imported::Later,
            Err(error) => Imported::Failed(chain(&error)),
        }
    }

    fn options(&self, labels: LabelOptions) -> ImportOptions {
        let limits = &self.0.limits;
        ImportOptions {
            archive: ArchiveLimits {
                entries: limits.entries,
                unpacked_bytes: limits.unpacked_bytes,
                file_bytes: limits.picture_bytes,
            },
            megapixels: limits.picture_megapixels,
            reserve_bytes: self.0.storage.reserve_bytes,
            most_bytes: self.may_take(),
            labels,
            ..ImportOptions::default()
        }
    }
}

/// Removes the files of an import that an earlier server did not record in the database.
fn clean(dir: &Path) -> Result<(), ImportError> {
    disk::remove_folder(dir).map_err(ImportError::of_disk)
}

fn summary(manifest: &Manifest) -> serde_json::Result<Value> {
    let mut summary = serde_json::to_value(manifest.summary())?;
    summary["report"] = json!(manifest.report);
    Ok(summary)
}
