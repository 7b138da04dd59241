//! What may happen to a job, as pure functions: every state, every verb, every end of a worker.

use crate::protocol::cause::Cause;
use crate::protocol::control::Command;
use crate::protocol::events::Outcome;
use crate::store::jobs::JobState;

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
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Stop, Self::Cancel];

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

/// What has to be known of a job, beside its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its state.
    pub state: JobState,
    /// Whether it has a device, or is to be ended as soon as there is one.
    pub has_device: bool,
    /// Whether a result can be made of what there is.
    pub has_checkpoint: bool,
    /// Why it failed.
    pub failure: Option<Cause>,
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
    use JobState::{Completed, Failed, Paused, Queued, Stopping};
    match (state, verb) {
        (Queued | Paused | Failed, Verb::Stop) => {
            "; it has no result to keep, so cancel or delete it"
        }
        (Failed, Verb::Resume) => "; the same would happen again, so start a new job",
        (Completed, Verb::Resume) => "; extend it to more epochs instead",
        (Stopping, Verb::Pause | Verb::Resume) => "; it will have completed soon",
        _ => "",
    }
}

/// What `verb` does to a job.
///
/// # Errors
///
/// [`Refused`].
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

/// Whether a job may ever change from one state to the other. The database refuses every other change.
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
    /// As it was meant to, and it said so.
    Well(Outcome),
    /// In a way that nobody wanted.
    Badly(Cause),
}

/// What a job may still do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// It has restarts left.
    pub restarts: bool,
    /// It can do with smaller batches on a GPU.
    pub smaller_batches: bool,
}

/// What becomes of a job whose worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It moves to this state, which holds no device.
    Move(JobState),
    /// It is paused until the disk was seen to.
    Hold(Cause),
    /// Another worker goes on from the last checkpoint.
    Restart {
        /// Whether this counts as one of the restarts that a job has.
        counts: bool,
    },
    /// The same, with batches half as large.
    Shrink,
}

/// What becomes of a job in `state` whose worker ended.
pub fn after(state: JobState, ended: Ended, means: Means) -> Fate {
    let cause = match ended {
        _ if state == JobState::Cancelling => return Fate::Move(JobState::Cancelled),
        Ended::Well(outcome) => return after_success(state, outcome),
        Ended::Badly(cause) => cause,
    };
    // The last checkpoint is as good as one saved now.
    if state == JobState::Pausing && (cause.may_pass() || cause.is_of_disk()) {
        return Fate::Move(JobState::Paused);
    }
    match cause {
        // A job that is to end does not wait for the disk, but it may try again.
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
        // The user has changed their mind while the worker was saving.
        Outcome::Paused if state == JobState::Running => Fate::Move(JobState::Queued),
        Outcome::Paused if state == JobState::Stopping => Fate::Restart { counts: false },
        Outcome::Paused => Fate::Move(JobState::Paused),
        Outcome::Cancelled => Fate::Move(JobState::Cancelled),
        Outcome::Failed => Fate::Move(JobState::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: [Verb; 4] = [Verb::Pause, Verb::Resume, Verb::Stop, Verb::Cancel];
    const ACTIVE: [JobState; 4] =
        [JobState::Running, JobState::Pausing, JobState::Stopping, JobState::Cancelling];
    const PLENTY: Means = Means { restarts: true, smaller_batches: true };
    const NONE: Means = Means { restarts: false, smaller_batches: false };
    const CAUSES: [Cause; 4] =
        [Cause::Killed, Cause::Diverged, Cause::DiskFull, Cause::OutOfMemory];

    /// Every job there can be.
    fn all() -> impl Iterator<Item = Known> {
        let failures = CAUSES.into_iter().map(Some).chain([None]);
        JobState::ALL.into_iter().flat_map(move |state| {
            let failures = failures.clone();
            failures.flat_map(move |failure| {
                [true, false].map(|yes| Known {
                    state,
                    has_device: yes,
                    has_checkpoint: yes,
                    failure,
                })
            })
        })
    }

    #[test]
    fn every_state_that_is_not_an_end_can_be_cancelled() {
        for job in all() {
            let is_done = matches!(job.state, JobState::Completed | JobState::Failed);
            assert_eq!(next(job, Verb::Cancel).is_err(), is_done, "{job:?}");
        }
    }

    #[test]
    fn no_verb_changes_a_job_that_has_a_result_or_was_given_up() {
        for job in
            all().filter(|job| matches!(job.state, JobState::Completed | JobState::Cancelled))
        {
            for verb in VERBS {
                assert!(!matches!(next(job, verb), Ok(Next::Go(_))), "{job:?} {verb:?}");
            }
        }
    }

    #[test]
    fn a_verb_given_twice_does_what_it_does_once() {
        for job in all() {
            for verb in VERBS {
                if let Ok(Next::Go(state)) = next(job, verb) {
                    let then = Known { state, ..job };
                    assert_eq!(next(then, verb), Ok(Next::Stay), "{job:?} {verb:?}");
                }
            }
        }
    }

    #[test]
    fn whatever_happens_is_a_change_that_may_be() {
        for job in all() {
            for verb in VERBS {
                if let Ok(Next::Go(to)) = next(job, verb) {
                    assert!(may_follow(job.state, to), "{job:?} {verb:?}");
                }
            }
        }
        let outcomes = [
            Outcome::Completed,
            Outcome::EarlyStopped,
            Outcome::Stopped,
            Outcome::Paused,
            Outcome::Cancelled,
            Outcome::Failed,
        ];
        let ends = outcomes.map(Ended::Well).into_iter().chain(CAUSES.map(Ended::Badly));
        for ended in ends {
            for state in ACTIVE {
                for means in [PLENTY, NONE] {
                    let to = match after(state, ended, means) {
                        Fate::Move(to) => to,
                        Fate::Hold(_) => JobState::Paused,
                        Fate::Restart { .. } | Fate::Shrink => continue,
                    };
                    assert!(may_follow(state, to), "{state:?} {ended:?} to {to:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn the_database_allows_exactly_what_may_be() {
        let (_folder, db) = crate::store::tests::empty().await;
        let allowed = crate::store::transitions::legal(&db).await.unwrap();
        for from in JobState::ALL {
            for to in JobState::ALL {
                let is_there = allowed.contains(&(from, to));
                assert_eq!(is_there, may_follow(from, to), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_result_is_kept_wherever_there_is_something_to_keep() {
        for state in [JobState::Queued, JobState::Paused, JobState::Failed] {
            let stop = |has_checkpoint| {
                let failure = Some(Cause::Diverged);
                next(Known { state, has_device: false, has_checkpoint, failure }, Verb::Stop)
            };
            assert_eq!(stop(true), Ok(Next::Go(JobState::Stopping)));
            let text = stop(false).unwrap_err().to_string();
            assert!(text.contains("no result to keep"), "{text}");
        }
    }

    #[test]
    fn a_failed_job_goes_on_where_that_can_help() {
        let resume = |failure| {
            let state = JobState::Failed;
            let job = Known { state, has_device: false, has_checkpoint: true, failure };
            next(job, Verb::Resume)
        };
        for cause in [Cause::Killed, Cause::OutOfMemory, Cause::Hung, Cause::DiskFull] {
            assert_eq!(resume(Some(cause)), Ok(Next::Go(JobState::Queued)));
        }
        for cause in [Some(Cause::Diverged), Some(Cause::BadData), None] {
            let text = resume(cause).unwrap_err().to_string();
            assert!(text.ends_with("the same would happen again, so start a new job"), "{text}");
        }
    }

    #[test]
    fn a_crash_is_survived_while_there_are_restarts() {
        let crashed = |state, means| after(state, Ended::Badly(Cause::Crashed), means);
        assert_eq!(crashed(JobState::Running, PLENTY), Fate::Restart { counts: true });
        assert_eq!(crashed(JobState::Stopping, PLENTY), Fate::Restart { counts: true });
        assert_eq!(crashed(JobState::Running, NONE), Fate::Move(JobState::Failed));
        assert_eq!(crashed(JobState::Pausing, NONE), Fate::Move(JobState::Paused));
    }

    #[test]
    fn a_job_without_room_waits_and_one_without_memory_takes_smaller_batches() {
        let badly = |state, cause| after(state, Ended::Badly(cause), PLENTY);
        for cause in [Cause::DiskFull, Cause::DiskError] {
            assert_eq!(badly(JobState::Running, cause), Fate::Hold(cause));
            assert_eq!(badly(JobState::Pausing, cause), Fate::Move(JobState::Paused));
            assert_eq!(badly(JobState::Stopping, cause), Fate::Restart { counts: true });
        }
        assert_eq!(badly(JobState::Running, Cause::OutOfMemory), Fate::Shrink);
        let on_cpu = Means { smaller_batches: false, ..PLENTY };
        let fate = after(JobState::Running, Ended::Badly(Cause::OutOfMemory), on_cpu);
        assert_eq!(fate, Fate::Restart { counts: true });
    }

    #[test]
    fn a_cancelled_job_is_cancelled_whatever_its_worker_says() {
        let ends = [Outcome::Completed, Outcome::Failed, Outcome::Paused].map(Ended::Well);
        for ended in ends.into_iter().chain(CAUSES.map(Ended::Badly)) {
            let fate = after(JobState::Cancelling, ended, PLENTY);
            assert_eq!(fate, Fate::Move(JobState::Cancelled));
        }
    }

    #[test]
    fn a_worker_that_saved_too_late_is_overruled() {
        let paused = |state| after(state, Ended::Well(Outcome::Paused), PLENTY);
        assert_eq!(paused(JobState::Pausing), Fate::Move(JobState::Paused));
        assert_eq!(paused(JobState::Running), Fate::Move(JobState::Queued));
        assert_eq!(paused(JobState::Stopping), Fate::Restart { counts: false });
    }

    #[test]
    fn what_would_happen_again_is_final() {
        for cause in [Cause::Diverged, Cause::BadData, Cause::BadWeights, Cause::Internal] {
            for state in [JobState::Running, JobState::Pausing, JobState::Stopping] {
                let fate = after(state, Ended::Badly(cause), PLENTY);
                assert_eq!(fate, Fate::Move(JobState::Failed), "{state:?} {cause:?}");
            }
        }
    }
}
