//! What handlers share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::devices::DevicesView;
use super::models::detectors::Detectors;
use super::problem::{Problem, Result};
use crate::config::Config;
use crate::data::ImportedDataset;
use crate::jobs::Jobs;
use crate::store;
use crate::store::datasets::DatasetStatus;
use crate::store::folder::Folder;
use crate::store::ids::DatasetId;

/// What handlers share.
#[derive(Debug)]
pub struct App {
    pub(super) db: store::Db,
    pub(super) folder: Arc<Folder>,
    pub(super) jobs: Jobs,
    pub(super) config: Config,
    pub(super) devices: DevicesView,
    pub(super) started: Instant,
    /// Event streams end when it is cancelled.
    pub(super) stop: CancellationToken,
    pub(super) detectors: Detectors,
    /// The most recently used ones.
    datasets: Mutex<Vec<(DatasetId, Arc<ImportedDataset>)>>,
}

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct AppSetup {
    /// The database.
    pub db: store::Db,
    /// The data folder.
    pub folder: Arc<Folder>,
    /// The queue.
    pub jobs: Jobs,
    /// Settings.
    pub config: Config,
    /// Says what jobs can run on.
    pub devices: DevicesView,
    /// Event streams end when it is cancelled.
    pub stop: CancellationToken,
}

/// The manifest of a large data set takes some megabytes.
const OPEN_DATASETS: usize = 8;

impl App {
    /// Ready to serve.
    pub fn new(setup: AppSetup) -> Arc<Self> {
        let AppSetup { db, folder, jobs, config, devices, stop } = setup;
        let detectors = Detectors::new(config.limits.detections);
        Arc::new(Self {
            db,
            folder,
            jobs,
            config,
            devices,
            started: Instant::now(),
            stop,
            detectors,
            datasets: Mutex::default(),
        })
    }

    /// An imported data set, open.
    pub(super) async fn dataset(&self, id: DatasetId) -> Result<Arc<ImportedDataset>> {
        let row = store::datasets::find(&self.db, id).await?;
        let row = row.ok_or_else(|| Problem::not_found(format_args!("data set {id}")))?;
        if row.status != DatasetStatus::Ready {
            let text = format!("the data set {id} is not ready; look at its status and error");
            return Err(Problem::conflict(text));
        }
        if let Some(open) = self.open_datasets().iter().find(|(open, _)| *open == id) {
            return Ok(open.1.clone());
        }
        let dir = self.folder.dataset(id);
        let dataset = tokio::task::spawn_blocking(move || ImportedDataset::open(&dir)).await;
        let dataset = Arc::new(
            dataset.map_err(|e| Problem::internal(&e))?.map_err(|e| Problem::internal(&e))?,
        );
        let mut open = self.open_datasets();
        open.retain(|(other, _)| *other != id);
        open.truncate(OPEN_DATASETS - 1);
        open.insert(0, (id, dataset.clone()));
        Ok(dataset)
    }

    fn open_datasets(&self) -> std::sync::MutexGuard<'_, Vec<(DatasetId, Arc<ImportedDataset>)>> {
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
