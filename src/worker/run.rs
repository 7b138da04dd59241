//! Runs the job in a folder and reports how it ended.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::{info, warn};

use super::error::RunError;
use super::evaluate;
use super::heartbeat;
use super::import;
use super::mix;
use super::panics;
use super::train;
use crate::error::chain;
use crate::protocol::cause::Cause;
use crate::protocol::events::{Body, Finished, Outcome};
use crate::protocol::folder::JobDir;
use crate::protocol::job_spec::Work;
use crate::protocol::log::EventLog;
use crate::train::device;

/// Runs the job in `dir` and reports how it ended, including failures.
///
/// # Errors
///
/// The [`Cause`] of the failure, if the end of the job cannot be reported.
pub fn run(dir: &JobDir) -> Result<Outcome, Cause> {
    heartbeat::begin(&dir.heartbeat_file());
    panics::log();
    let mut events = dir.events().map_err(|error| {
        warn!("cannot open the event log: {}", chain(&error));
        error.cause()
    })?;
    // Catching a panic is safe: nothing that the panic interrupted is used again, and the next worker starts from the
    // last checkpoint.
    let finished = match catch_unwind(AssertUnwindSafe(|| work(dir, &mut events))) {
        Ok(Ok(finished)) => finished,
        Ok(Err(error)) => Finished::failed(error.cause(), chain(&error)),
        Err(panic) => panics::finished(&*panic),
    };
    if let Some(error) = &finished.error {
        warn!("the job failed: {error}");
    }
    let outcome = finished.outcome;
    info!("the job ended: {outcome:?}");
    let cause = finished.cause;
    if let Err(error) = events.append(Body::Finished(finished)) {
        warn!("cannot report the end of the job: {error}");
        // The exit code tells the server the cause instead.
        return Err(cause.filter(|cause| cause.is_of_disk()).unwrap_or(Cause::of_io(&error)));
    }
    Ok(outcome)
}

fn work(dir: &JobDir, events: &mut EventLog) -> Result<Finished, RunError> {
    match dir.work()? {
        Work::Import(spec) => import::run(dir, &spec, events),
        Work::Train(spec) => on_threads(spec.threads, || train::run(dir, &spec, events)),
        Work::Evaluate(spec) => on_threads(spec.threads, || evaluate::run(dir, &spec, events)),
        Work::Mix(spec) => on_threads(spec.threads, || mix::run(dir, &spec, events)),
    }
}

/// Runs `work` on a network, in a pool of this many threads, or of one thread per core. `work` itself runs on a thread of the pool,
/// so that small tasks do not wake other threads.
fn on_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> Result<T, RunError> + Send,
) -> Result<T, RunError> {
    device::find_gpus();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| RunError::Threads(error.to_string()))?;
    pool.install(|| {
        if let Some(threads) = threads {
            device::use_threads(threads);
        }
        work()
    })
}
