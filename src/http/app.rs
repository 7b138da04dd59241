//! The state that all handlers share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::devices::DevicesView;
use super::models::detectors::Detectors;
use super::problem::{Problem, Result};
use super::uploads::receiving::Receiving;
use crate::config::Config;
use crate::data::ImportedDataset;
use crate::jobs::Jobs;
use crate::store;
use crate::store::datasets::DatasetStatus;
use crate::store::folder::Folder;
use crate::store::ids::DatasetId;

/// The state that all handlers share.
#[derive(Debug)]
pub struct App {
    pub(super) db: store::Db,
    pub(super) folder: Arc<Folder>,
    pub(super) jobs: Jobs,
    pub(super) config: Config,
    pub(super) devices: DevicesView,
    pub(super) started: Instant,
    /// Ends event streams when it is cancelled.
    pub(super) stop: CancellationToken,
    pub(super) detectors: Detectors,
    pub(super) receiving: Receiving,
    /// Open data sets, the most recently opened first.
    datasets: Mutex<Vec<(DatasetId, Arc<ImportedDataset>)>>,
}

/// The parts of an [`App`].
#[derive(Debug)]
pub struct AppSetup {
    /// The database.
    pub db: store::Db,
    /// The data folder.
    pub folder: Arc<Folder>,
    /// The queue.
    pub jobs: Jobs,
    /// The settings.
    pub config: Config,
    /// Lists the devices that jobs can run on.
    pub devices: DevicesView,
    /// Ends event streams when it is cancelled.
    pub stop: CancellationToken,
}

/// Number of data sets to keep open. The manifest of a large one takes a few megabytes.
const OPEN_DATASETS: usize = 8;

impl App {
    /// Creates the shared state.
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
            receiving: Receiving::default(),
            datasets: Mutex::default(),
        })
    }

    /// Returns an imported data set, opening it if necessary.
    pub(super) async fn dataset(&self, id: DatasetId) -> Result<Arc<ImportedDataset>> {
        let row = store::datasets::find(&self.db, id).await?;
        let row = row.ok_or_else(|| Problem::not_found(format_args!("data set {id}")))?;
        if row.status != DatasetStatus::Ready {
            let text = format!("data set {id} is not ready; see its status and error");
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
