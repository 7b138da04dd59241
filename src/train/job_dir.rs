//! A job's folder: all that a server and a worker have in common.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::cause::Cause;
use super::events::{Body, Command, Control, Event, Work};
use crate::disk;

/// The folder.
#[derive(Debug, Clone)]
pub struct JobDir(PathBuf);

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

    /// In, of tests only: what is to go wrong; see [`super::faults`].
    pub fn faults_file(&self) -> PathBuf {
        self.0.join("faults.json")
    }

    /// Out: touched while work gets on.
    pub fn heartbeat_file(&self) -> PathBuf {
        self.0.join("heartbeat")
    }

    /// Out: the log.
    pub fn log_file(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }

    /// Out: where to go on.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// Out: where to go on; absent at first.
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

    /// Makes the folder with its `spec.json`, and `control.json` saying `run`.
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

    /// Tells the worker what is wanted of it.
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

    /// What is wanted now. A file that is missing or unreadable wants nothing new.
    pub fn wanted(&self) -> Command {
        let control = std::fs::read(self.control_file()).ok();
        let control = control.and_then(|text| serde_json::from_slice::<Control>(&text).ok());
        control.unwrap_or_default().command
    }

    /// Opens `events.jsonl` to go on after its last whole line.
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

/// `events.jsonl`, open at its end.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    last_seq: u64,
    /// Epochs whose row is in the file.
    epochs: Vec<u32>,
    /// Epochs that were done when the first worker began.
    done_before: Option<u32>,
}

impl EventLog {
    /// A line torn by a crash is cut off.
    fn open(path: &Path) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (mut last_seq, mut epochs, mut done_before, mut whole) = (0, Vec::new(), None, 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let Ok(event) = serde_json::from_slice::<Event>(&line) else { break };
            if line.last() != Some(&b'\n') {
                break;
            }
            whole += line.len() as u64;
            last_seq = event.seq;
            match event.body {
                Body::Started(started) => {
                    done_before = done_before.or(Some(started.resumed_at_epoch));
                }
                Body::Epoch(row) => epochs.push(row.epoch),
                _ => {}
            }
            line.clear();
        }
        drop(reader);
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        Ok(Self { file, last_seq, epochs, done_before })
    }

    /// Epochs that were done before any worker of this job began: 0, or those of the job that this one
    /// extends.
    pub fn done_before(&self) -> u32 {
        self.done_before.unwrap_or(0)
    }

    /// Whether this epoch's row was reported before.
    pub fn has_epoch(&self, epoch: u32) -> bool {
        self.epochs.contains(&epoch)
    }

    /// Appends one event, in one write.
    ///
    /// # Errors
    ///
    /// Whatever the file system says.
    pub fn append(&mut self, body: Body) -> io::Result<()> {
        match &body {
            Body::Started(started) => {
                self.done_before = self.done_before.or(Some(started.resumed_at_epoch));
            }
            Body::Epoch(row) => self.epochs.push(row.epoch),
            _ => {}
        }
        self.last_seq += 1;
        let lasting = !matches!(body, Body::Step(_) | Body::Measured(_));
        let event = Event { seq: self.last_seq, time: now(), body };
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        if lasting { self.file.sync_data() } else { Ok(()) }
    }
}

/// RFC 3339, UTC, milliseconds.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::super::events::{Finished, Outcome, Started};
    use super::*;

    fn finished() -> Body {
        let outcome = Outcome::Stopped;
        Body::Finished(Finished::without_result(outcome))
    }

    #[test]
    fn sequence_numbers_go_on_after_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobDir::new(folder.path());
        job.events().unwrap().append(finished()).unwrap();
        let mut file = OpenOptions::new().append(true).open(job.events_file()).unwrap();
        file.write_all(b"{\"seq\":2,\"time\":\"2026").unwrap();
        job.events().unwrap().append(finished()).unwrap();

        let text = std::fs::read_to_string(job.events_file()).unwrap();
        let seqs: Vec<u64> =
            text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().seq).collect();
        assert_eq!(seqs, [1, 2]);
    }

    #[test]
    fn what_was_done_before_the_first_worker_is_known_to_every_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobDir::new(folder.path());
        assert_eq!(job.events().unwrap().done_before(), 0);
        for resumed_at_epoch in [3, 5] {
            let started = Started {
                device: "cpu".into(),
                resumed_at_epoch,
                resumed_at_step: 0,
                epochs: 9,
                steps: 4,
            };
            let mut events = job.events().unwrap();
            events.append(Body::Started(started)).unwrap();
            assert_eq!(events.done_before(), 3);
        }
        assert_eq!(job.events().unwrap().done_before(), 3);
    }

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
