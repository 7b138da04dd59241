//! Where workers run. The server starts, polls and ends workers through this seam and knows nothing else of them.

mod local;

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::Path;

use crate::protocol::cause::Cause;

pub(super) use self::local::LocalProcesses;
pub use self::local::Program;

/// Starts workers, and finds those that an earlier server started.
pub(super) trait Executor: Debug + Send + Sync {
    /// Starts a worker on the job in `dir`; `None` when one is at work there already.
    ///
    /// * `nice`: how readily it yields to other processes, 0 to 19.
    fn start(&self, dir: &Path, nice: u8) -> io::Result<Option<Box<dyn Worker>>>;

    /// The worker that an earlier server started in `dir`, if it is still at work.
    fn find(&self, dir: &Path, ticket: Ticket) -> io::Result<Option<Box<dyn Worker>>>;

    /// Whether a worker is at work in `dir`.
    fn is_alive(&self, dir: &Path) -> bool;
}

/// A worker, alive when last polled.
pub(super) trait Worker: Debug + Send {
    /// What another server needs to find it.
    fn ticket(&self) -> Ticket;

    /// How it ended; `None` while it is at work.
    fn poll(&mut self) -> io::Result<Option<Exit>>;

    /// Ends it and its children at once.
    fn kill(&self);
}

/// What the database remembers of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ticket {
    /// Process id.
    pub(super) pid: Option<i64>,
    /// When that process began, in clock ticks since boot.
    pub(super) started: Option<i64>,
}

/// How a worker ended, as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    /// What kind of failure it is to end like this without a report.
    pub(super) cause: Cause,
    /// The end of a sentence that begins with "the worker".
    pub(super) how: String,
}

/// Standard output and error of the worker.
const OUTPUT: &str = "worker.log";

/// The last line that the worker in `dir` printed.
pub(super) fn last_words(dir: &Path) -> Option<String> {
    const LONGEST: usize = 400;
    let output = fs::read(dir.join(OUTPUT)).ok()?;
    let output = String::from_utf8_lossy(&output);
    let line = output.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(LONGEST).collect())
}
