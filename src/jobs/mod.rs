//! Runs jobs: the queue, the workers and their reports. Also imports data sets.
//!
//! Two kinds of background tasks run the jobs. The scheduler assigns queued jobs to free devices and starts a
//! supervisor for each. A supervisor follows one job to its end, through as many workers as needed. Their entire state
//! is in the database and the job's folder, so a new server can continue where the previous one died.

mod changes;
mod cleanup;
mod delete;
mod executor;
mod extend;
mod imports;
mod intake;
mod kinds;
pub mod lifecycle;
mod patience;
mod prepare;
mod reservation;
mod resources;
mod scheduler;
mod settle;
mod submission;
mod submit;
mod submit_error;
mod supervisor;
mod uploads;
mod verbs;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use self::executor::{Executor, LocalProcesses};
use self::imports::ImportQueues;
use crate::config;
use crate::config::Config;
use crate::data::options::ImportProgress;
use crate::store;
use crate::store::folder::Folder;
use crate::store::ids::DatasetId;
use crate::store::queue::DeviceSlot;

pub use self::delete::DeleteError;
pub use self::executor::Program;
pub use self::extend::{ExtendError, Extension};
pub use self::kinds::Task;
pub use self::reservation::Reservation;
pub use self::submission::{Idempotency, Submission, When};
pub use self::submit_error::SubmitError;
pub use self::uploads::{KEPT_FOR, UnfinishedUpload, UploadNote};
pub use self::verbs::{JobVerb, VerbError};

/// A handle to the job system. Clones share the same state.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: store::Db,
    folder: Arc<Folder>,
    settings: config::JobSettings,
    devices: config::DeviceSettings,
    storage: config::StorageSettings,
    limits: config::Limits,
    executor: Box<dyn Executor>,
    slots: Vec<DeviceSlot>,
    /// For each device that is free but cannot start a waiting job, the reason.
    waiting: std::sync::Mutex<BTreeMap<String, String>>,
    /// Signals that the queue may have a job for a free device.
    queued: Notify,
    /// Signals that there may be files to clean up, for example after a job has ended.
    ended: Notify,
    /// Bytes in the data folder when last measured; 0 if the folder has no limit.
    used_bytes: AtomicU64,
    /// Bytes of disk space that uploads have announced and not yet written.
    reserved_bytes: AtomicU64,
    /// A counter that grows when there is something new for clients.
    news: watch::Sender<u64>,
    /// Held while a job's `control.json` is written from the database.
    control: Mutex<()>,
    imports: ImportQueues,
    progress: std::sync::Mutex<HashMap<DatasetId, ImportProgress>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What [`Jobs::start`] needs.
#[derive(Debug)]
pub struct JobsSetup {
    /// The database.
    pub db: store::Db,
    /// The data folder.
    pub folder: Arc<Folder>,
    /// The server's settings.
    pub config: Config,
    /// The program to run as a worker.
    pub program: Program,
    /// GPUs that jobs can run on, such as `cuda:0`.
    pub gpus: Vec<String>,
}

impl Jobs {
    /// Recovers the work of an earlier server, then starts the background tasks.
    ///
    /// # Errors
    ///
    /// Fails if the database or the data folder cannot be used.
    pub async fn start(setup: JobsSetup) -> anyhow::Result<Self> {
        let JobsSetup { db, folder, config, program, gpus } = setup;
        let (imports, waiting_imports) = ImportQueues::new();
        let jobs = Self(Arc::new(Inner {
            db,
            folder,
            slots: slots(&config.devices, gpus),
            devices: config.devices,
            storage: config.storage,
            settings: config.jobs,
            limits: config.limits,
            executor: Box::new(LocalProcesses::new(program)),
            waiting: std::sync::Mutex::default(),
            queued: Notify::new(),
            ended: Notify::new(),
            used_bytes: AtomicU64::new(0),
            reserved_bytes: AtomicU64::new(0),
            news: watch::Sender::new(0),
            control: Mutex::new(()),
            imports,
            progress: std::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }));
        jobs.delete_orphans().await?;
        jobs.delete_recorded().await?;
        jobs.recover_uploads().await?;
        jobs.recover_imports().await?;
        jobs.recover().await?;
        for waiting in waiting_imports {
            jobs.0.tasks.spawn(jobs.clone().import_all(waiting));
        }
        jobs.0.tasks.spawn(jobs.clone().schedule());
        jobs.0.tasks.spawn(jobs.clone().clean_up_always());
        Ok(jobs)
    }

    /// Returns a receiver that changes whenever there may be something new for clients.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// Returns the devices that jobs can run on.
    pub fn slots(&self) -> &[DeviceSlot] {
        &self.0.slots
    }

    /// Ends the background tasks. Workers continue to run without a server.
    pub async fn shut_down(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        match store::queue::active(&self.0.db).await.map_or(0, |jobs| jobs.len()) {
            0 => {}
            1 => info!("1 job continues in the background; start the server again to pick it up"),
            n => {
                info!(
                    "{n} jobs continue in the background; start the server again to pick them up"
                );
            }
        }
    }

    fn tell(&self) {
        self.0.news.send_modify(|news| *news += 1);
    }

    /// Waits for `duration`, or until the server stops. Returns whether to continue.
    async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.0.stop.cancelled() => false,
        }
    }
}

/// Returns the slots of the allowed devices. Jobs that do not name a device run on a GPU, or on the CPU if there is no
/// GPU.
fn slots(devices: &config::DeviceSettings, gpus: Vec<String>) -> Vec<DeviceSlot> {
    let gpus = gpus.into_iter().filter(|gpu| devices.allows(gpu));
    let slot = |device: String, takes_auto| {
        let capacity = devices.slots_of(&device).into();
        DeviceSlot { device, capacity, takes_auto }
    };
    let has_room = |slot: &DeviceSlot| slot.capacity > 0;
    let mut slots: Vec<DeviceSlot> = gpus.map(|gpu| slot(gpu, true)).filter(has_room).collect();
    let cpu = slot("cpu".to_owned(), slots.is_empty());
    slots.extend(Some(cpu).filter(has_room));
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_devices_have_slots() {
        let gpus = || ["cuda:0", "cuda:1", "cuda:2"].map(str::to_owned).to_vec();
        let devices = config::DeviceSettings {
            gpus: vec![0, 2],
            slots: BTreeMap::from([("cuda:2".to_owned(), 3), ("cpu".to_owned(), 0)]),
            ..config::DeviceSettings::default()
        };
        let found: Vec<_> =
            slots(&devices, gpus()).into_iter().map(|slot| (slot.device, slot.capacity)).collect();
        assert_eq!(found, [("cuda:0".to_owned(), 1), ("cuda:2".to_owned(), 3)]);

        let found = slots(&config::DeviceSettings::default(), gpus());
        assert!(found[0].takes_auto && !found[3].takes_auto, "{found:?}");
        assert!(slots(&config::DeviceSettings::default(), vec![])[0].takes_auto);
    }
}
