//! A job's folder: its paths, its spec, its control file and its event log.

use std::io;
use std::path::{Path, PathBuf};

use super::cause::Cause;
use super::control::{Command, Control};
use super::job_spec::Work;
use super::log::EventLog;
use crate::disk;

/// A job's folder.
#[derive(Debug, Clone)]
pub struct JobDir(PathBuf);

/// File name of a training job's artifact that holds the best epoch's weights before mixing.
pub const UNMIXED: &str = "unmixed.safetensors";

/// A file in a job's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path}")]
pub struct JobDirError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl JobDirError {
    /// Returns the kind of failure.
    pub fn cause(&self) -> Cause {
        // A `spec.json` that cannot be parsed comes from another version of Blazetune.
        match self.source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Cause::Internal,
            _ => Cause::of_io(&self.source),
        }
    }
}

impl JobDir {
    /// Creates a handle to the folder at `path`; the folder need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the spec, which the server writes.
    pub fn spec_file(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// Returns the path of the control file, which the server writes.
    pub fn control_file(&self) -> PathBuf {
        self.0.join("control.json")
    }

    /// Returns the path of the event log, which the worker writes.
    pub fn events_file(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// Returns the path of the file with faults to inject, which only tests write; see [`crate::worker::faults`].
    pub fn faults_file(&self) -> PathBuf {
        self.0.join("faults.json")
    }

    /// Returns the path of the heartbeat file, which the worker touches while it makes progress.
    pub fn heartbeat_file(&self) -> PathBuf {
        self.0.join("heartbeat")
    }

    /// Returns the path of the worker's log.
    pub fn log_file(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }

    /// Returns the path of an import's result, which the worker writes.
    pub fn result_file(&self) -> PathBuf {
        self.0.join("result.json")
    }

    /// Returns the path of the checkpoints folder.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// Returns the path of the last checkpoint; the file is absent at first.
    pub fn last_checkpoint(&self) -> PathBuf {
        self.checkpoints().join("last.safetensors")
    }

    /// Returns the path of the checkpoint before the last, which is used if the last one is damaged.
    pub fn previous_checkpoint(&self) -> PathBuf {
        self.checkpoints().join("previous.safetensors")
    }

    /// Returns the path of the artifacts folder.
    pub fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }

    /// Creates the folder with its `spec.json` and a `control.json` that says `run`.
    ///
    /// # Errors
    ///
    /// [`JobDirError`] if a file or folder cannot be written.
    pub fn create(&self, work: &Work) -> Result<(), JobDirError> {
        let parts = match work {
            Work::Import(_) => Vec::new(),
            _ => vec![self.checkpoints(), self.artifacts()],
        };
        for folder in [self.0.clone()].into_iter().chain(parts) {
            std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
        }
        self.command(Command::Run)?;
        write_json(&self.spec_file(), work)
    }

    /// Sends a command to the worker.
    ///
    /// # Errors
    ///
    /// [`JobDirError`] if the file cannot be written.
    pub fn command(&self, command: Command) -> Result<(), JobDirError> {
        write_json(&self.control_file(), &Control { command })
    }

    /// Reads the job's spec.
    ///
    /// # Errors
    ///
    /// [`JobDirError`] if the file is missing or invalid.
    pub fn work(&self) -> Result<Work, JobDirError> {
        let path = self.spec_file();
        let text = std::fs::read(&path).map_err(failed(&path))?;
        serde_json::from_slice(&text).map_err(|error| failed(&path)(error.into()))
    }

    /// Returns the current command: `run` if the file is missing or unreadable.
    pub fn wanted(&self) -> Command {
        let control = std::fs::read(self.control_file()).ok();
        let control = control.and_then(|text| serde_json::from_slice::<Control>(&text).ok());
        control.unwrap_or_default().command
    }

    /// Opens `events.jsonl` to append after its last complete line.
    ///
    /// # Errors
    ///
    /// [`JobDirError`] if the file cannot be read or written.
    pub fn events(&self) -> Result<EventLog, JobDirError> {
        let path = self.events_file();
        EventLog::open(&path).map_err(failed(&path))
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> JobDirError {
    |source| JobDirError { path: path.to_owned(), source }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), JobDirError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(path)(error.into()))?;
    disk::write(path, &text).map_err(failed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_without_a_readable_control_file_keeps_running() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobDir::new(folder.path());
        assert_eq!(job.wanted(), Command::Run);
        job.command(Command::Stop).unwrap();
        assert_eq!(job.wanted(), Command::Stop);
        std::fs::write(job.control_file(), "{").unwrap();
        assert_eq!(job.wanted(), Command::Run);
    }
}
