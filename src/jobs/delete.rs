//! Deletes jobs and data sets: the row first, then the files.

use std::path::PathBuf;

use tracing::warn;

use super::Jobs;
use crate::disk;
use crate::store;
use crate::store::ids::{DatasetId, JobId};

/// An error that prevents a deletion.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The job or data set does not exist.
    #[error("there is no {0}")]
    Missing(String),
    /// The job or data set is still in use.
    #[error("{0}")]
    InUse(String),
    /// The database cannot be used.
    #[error(transparent)]
    Db(#[from] store::Error),
}

impl Jobs {
    /// Deletes a job that has ended, its files and its model.
    ///
    /// # Errors
    ///
    /// Returns a [`DeleteError`] if the job cannot be deleted.
    pub async fn delete_job(&self, id: JobId) -> Result<(), DeleteError> {
        let Some(job) = store::jobs::find(&self.0.db, id).await? else {
            return Err(DeleteError::Missing(format!("job {id}")));
        };
        if !job.state.is_terminal() {
            let state = job.state.name();
            let text = format!("job {id} is {state}; cancel it before deleting it");
            return Err(DeleteError::InUse(text));
        }
        if !store::jobs::delete_unused(&self.0.db, id).await? {
            let text = format!("another job needs the model that job {id} made");
            return Err(DeleteError::InUse(text));
        }
        self.tell();
        remove(self.0.folder.job(id)).await;
        self.0.ended.notify_one();
        Ok(())
    }

    /// Deletes a data set and its files. If it is still being imported, the import ends and cleans up after itself.
    ///
    /// # Errors
    ///
    /// Returns a [`DeleteError`] if the data set cannot be deleted.
    pub async fn delete_dataset(&self, id: DatasetId) -> Result<(), DeleteError> {
        if store::datasets::find(&self.0.db, id).await?.is_none() {
            return Err(DeleteError::Missing(format!("data set {id}")));
        }
        if !store::datasets::delete_unused(&self.0.db, id).await? {
            let text = format!("a job that has not ended needs data set {id}");
            return Err(DeleteError::InUse(text));
        }
        remove(self.0.folder.dataset(id)).await;
        self.0.ended.notify_one();
        Ok(())
    }
}

/// Deletes a folder. The row is already gone, so any files that remain after a failure do no harm.
async fn remove(folder: PathBuf) {
    let removed = tokio::task::spawn_blocking(move || disk::remove_folder(&folder)).await;
    match removed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!("cannot delete files: {error}"),
        Err(error) => warn!("cannot delete files: {error}"),
    }
}
