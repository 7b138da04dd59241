//! The sections of `config.toml`, with their defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How to serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address to listen on; port 0 takes a free port.
    pub listen: String,
    /// Seconds a request may take, except uploads, downloads and event streams.
    pub request_timeout_s: u64,
    /// Seconds that open connections get to finish at shutdown.
    pub shutdown_grace_s: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8080".to_owned(), request_timeout_s: 60, shutdown_grace_s: 10 }
    }
}

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageSettings {
    /// Folder of the database, data sets, jobs and models.
    pub data_dir: PathBuf,
    /// Bytes of disk space to keep free: with less, nothing new starts.
    pub reserve_bytes: u64,
    /// Checkpoints to keep of a completed job, 0 to 2. Each also holds its best weights.
    pub keep_checkpoints: u32,
    /// How many finished jobs keep their files; 0 keeps all.
    pub keep_jobs: u32,
    /// Bytes that the data folder may hold; 0 for no limit.
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

/// Upper limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of an uploaded archive.
    pub upload_bytes: u64,
    /// Bytes of an uploaded weights file.
    pub weights_bytes: u64,
    /// Bytes of a picture's file.
    pub picture_bytes: u64,
    /// Megapixels of a picture.
    pub picture_megapixels: u32,
    /// Files in an archive.
    pub entries: u64,
    /// Bytes of an archive's content once unpacked.
    pub unpacked_bytes: u64,
    /// Requests to detect faces that are served at once.
    pub detections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 8 << 30,
            weights_bytes: 32 << 20,
            picture_bytes: 64 << 20,
            picture_megapixels: 64,
            entries: 1_000_000,
            unpacked_bytes: 64 << 30,
            detections: 64,
        }
    }
}

/// Devices that jobs run on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceSettings {
    /// Numbers of the GPUs that jobs may use; empty for all.
    pub gpus: Vec<u8>,
    /// Jobs on one GPU at once.
    pub gpu_slots: u32,
    /// Jobs at once on single devices, such as `"cuda:1" = 2`; overrides the two above.
    pub slots: BTreeMap<String, u32>,
    /// Jobs on the CPU at once.
    pub cpu_slots: u32,
    /// Threads of a CPU job; 0 takes every core.
    pub cpu_threads: usize,
    /// Niceness of CPU jobs, 0 to 19: how readily they yield to other processes.
    pub cpu_nice: u8,
    /// Mebibytes of free memory that a job needs to start; 0 does not check.
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
    /// Jobs at once on a device: `cpu`, `cuda:0` ….
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

/// How jobs are run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// Restarts of a job whose worker crashed.
    pub max_restarts: u32,
    /// Seconds before the first restart; doubles with each restart.
    pub restart_delay_s: u64,
    /// Seconds between checkpoints within an epoch.
    pub checkpoint_every_s: u64,
    /// Steps between checkpoints within an epoch; 0 uses seconds only.
    pub checkpoint_every_steps: u32,
    /// Milliseconds between reads of a worker's reports.
    pub poll_ms: u64,
    /// Seconds a worker has to obey a cancel before it is killed.
    pub cancel_grace_s: u64,
    /// Seconds without a sign of life after which a worker is replaced; 0 never replaces it.
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

/// What is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or a filter of `tracing`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// JSON, one object per line.
    Json,
}
