//! The sections of `config.toml`, with their defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// HTTP server settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address to listen on; port 0 picks a free port.
    pub listen: String,
    /// Time limit of a request in seconds. Uploads, downloads and event streams have no limit.
    pub request_timeout_s: u64,
    /// Seconds that open connections get to finish at shutdown.
    pub shutdown_grace_s: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8080".to_owned(), request_timeout_s: 60, shutdown_grace_s: 10 }
    }
}

/// The data folder and the files to keep in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageSettings {
    /// Folder for the database, data sets, jobs and models.
    pub data_dir: PathBuf,
    /// Disk space to keep free, in bytes. With less, no import, job or upload starts.
    pub reserve_bytes: u64,
    /// Number of checkpoints to keep for a completed job, 0 to 2. Each checkpoint also contains the best weights.
    pub keep_checkpoints: u32,
    /// How many finished jobs keep their files; 0 keeps all.
    pub keep_jobs: u32,
    /// Maximum size of the data folder in bytes; 0 for no limit.
    pub max_bytes: u64,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            reserve_bytes: 1 << 30,
            keep_checkpoints: 1,
            keep_jobs: 0,
            max_bytes: 0,
        }
    }
}

/// Limits on uploads and requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Maximum size of an uploaded archive in bytes.
    pub upload_bytes: u64,
    /// Maximum size of an uploaded weights file in bytes.
    pub weights_bytes: u64,
    /// Maximum size of a picture's file in bytes.
    pub picture_bytes: u64,
    /// Maximum size of a picture in megapixels.
    pub picture_megapixels: u32,
    /// Maximum number of entries in an archive.
    pub entries: u64,
    /// Maximum size of an archive's unpacked content in bytes.
    pub unpacked_bytes: u64,
    /// Maximum memory of an import in bytes; 0 for no limit.
    pub import_memory_bytes: u64,
    /// Maximum number of concurrent detection requests, including waiting ones.
    pub detections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 64 << 30,
            weights_bytes: 32 << 20,
            picture_bytes: 64 << 20,
            picture_megapixels: 64,
            entries: 1_000_000,
            unpacked_bytes: 128 << 30,
            import_memory_bytes: 2 << 30,
            detections: 64,
        }
    }
}

/// Devices that jobs run on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceSettings {
    /// Indices of the GPUs that jobs may use; empty for all.
    pub gpus: Vec<u8>,
    /// Maximum number of concurrent jobs on each GPU.
    pub gpu_slots: u32,
    /// Maximum number of concurrent jobs on individual devices, such as `"cuda:1" = 2`. Overrides `gpu_slots` and
    /// `cpu_slots`.
    pub slots: BTreeMap<String, u32>,
    /// Maximum number of concurrent jobs on the CPU.
    pub cpu_slots: u32,
    /// Threads of each CPU job; 0 uses every core.
    pub cpu_threads: usize,
    /// Niceness of CPU jobs, 0 to 19. Higher values leave more CPU time to other processes.
    pub cpu_nice: u8,
    /// Free memory that a job needs to start, in mebibytes; 0 disables the check.
    pub min_free_memory_mib: u64,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            gpus: Vec::new(),
            gpu_slots: 1,
            slots: BTreeMap::new(),
            cpu_slots: 1,
            cpu_threads: 0,
            cpu_nice: 10,
            min_free_memory_mib: 1024,
        }
    }
}

impl DeviceSettings {
    /// Returns the maximum number of concurrent jobs on a device: `cpu`, `cuda:0` ….
    pub fn slots_of(&self, device: &str) -> u32 {
        let default = if device == "cpu" { self.cpu_slots } else { self.gpu_slots };
        self.slots.get(device).copied().unwrap_or(default)
    }

    /// Whether jobs may use this GPU.
    pub fn allows(&self, gpu: &str) -> bool {
        let name = |number: &u8| format!("cuda:{number}") == gpu;
        self.gpus.is_empty() || self.gpus.iter().any(name)
    }
}

/// How to run jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// Maximum number of restarts after worker crashes. After that, the job fails.
    pub max_restarts: u32,
    /// Seconds before the first restart; the delay doubles with each restart.
    pub restart_delay_s: u64,
    /// Seconds between checkpoints within an epoch.
    pub checkpoint_every_s: u64,
    /// Optimizer steps between checkpoints within an epoch; 0 uses only `checkpoint_every_s`.
    pub checkpoint_every_steps: u32,
    /// Milliseconds between reads of a worker's reports.
    pub poll_ms: u64,
    /// Seconds that a worker has to obey a cancel command before it is killed.
    pub cancel_grace_s: u64,
    /// Seconds without a heartbeat or an event after which a worker is killed and replaced; 0 disables this.
    pub hang_timeout_s: u64,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            max_restarts: 3,
            restart_delay_s: 2,
            checkpoint_every_s: 60,
            checkpoint_every_steps: 0,
            poll_ms: 200,
            cancel_grace_s: 10,
            hang_timeout_s: 300,
        }
    }
}

/// Logging settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A log level or a `tracing` filter.
    pub filter: String,
    /// Format of a log line.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// JSON, one object per line.
    Json,
}
