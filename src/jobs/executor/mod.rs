//! Where workers run. The server starts, polls and kills workers only through this interface.

mod local;

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::protocol::cause::Cause;

pub(super) use self::local::LocalProcesses;
pub use self::local::Program;

/// Starts workers, and finds those that an earlier server started.
pub(super) trait Executor: Debug + Send + Sync {
    /// Starts a worker for the job in `dir`. Returns `None` if the job already has a running worker.
    ///
    /// * `nice`: how readily the worker yields to other processes, 0 to 19.
    fn start(&self, dir: &Path, nice: u8) -> io::Result<Option<Box<dyn Worker>>>;

    /// Returns the worker that an earlier server started in `dir`, if it is still running.
    fn find(&self, dir: &Path, ticket: Ticket) -> io::Result<Option<Box<dyn Worker>>>;

    /// Whether a worker is running in `dir`.
    fn is_alive(&self, dir: &Path) -> bool;
}

/// A worker that an executor started or found.
pub(super) trait Worker: Debug + Send {
    /// Returns what another server needs to find the worker.
    fn ticket(&self) -> Ticket;

    /// Returns how the worker ended, or `None` while it is running.
    fn poll(&mut self) -> io::Result<Option<Exit>>;

    /// Kills the worker and its children at once.
    fn kill(&self);
}

/// What the database stores about a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Ticket {
    /// Process ID.
    pub(super) pid: Option<i64>,
    /// When the process started, in clock ticks since boot.
    pub(super) started: Option<i64>,
}

/// How a worker ended, as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    /// The cause to record if the worker reported nothing.
    pub(super) cause: Cause,
    /// Completes a sentence that begins with "the worker".
    pub(super) how: String,
}

/// The file for the worker's standard output and error.
const OUTPUT: &str = "worker.log";

/// How much of the end of the output to read, in bytes.
const WORDS_BYTES: u64 = 64 << 10;

/// Returns the last line that the worker in `dir` printed, other than a backtrace.
pub(super) fn last_words(dir: &Path) -> Option<String> {
    const LONGEST: usize = 400;
    let output = end_of(&dir.join(OUTPUT)).ok()?;
    let output = String::from_utf8_lossy(&output);
    let line = output.lines().rev().find(|line| !line.trim().is_empty() && !is_backtrace(line))?;
    Some(line.trim().chars().take(LONGEST).collect())
}

/// Whether this is a line that Rust prints after the message of a panic or a failed allocation.
fn is_backtrace(line: &str) -> bool {
    let marks = ["stack backtrace:", "note:", "skipping backtrace"];
    let is_frame = line.starts_with(' ')
        && line
            .trim_start()
            .split_once(':')
            .is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    is_frame
        || line.trim_start().starts_with("at ")
        || marks.iter().any(|mark| line.starts_with(mark))
}

fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(WORDS_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(WORDS_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_long_log_are_its_last_message() {
        let dir = tempfile::tempdir().unwrap();
        let noise = "progress\n".repeat(100_000);
        let end = "memory allocation of 9 bytes failed\nskipping backtrace printing to avoid potential recursion\n\
                   stack backtrace:\n   0: main\n             at src/main.rs:1\nnote: Some details are omitted\n\n";
        std::fs::write(dir.path().join(OUTPUT), noise + end).unwrap();
        assert_eq!(last_words(dir.path()).unwrap(), "memory allocation of 9 bytes failed");
    }
}
