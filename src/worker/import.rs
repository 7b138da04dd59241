//! Imports an archive as a data set.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use tracing::warn;

use super::error::RunError;
use super::heartbeat;
use crate::data::import::import;
use crate::data::options::ImportProgress;
use crate::disk;
use crate::protocol::events::{Body, Finished, Outcome};
use crate::protocol::folder::JobDir;
use crate::protocol::import_spec::{ImportResult, ImportSpec};
use crate::protocol::log::EventLog;

/// How often to report progress.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// Imports the archive and writes `result.json`.
///
/// # Errors
///
/// [`RunError`] if the archive is refused, or if the data set cannot be written.
pub fn run(dir: &JobDir, spec: &ImportSpec, events: &mut EventLog) -> Result<Finished, RunError> {
    if let Some(bytes) = spec.memory_bytes {
        limit_memory(bytes);
    }
    let reporter = Mutex::new(Reporter { events, reported: None });
    let progress = |progress| {
        reporter.lock().unwrap_or_else(PoisonError::into_inner).report(progress);
        ControlFlow::Continue(())
    };
    let manifest = import(&spec.archive, &spec.dataset_dir, &spec.options, &progress)?;
    let result = serde_json::to_vec(&ImportResult::of(&manifest)).map_err(std::io::Error::from)?;
    disk::write(&dir.result_file(), &result)?;
    Ok(Finished::without_result(Outcome::Completed))
}

/// Limits the memory that this process can allocate. An allocation beyond the limit ends the process, so a hostile
/// archive cannot use up the server's memory.
fn limit_memory(bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    if let Err(error) = setrlimit(Resource::Data, limit) {
        warn!("cannot limit the memory of this import: {error}");
    }
}

struct Reporter<'a> {
    events: &'a mut EventLog,
    reported: Option<Instant>,
}

impl Reporter<'_> {
    fn report(&mut self, progress: ImportProgress) {
        heartbeat::beat();
        if self.reported.is_some_and(|reported| reported.elapsed() < REPORT_EVERY) {
            return;
        }
        self.reported = Some(Instant::now());
        if let Err(error) = self.events.append(Body::Importing(progress)) {
            warn!("cannot report the progress: {error}");
        }
    }
}
