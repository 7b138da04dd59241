//! Settings from built-in defaults, a file, the environment and flags. Later sources override earlier ones.

mod sections;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::Provider;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub use self::sections::*;

/// All settings. `config.toml` in the repository's root describes each of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// HTTP server settings.
    pub server: Server,
    /// The data folder and the files to keep in it.
    pub storage: StorageSettings,
    /// Limits on uploads and requests.
    pub limits: Limits,
    /// Devices that jobs run on.
    pub devices: DeviceSettings,
    /// How to run jobs.
    pub jobs: JobSettings,
    /// Logging settings.
    pub log: Log,
}

/// Settings from the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Overrides `storage.data_dir`.
    pub data_dir: Option<PathBuf>,
    /// Overrides `server.listen`.
    pub listen: Option<String>,
}

/// The settings cannot be loaded. The message names the file, or the key with its value or source.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The requested file does not exist.
    #[error("the configuration file {0} does not exist")]
    NoFile(PathBuf),
    /// An unknown key, or a value of the wrong type.
    #[error("invalid configuration: {0}")]
    Unusable(#[from] Box<figment::Error>),
    /// A value out of range.
    #[error("invalid configuration: {key} is {value}, but {need}")]
    Range {
        /// The setting's key, such as `jobs.poll_ms`.
        key: &'static str,
        /// Its value.
        value: String,
        /// The requirement that the value violates, as a clause.
        need: &'static str,
    },
}

impl Config {
    /// Merges defaults, `file`, `environment` and `flags`. Later sources override earlier ones.
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
                "it must be from 1 to 60000",
                (1..=60_000).contains(&poll_ms),
            ),
            (
                "limits.detections",
                self.limits.detections.to_string(),
                "it must be at least 1",
                self.limits.detections > 0,
            ),
            (
                "devices.cpu_slots",
                cpu_slots.to_string(),
                "at least one device must have a slot",
                cpu_slots > 0 || gpu_slots > 0 || slots.values().any(|&slots| slots > 0),
            ),
            ("devices.cpu_nice", cpu_nice.to_string(), "it must be from 0 to 19", *cpu_nice <= 19),
            (
                "storage.keep_checkpoints",
                self.storage.keep_checkpoints.to_string(),
                "it must be from 0 to 2",
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
    fn config_toml_lists_exactly_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        let value = |figment: Figment| figment.extract::<serde_json::Value>().unwrap();
        let documented = value(Figment::from(Toml::file_exact(path)));
        let defaults = value(Figment::from(Serialized::defaults(Config::default())));
        assert_eq!(documented, defaults);
    }

    #[test]
    fn flags_override_the_environment_and_the_environment_overrides_the_file() {
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
    fn the_error_for_an_unknown_key_names_it_and_the_known_keys() {
        let file = file("[server]\nlisen = \"a:1\"\n");
        let error = Config::load(Some(file.path()), nothing(), Flags::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("lisen") && text.contains("listen"), "{text}");
    }

    #[test]
    fn the_error_for_a_value_out_of_range_names_key_and_value() {
        let file = file("[jobs]\npoll_ms = 0\n");
        let error = Config::load(Some(file.path()), nothing(), Flags::default()).unwrap_err();
        assert!(error.to_string().contains("jobs.poll_ms is 0"), "{error}");
    }

    #[test]
    fn a_requested_file_must_exist() {
        let error = Config::load(Some(Path::new("no/such.toml")), nothing(), Flags::default());
        assert!(matches!(error, Err(ConfigError::NoFile(_))));
    }
}
