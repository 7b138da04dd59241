//! What may happen to a job, as pure functions: every state, every verb, every end of a worker.

use crate::store::jobs::JobState;
use crate::train::events::Command;
use crate::train::events::Outcome;

/// What a user can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Hold, and give the device to others.
    Pause,
    /// Go on.
    Resume,
    /// End early, keep the result.
    Stop,
    /// End early, keep nothing.
    Cancel,
}

impl Verb {
    /// Its name, as in a path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::Cancel => "cancel",
        }
    }
}

/// What a verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was done before.
    Stay,
    /// The job's next state.
    Go(JobState),
}

/// A verb that makes no sense in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} a job that is {}{}", verb.name(), state.name(), advice(*state, *verb))]
pub struct Refused {
    /// What the job is.
    pub state: JobState,
    /// What was asked for.
    pub verb: Verb,
}

fn advice(state: JobState, verb: Verb) -> &'static str {
    match (state, verb) {
        (JobState::Queued, Verb::Stop) => "; it has no result to keep yet, so cancel it",
        (JobState::Paused, Verb::Stop) => "; resume it first, or cancel it",
        (JobState::Failed, Verb::Resume) => "; start a new job instead",
        _ => "",
    }
}

/// What `verb` does to a job in `state`.
///
/// # Errors
///
/// [`Refused`].
pub fn next(state: JobState, verb: Verb) -> Result<Next, Refused> {
    use JobState::{Cancelled, Cancelling, Completed, Paused, Pausing, Queued, Running, Stopping};
    Ok(match (state, verb) {
        (Pausing | Paused, Verb::Pause)
        | (Queued | Running, Verb::Resume)
        | (Stopping | Completed, Verb::Stop)
        | (Cancelling | Cancelled, Verb::Cancel) => Next::Stay,
        (Queued, Verb::Pause) => Next::Go(Paused),
        (Running, Verb::Pause) => Next::Go(Pausing),
        (Paused, Verb::Resume) => Next::Go(Queued),
        (Pausing, Verb::Resume) => Next::Go(Running),
        (Running | Pausing, Verb::Stop) => Next::Go(Stopping),
        (Queued | Paused, Verb::Cancel) => Next::Go(Cancelled),
        (Running | Pausing | Stopping, Verb::Cancel) => Next::Go(Cancelling),
        _ => return Err(Refused { state, verb }),
    })
}

/// What a worker is to be told in a state.
pub fn command(state: JobState) -> Command {
    match state {
        JobState::Pausing | JobState::Paused => Command::Pause,
        JobState::Stopping => Command::Stop,
        JobState::Cancelling | JobState::Cancelled => Command::Cancel,
        _ => Command::Run,
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It said so itself.
    Reported {
        /// What it said.
        outcome: Outcome,
        /// Whether it thinks that going on from the checkpoint could help.
        retry: bool,
    },
    /// It is gone without a word.
    Crashed,
}

/// What becomes of a job whose worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It moves to this state, which holds no device.
    Move(JobState),
    /// Another worker goes on from the last checkpoint.
    Restart {
        /// Whether this counts as one of the restarts that a job has.
        counts: bool,
    },
}

/// What becomes of a job in `state` whose worker ended.
pub fn after(state: JobState, ended: Ended, has_restarts: bool) -> Fate {
    let again =
        if has_restarts { Fate::Restart { counts: true } } else { Fate::Move(JobState::Failed) };
    match (state, ended) {
        (JobState::Cancelling, _) => Fate::Move(JobState::Cancelled),
        (_, Ended::Reported { outcome, retry }) => match outcome {
            Outcome::Completed | Outcome::EarlyStopped | Outcome::Stopped => {
                Fate::Move(JobState::Completed)
            }
            // The user has changed their mind while the worker was saving.
            Outcome::Paused if state == JobState::Running => Fate::Move(JobState::Queued),
            Outcome::Paused if state == JobState::Stopping => Fate::Restart { counts: false },
            Outcome::Paused => Fate::Move(JobState::Paused),
            Outcome::Cancelled => Fate::Move(JobState::Cancelled),
            Outcome::Failed if retry => again,
            Outcome::Failed => Fate::Move(JobState::Failed),
        },
        // The last checkpoint is as good as one saved now.
        (JobState::Pausing, Ended::Crashed) => Fate::Move(JobState::Paused),
        (_, Ended::Crashed) => again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: [Verb; 4] = [Verb::Pause, Verb::Resume, Verb::Stop, Verb::Cancel];
    const ACTIVE: [JobState; 4] =
        [JobState::Running, JobState::Pausing, JobState::Stopping, JobState::Cancelling];

    #[test]
    fn every_state_that_is_not_an_end_can_be_cancelled() {
        for state in JobState::ALL {
            let cancelled = next(state, Verb::Cancel);
            let is_done = matches!(state, JobState::Completed | JobState::Failed);
            assert_eq!(cancelled.is_err(), is_done, "{state:?}");
        }
    }

    #[test]
    fn no_verb_changes_a_job_that_has_ended() {
        for state in JobState::ALL.into_iter().filter(|state| state.is_terminal()) {
            for verb in VERBS {
                assert!(!matches!(next(state, verb), Ok(Next::Go(_))), "{state:?} {verb:?}");
            }
        }
    }

    #[test]
    fn a_verb_given_twice_does_what_it_does_once() {
        for state in JobState::ALL {
            for verb in VERBS {
                if let Ok(Next::Go(to)) = next(state, verb) {
                    assert_eq!(next(to, verb), Ok(Next::Stay), "{state:?} {verb:?}");
                }
            }
        }
    }

    #[test]
    fn a_refusal_names_the_state_and_what_to_do() {
        let refused = next(JobState::Queued, Verb::Stop).unwrap_err();
        let text = "cannot stop a job that is queued; it has no result to keep yet, so cancel it";
        assert_eq!(refused.to_string(), text);
    }

    #[test]
    fn a_crash_is_survived_while_there_are_restarts() {
        let crashed = |state, has_restarts| after(state, Ended::Crashed, has_restarts);
        assert_eq!(crashed(JobState::Running, true), Fate::Restart { counts: true });
        assert_eq!(crashed(JobState::Stopping, true), Fate::Restart { counts: true });
        assert_eq!(crashed(JobState::Running, false), Fate::Move(JobState::Failed));
        assert_eq!(crashed(JobState::Pausing, false), Fate::Move(JobState::Paused));
    }

    #[test]
    fn a_cancelled_job_is_cancelled_whatever_its_worker_says() {
        for outcome in [Outcome::Completed, Outcome::Failed, Outcome::Paused] {
            let ended = Ended::Reported { outcome, retry: true };
            let fate = after(JobState::Cancelling, ended, true);
            assert_eq!(fate, Fate::Move(JobState::Cancelled));
        }
        let crashed = after(JobState::Cancelling, Ended::Crashed, true);
        assert_eq!(crashed, Fate::Move(JobState::Cancelled));
    }

    #[test]
    fn a_worker_that_saved_too_late_is_overruled() {
        let paused = Ended::Reported { outcome: Outcome::Paused, retry: false };
        assert_eq!(after(JobState::Pausing, paused, true), Fate::Move(JobState::Paused));
        assert_eq!(after(JobState::Running, paused, true), Fate::Move(JobState::Queued));
        assert_eq!(after(JobState::Stopping, paused, true), Fate::Restart { counts: false });
    }

    #[test]
    fn a_failure_is_final_unless_the_worker_would_try_again() {
        for state in ACTIVE.into_iter().filter(|&state| state != JobState::Cancelling) {
            let failed = |retry| Ended::Reported { outcome: Outcome::Failed, retry };
            let fate = after(state, failed(false), true);
            assert_eq!(fate, Fate::Move(JobState::Failed));
            assert_eq!(after(state, failed(true), true), Fate::Restart { counts: true });
            assert_eq!(after(state, failed(true), false), Fate::Move(JobState::Failed));
        }
    }
}
