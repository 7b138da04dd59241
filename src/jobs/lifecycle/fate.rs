//! What happens to a job whose worker ended.

use crate::protocol::cause::Cause;
use crate::protocol::events::Outcome;
use crate::store::jobs::JobState;

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ended as planned, and this is what it reported.
    Planned(Outcome),
    /// A failure ended it.
    Failure(Cause),
}

/// What a job can still try after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// It has restarts left.
    pub restarts: bool,
    /// It can make its batches smaller, on a GPU.
    pub smaller_batches: bool,
}

/// What happens to a job whose worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It moves to this state, which holds no device.
    Move(JobState),
    /// It is paused until there is room on the disk again.
    Hold(Cause),
    /// Another worker continues from the last checkpoint.
    Restart {
        /// Whether this counts as one of the job's restarts.
        counts: bool,
    },
    /// The same as `Restart`, with batches half as large.
    Shrink,
}

/// What happens to a job in `state` whose worker ended.
pub fn after(state: JobState, ending: Ending, means: Means) -> Fate {
    let cause = match ending {
        _ if state == JobState::Cancelling => return Fate::Move(JobState::Cancelled),
        Ending::Planned(outcome) => return after_success(state, outcome),
        Ending::Failure(cause) => cause,
    };
    // The last checkpoint is as good as one saved now.
    if state == JobState::Pausing && (cause.may_pass() || cause.is_of_disk()) {
        return Fate::Move(JobState::Paused);
    }
    match cause {
        // A job that was told to stop does not wait for the disk, but it may try again.
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
