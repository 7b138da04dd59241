//! The rules for a job's states, as pure functions. They cover every state, every verb and every way a worker can end.

mod fate;
#[cfg(test)]
mod tests;

use crate::protocol::cause::Cause;
use crate::protocol::control::Command;
use crate::store::jobs::JobState;

pub use self::fate::{Ending, Fate, Means, after};

/// What a user can ask of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Pause the job and free its device.
    Pause,
    /// Continue the job.
    Resume,
    /// End the job early and keep its result.
    Stop,
    /// End the job early and keep nothing.
    Cancel,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Stop, Self::Cancel];

    /// Returns the verb's name, as used in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::Cancel => "cancel",
        }
    }
}

/// The facts that decide which verbs a job obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The job's state.
    pub state: JobState,
    /// Whether the job has a device.
    pub has_device: bool,
    /// Whether there is a checkpoint to make a result from.
    pub has_checkpoint: bool,
    /// The cause of the failure, if the job failed and the cause is known.
    pub failure: Option<Cause>,
}

/// What a verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the verb was already carried out.
    Stay,
    /// Moves the job to this state.
    Go(JobState),
}

/// A verb that a job in this state does not obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} a job that is {}{}", verb.name(), state.name(), advice(*state, *verb))]
pub struct Refused {
    /// The job's state.
    pub state: JobState,
    /// The refused verb.
    pub verb: Verb,
}

fn advice(state: JobState, verb: Verb) -> &'static str {
    use JobState::{Completed, Failed, Paused, Queued, Stopping};
    match (state, verb) {
        (Queued | Paused | Failed, Verb::Stop) => {
            "; it has no result to keep, so cancel or delete it"
        }
        (Failed, Verb::Resume) => "; it would fail again, so start a new job",
        (Completed, Verb::Resume) => "; extend it to more epochs instead",
        (Stopping, Verb::Pause | Verb::Resume) => "; it will complete soon",
        _ => "",
    }
}

/// Returns what `verb` does to a job.
///
/// # Errors
///
/// Returns [`Refused`] if the job does not obey the verb in its state.
pub fn next(job: Known, verb: Verb) -> Result<Next, Refused> {
    use JobState::{
        Cancelled, Cancelling, Completed, Failed, Paused, Pausing, Queued, Running, Stopping,
    };
    let Known { state, has_device, has_checkpoint, failure } = job;
    Ok(match (state, verb) {
        (Pausing | Paused, Verb::Pause)
        | (Queued | Running, Verb::Resume)
        | (Stopping | Completed, Verb::Stop)
        | (Cancelling | Cancelled, Verb::Cancel) => Next::Stay,
        (Queued, Verb::Pause) => Next::Go(Paused),
        (Running, Verb::Pause) => Next::Go(Pausing),
        (Paused, Verb::Resume) => Next::Go(Queued),
        (Pausing, Verb::Resume) => Next::Go(Running),
        (Failed, Verb::Resume) if failure.is_some_and(Cause::can_be_mended) => Next::Go(Queued),
        (Running | Pausing, Verb::Stop) => Next::Go(Stopping),
        (Queued | Paused | Failed, Verb::Stop) if has_checkpoint => Next::Go(Stopping),
        (Queued | Paused, Verb::Cancel) => Next::Go(Cancelled),
        (Stopping, Verb::Cancel) if !has_device => Next::Go(Cancelled),
        (Running | Pausing | Stopping, Verb::Cancel) => Next::Go(Cancelling),
        _ => return Err(Refused { state, verb }),
    })
}

/// Whether a job may change from one state to the other. The database rejects all other changes.
pub fn may_follow(from: JobState, to: JobState) -> bool {
    use JobState::{
        Cancelled, Cancelling, Completed, Failed, Paused, Pausing, Queued, Running, Stopping,
    };
    match from {
        Queued => matches!(to, Running | Paused | Stopping | Cancelled),
        Running => !matches!(to, Running),
        Pausing => {
            matches!(to, Running | Stopping | Cancelling | Paused | Completed | Cancelled | Failed)
        }
        Paused => matches!(to, Queued | Stopping | Cancelled),
        Stopping => matches!(to, Cancelling | Completed | Cancelled | Failed),
        Cancelling => matches!(to, Cancelled),
        Failed => matches!(to, Queued | Stopping),
        Completed | Cancelled => false,
    }
}

/// Returns the command for a worker whose job is in this state.
pub fn command(state: JobState) -> Command {
    match state {
        JobState::Pausing | JobState::Paused => Command::Pause,
        JobState::Stopping => Command::Stop,
        JobState::Cancelling | JobState::Cancelled => Command::Cancel,
        _ => Command::Run,
    }
}
