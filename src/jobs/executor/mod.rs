//! Where workers run. The server starts, polls and kills workers only through this interface.

mod local;

use std::fmt::Debug;
use std::fs;
use std::io;
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

/// Returns the last line that the worker in `dir` printed.
pub(super) fn last_words(dir: &Path) -> Option<String> {
    const LONGEST: usize = 400;
    let output = fs::read(dir.join(OUTPUT)).ok()?;
    let output = String::from_utf8_lossy(&output);
    let line = output.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(LONGEST).collect())
}
