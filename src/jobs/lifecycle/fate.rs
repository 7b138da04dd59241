//! Decides what happens to a job whose worker ended.

use crate::protocol::cause::Cause;
use crate::protocol::events::Outcome;
use crate::store::jobs::JobState;

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The worker ended as planned and reported this outcome.
    Planned(Outcome),
    /// A failure ended the worker.
    Failure(Cause),
}

/// What a job can still try after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// Whether the job has restarts left.
    pub restarts: bool,
    /// Whether the job can make its batches smaller. Only jobs on a GPU can.
    pub smaller_batches: bool,
}

/// What happens to a job whose worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The job moves to this state, in which it holds no device.
    Move(JobState),
    /// The job is paused until the disk has space again.
    Hold(Cause),
    /// Another worker continues from the last checkpoint.
    Restart {
        /// Whether this counts as one of the job's restarts.
        counts: bool,
    },
    /// Like `Restart`, with batches half as large.
    Shrink,
}

/// Returns what happens to a job in `state` whose worker ended.
pub fn after(state: JobState, ending: Ending, means: Means) -> Fate {
    let cause = match ending {
        _ if state == JobState::Cancelling => return Fate::Move(JobState::Cancelled),
        Ending::Planned(outcome) => return after_success(state, outcome),
        Ending::Failure(cause) => cause,
    };
    // The job can continue later from its last checkpoint.
    if state == JobState::Pausing && (cause.may_pass() || cause.is_of_disk()) {
        return Fate::Move(JobState::Paused);
    }
    match cause {
        // A job that was told to stop does not wait for disk space, but it may restart.
        Cause::DiskFull | Cause::DiskError if state == JobState::Stopping && means.restarts => {
            Fate::Restart { counts: true }
        }
        Cause::DiskFull | Cause::DiskError if state != JobState::Stopping => Fate::Hold(cause),
        Cause::OutOfMemory if means.smaller_batches => Fate::Shrink,
        _ if cause.may_pass() && means.restarts => Fate::Restart { counts: true },
        _ => Fate::Move(JobState::Failed),
    }
}

fn after_success(state: JobState, outcome: Outcome) -> Fate {
    match outcome {
        Outcome::Completed | Outcome::EarlyStopped | Outcome::Stopped => {
            Fate::Move(JobState::Completed)
        }
        // The user changed their mind while the worker was saving.
        Outcome::Paused if state == JobState::Running => Fate::Move(JobState::Queued),
        Outcome::Paused if state == JobState::Stopping => Fate::Restart { counts: false },
        Outcome::Paused => Fate::Move(JobState::Paused),
        Outcome::Cancelled => Fate::Move(JobState::Cancelled),
        Outcome::Failed => Fate::Move(JobState::Failed),
    }
}
