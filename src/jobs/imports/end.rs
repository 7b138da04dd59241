//! How imports end, and what is kept in the database and on disk.

use std::io;

use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::Import;
use crate::data::ImportedDataset;
use crate::data::options::BAD_PICTURE;
use crate::disk;
use crate::jobs::Jobs;
use crate::jobs::supervisor::AFTER_TROUBLE;
use crate::protocol::import_spec::ImportResult;
use crate::store;
use crate::store::datasets::Dataset;
use crate::store::ids::DatasetId;

/// How an import ended.
pub(super) enum ImportEnd {
    /// The data set is ready.
    Ready(Box<ImportResult>),
    /// A message that the user can act on.
    Failed(String),
    /// The data set was deleted.
    Deleted,
    /// The server is stopping; the next server continues.
    Later,
}

impl Jobs {
    /// Runs an import to its end and stores the outcome.
    pub(super) async fn import_one(&self, import: Import) -> anyhow::Result<()> {
        let Import { id, sha256 } = import;
        let end = loop {
            let end = self.end_of_import(id, sha256.as_deref()).await;
            let error = match end {
                Ok(end) => match self.store_end(id, &end, sha256.as_deref()).await {
                    Ok(()) => break end,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            error!(dataset.id = %id, "cannot complete the import of data set {id}: {error:#}");
            if !self.give_up_spare().unwrap_or(false) && !self.pause(AFTER_TROUBLE).await {
                return Ok(()); // The next server continues.
            }
        };
        if matches!(end, ImportEnd::Later) {
            return Ok(());
        }
        let is_gone = store::datasets::find(&self.0.db, id).await?.is_none();
        let folder = self.0.folder.clone();
        // Delete the archive only now: until the database has the outcome, the next server may need it again.
        let clean = move || {
            disk::remove_file(&folder.upload(id))?;
            disk::remove_folder(&folder.import(id))?;
            if is_gone { remove_dataset(&folder.dataset(id)) } else { Ok(()) }
        };
        Ok(tokio::task::spawn_blocking(clean).await??)
    }

    async fn end_of_import(
        &self,
        id: DatasetId,
        sha256: Option<&str>,
    ) -> anyhow::Result<ImportEnd> {
        if let Some(dataset) = store::datasets::find(&self.0.db, id).await?
            && let Some(sha256) = sha256
            && let Some(result) = self.link_twin(&dataset, sha256).await?
        {
            return Ok(ImportEnd::Ready(Box::new(result)));
        }
        self.follow_import(id).await
    }

    /// Stores the outcome of an import in the database.
    async fn store_end(
        &self,
        id: DatasetId,
        end: &ImportEnd,
        sha256: Option<&str>,
    ) -> anyhow::Result<()> {
        match end {
            ImportEnd::Later | ImportEnd::Deleted => {}
            ImportEnd::Ready(result) => {
                let mut summary = serde_json::to_value(&result.summary)?;
                summary["report"] = json!(result.report);
                summary["archive_sha256"] = json!(sha256);
                let hash = &result.content_hash;
                store::datasets::set_ready(&self.0.db, id, hash, &summary).await?;
                info!(dataset.id = %id, "data set {id} has {} pictures", result.summary.images);
            }
            ImportEnd::Failed(reason) => {
                store::datasets::set_failed(&self.0.db, id, reason).await?;
                warn!(dataset.id = %id, "the import of data set {id} failed: {reason}");
            }
        }
        Ok(())
    }

    /// Shares the files of a data set that was imported from the same archive with the same options. Returns `None` if
    /// that is not possible.
    async fn link_twin(
        &self,
        dataset: &Dataset,
        sha256: &str,
    ) -> anyhow::Result<Option<ImportResult>> {
        let (db, options) = (&self.0.db, &dataset.import_options.0);
        let Some(twin) = store::datasets::of_archive(db, sha256, options).await? else {
            return Ok(None);
        };
        let Some(result) = store::datasets::find(db, twin).await?.and_then(result_of) else {
            return Ok(None);
        };
        // The earlier import may have refused a picture because of a lower size limit.
        if result.report.counts.contains_key(BAD_PICTURE) {
            return Ok(None);
        }
        let (from, to) = (self.0.folder.dataset(twin), self.0.folder.dataset(dataset.id));
        let link = move || ImportedDataset::open(&from).is_ok_and(|twin| twin.link(&to).is_ok());
        Ok(tokio::task::spawn_blocking(link).await?.then_some(result))
    }
}

/// Returns the result of an earlier import, as the database stores it.
fn result_of(dataset: Dataset) -> Option<ImportResult> {
    let Value::Object(mut fields) = dataset.summary?.0 else { return None };
    fields.insert("content_hash".to_owned(), dataset.content_hash?.into());
    serde_json::from_value(fields.into()).ok()
}

/// Removes a data set's folder, and that of its unfinished import.
pub(super) fn remove_dataset(dir: &std::path::Path) -> io::Result<()> {
    disk::remove_folder(&crate::data::import::work_folder(dir))?;
    disk::remove_folder(dir)
}
