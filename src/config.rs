//! Settings: built-in defaults, then a file, then the environment, then flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::Provider;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// Every setting. `config.toml` at the root of the repository explains each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How to serve.
    pub server: Server,
    /// Where things are kept.
    pub storage: StorageSettings,
    /// Upper limits.
    pub limits: Limits,
    /// Devices that jobs run on.
    pub devices: DeviceSettings,
    /// How jobs are run.
    pub jobs: JobSettings,
    /// What is logged.
    pub log: Log,
}

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
    /// Of an archive.
    pub upload_bytes: u64,
    /// Of a weights file.
    pub weights_bytes: u64,
    /// Of a picture's file.
    pub picture_bytes: u64,
    /// Of a picture.
    pub picture_megapixels: u32,
    /// Of an archive.
    pub entries: u64,
    /// Of an archive's content.
    pub unpacked_bytes: u64,
    /// Of requests to detect faces at once.
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
    /// Niceness of CPU jobs, 0 to 19: how much other processes go first.
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
    /// Steps between checkpoints within an epoch; 0 goes by seconds alone.
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

/// What the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `storage.data_dir`.
    pub data_dir: Option<PathBuf>,
    /// `server.listen`.
    pub listen: Option<String>,
}

/// Invalid settings; the text names the key and where it was set.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was asked for is not there.
    #[error("there is no configuration file {0}")]
    NoFile(PathBuf),
    /// An unknown key, or a value of the wrong type.
    #[error("the configuration cannot be used: {0}")]
    Unusable(#[from] Box<figment::Error>),
    /// A value out of range.
    #[error("the configuration cannot be used: {key} is {value}, but {need}")]
    Range {
        /// Such as `jobs.poll_ms`.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        need: &'static str,
    },
}

impl Config {
    /// Merges defaults, `file`, `environment` and `flags`, in this order.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn load(
        file: Option<&Path>,
        environment: impl Provider,
        flags: Flags,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError::NoFile(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment.merge(environment);
        if let Some(data_dir) = flags.data_dir {
            figment = figment.merge(Serialized::default("storage.data_dir", data_dir));
        }
        if let Some(listen) = flags.listen {
            figment = figment.merge(Serialized::default("server.listen", listen));
        }
        let config: Self = figment.extract().map_err(Box::new)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let JobSettings { poll_ms, .. } = self.jobs;
        let DeviceSettings { cpu_slots, gpu_slots, cpu_nice, slots, .. } = &self.devices;
        let (cpu_slots, gpu_slots) = (*cpu_slots, *gpu_slots);
        let checks = [
            (
                "jobs.poll_ms",
                poll_ms.to_string(),
                "it has to be from 1 to 60000",
                (1..=60_000).contains(&poll_ms),
            ),
            (
                "limits.detections",
                self.limits.detections.to_string(),
                "it has to be at least 1",
                self.limits.detections > 0,
            ),
            (
                "devices.cpu_slots",
                cpu_slots.to_string(),
                "with devices.gpu_slots 0 too no job could run",
                cpu_slots > 0 || gpu_slots > 0 || slots.values().any(|&slots| slots > 0),
            ),
            (
                "devices.cpu_nice",
                cpu_nice.to_string(),
                "it has to be from 0 to 19",
                *cpu_nice <= 19,
            ),
            (
                "storage.keep_checkpoints",
                self.storage.keep_checkpoints.to_string(),
                "it has to be from 0 to 2",
                self.storage.keep_checkpoints <= 2,
            ),
        ];
        for (key, value, need, is_fine) in checks {
            if !is_fine {
                return Err(ConfigError::Range { key, value, need });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(key: &'static str, value: &'static str) -> impl Provider {
        Serialized::default(key, value)
    }

    fn nothing() -> impl Provider {
        Figment::new()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_documented_file_is_exactly_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        let value = |figment: Figment| figment.extract::<serde_json::Value>().unwrap();
        let documented = value(Figment::from(Toml::file_exact(path)));
        let defaults = value(Figment::from(Serialized::defaults(Config::default())));
        assert_eq!(documented, defaults);
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = file(
            "[server]\nlisten = \"a:1\"\n[storage]\ndata_dir = \"from-file\"\n[jobs]\npoll_ms = 7\n",
        );
        let flags = Flags { listen: Some("c:3".to_owned()), ..Flags::default() };
        let config =
            Config::load(Some(file.path()), environment("storage.data_dir", "from-env"), flags)
                .unwrap();
        assert_eq!(config.server.listen, "c:3");
        assert_eq!(config.storage.data_dir, Path::new("from-env"));
        assert_eq!(config.jobs.poll_ms, 7);
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file() {
        let file = file("[server]\nlisen = \"a:1\"\n");
        let error = Config::load(Some(file.path()), nothing(), Flags::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("lisen") && text.contains("listen"), "{text}");
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let file = file("[jobs]\npoll_ms = 0\n");
        let error = Config::load(Some(file.path()), nothing(), Flags::default()).unwrap_err();
        assert!(error.to_string().contains("jobs.poll_ms is 0"), "{error}");
    }

    #[test]
    fn a_file_that_was_asked_for_has_to_exist() {
        let error = Config::load(Some(Path::new("no/such.toml")), nothing(), Flags::default());
        assert!(matches!(error, Err(ConfigError::NoFile(_))));
    }
}
