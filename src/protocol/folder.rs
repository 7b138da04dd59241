//! A job's folder: every path in it, and the files that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::cause::Cause;
use super::control::{Command, Control};
use super::job_spec::Work;
use super::log::EventLog;
use crate::disk;

/// The folder.
#[derive(Debug, Clone)]
pub struct JobDir(PathBuf);

/// Among the artifacts of a job that trains: the best epoch's weights, before they were mixed.
pub const UNMIXED: &str = "unmixed.safetensors";

/// The folder's files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path}")]
pub struct JobDirError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl JobDirError {
    /// What kind of failure it is.
    pub fn cause(&self) -> Cause {
        // A `spec.json` that cannot be parsed is of another version.
        match self.source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Cause::Internal,
            _ => Cause::of_io(&self.source),
        }
    }
}

impl JobDir {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// In: what to do.
    pub fn spec_file(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// In: go on, pause, stop or cancel.
    pub fn control_file(&self) -> PathBuf {
        self.0.join("control.json")
    }

    /// Out: what happened.
    pub fn events_file(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// In, for tests only: what should go wrong; see [`crate::worker::faults`].
    pub fn faults_file(&self) -> PathBuf {
        self.0.join("faults.json")
    }

    /// Out: touched while work makes progress.
    pub fn heartbeat_file(&self) -> PathBuf {
        self.0.join("heartbeat")
    }

    /// Out: the log.
    pub fn log_file(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }

    /// Out: where to continue.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// Out: where to continue; absent at first.
    pub fn last_checkpoint(&self) -> PathBuf {
        self.checkpoints().join("last.safetensors")
    }

    /// Out: the checkpoint before that, for when the last one is damaged.
    pub fn previous_checkpoint(&self) -> PathBuf {
        self.checkpoints().join("previous.safetensors")
    }

    /// Out: the result.
    pub fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }

    /// Creates the folder with its `spec.json` and a `control.json` that says `run`.
    ///
    /// # Errors
    ///
    /// [`JobDirError`].
    pub fn create(&self, work: &Work) -> Result<(), JobDirError> {
        for folder in [self.0.clone(), self.checkpoints(), self.artifacts()] {
            std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
        }
        self.command(Command::Run)?;
        write_json(&self.spec_file(), work)
    }

    /// Gives the worker a command.
    ///
    /// # Errors
    ///
    /// [`JobDirError`].
    pub fn command(&self, command: Command) -> Result<(), JobDirError> {
        write_json(&self.control_file(), &Control { command })
    }

    /// What to do.
    ///
    /// # Errors
    ///
    /// [`JobDirError`] when it is missing or not what it should be.
    pub fn work(&self) -> Result<Work, JobDirError> {
        let path = self.spec_file();
        let text = std::fs::read(&path).map_err(failed(&path))?;
        serde_json::from_slice(&text).map_err(|error| failed(&path)(error.into()))
    }

    /// The current command. A file that is missing or unreadable says `run`.
    pub fn wanted(&self) -> Command {
        let control = std::fs::read(self.control_file()).ok();
        let control = control.and_then(|text| serde_json::from_slice::<Control>(&text).ok());
        control.unwrap_or_default().command
    }

    /// Opens `events.jsonl` to continue after its last whole line.
    ///
    /// # Errors
    ///
    /// [`JobDirError`].
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
    fn a_job_without_a_readable_control_file_runs_on() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobDir::new(folder.path());
        assert_eq!(job.wanted(), Command::Run);
        job.command(Command::Stop).unwrap();
        assert_eq!(job.wanted(), Command::Stop);
        std::fs::write(job.control_file(), "{").unwrap();
        assert_eq!(job.wanted(), Command::Run);
    }
}
