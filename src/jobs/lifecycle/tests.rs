//! Tests every combination of state, verb and ending.

use super::*;
use crate::protocol::events::Outcome;

const VERBS: [Verb; 4] = [Verb::Pause, Verb::Resume, Verb::Stop, Verb::Cancel];
const ACTIVE: [JobState; 4] =
    [JobState::Running, JobState::Pausing, JobState::Stopping, JobState::Cancelling];
const PLENTY: Means = Means { restarts: true, smaller_batches: true };
const NONE: Means = Means { restarts: false, smaller_batches: false };
const CAUSES: [Cause; 4] = [Cause::Killed, Cause::Diverged, Cause::DiskFull, Cause::OutOfMemory];

/// Jobs in every state, with every cause of failure in [`CAUSES`].
fn all() -> impl Iterator<Item = Known> {
    let failures = CAUSES.into_iter().map(Some).chain([None]);
    JobState::ALL.into_iter().flat_map(move |state| {
        let failures = failures.clone();
        failures.flat_map(move |failure| {
            [true, false].map(|yes| Known { state, has_device: yes, has_checkpoint: yes, failure })
        })
    })
}

#[test]
fn every_unfinished_job_can_be_cancelled() {
    for job in all() {
        let is_done = matches!(job.state, JobState::Completed | JobState::Failed);
        assert_eq!(next(job, Verb::Cancel).is_err(), is_done, "{job:?}");
    }
}

#[test]
fn no_verb_changes_a_completed_or_cancelled_job() {
    for job in all().filter(|job| matches!(job.state, JobState::Completed | JobState::Cancelled)) {
        for verb in VERBS {
            assert!(!matches!(next(job, verb), Ok(Next::Go(_))), "{job:?} {verb:?}");
        }
    }
}

#[test]
fn repeating_a_verb_changes_nothing() {
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
fn every_verb_and_every_ending_makes_an_allowed_change() {
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
    let ends = outcomes.map(Ending::Planned).into_iter().chain(CAUSES.map(Ending::Failure));
    for ending in ends {
        for state in ACTIVE {
            for means in [PLENTY, NONE] {
                let to = match after(state, ending, means) {
                    Fate::Move(to) => to,
                    Fate::Hold(_) => JobState::Paused,
                    Fate::Restart { .. } | Fate::Shrink => continue,
                };
                assert!(may_follow(state, to), "{state:?} {ending:?} to {to:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_database_allows_exactly_the_legal_changes() {
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
fn stop_keeps_a_result_whenever_there_is_a_checkpoint() {
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
fn a_failed_job_resumes_only_if_a_retry_can_succeed() {
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
        assert!(text.ends_with("it would fail again, so start a new job"), "{text}");
    }
}

#[test]
fn a_job_survives_crashes_while_it_has_restarts_left() {
    let crashed = |state, means| after(state, Ending::Failure(Cause::Crashed), means);
    assert_eq!(crashed(JobState::Running, PLENTY), Fate::Restart { counts: true });
    assert_eq!(crashed(JobState::Stopping, PLENTY), Fate::Restart { counts: true });
    assert_eq!(crashed(JobState::Running, NONE), Fate::Move(JobState::Failed));
    assert_eq!(crashed(JobState::Pausing, NONE), Fate::Move(JobState::Paused));
}

#[test]
fn a_job_without_disk_space_waits_and_a_job_without_memory_shrinks_its_batches() {
    let badly = |state, cause| after(state, Ending::Failure(cause), PLENTY);
    for cause in [Cause::DiskFull, Cause::DiskError] {
        assert_eq!(badly(JobState::Running, cause), Fate::Hold(cause));
        assert_eq!(badly(JobState::Pausing, cause), Fate::Move(JobState::Paused));
        assert_eq!(badly(JobState::Stopping, cause), Fate::Restart { counts: true });
    }
    assert_eq!(badly(JobState::Running, Cause::OutOfMemory), Fate::Shrink);
    let on_cpu = Means { smaller_batches: false, ..PLENTY };
    let fate = after(JobState::Running, Ending::Failure(Cause::OutOfMemory), on_cpu);
    assert_eq!(fate, Fate::Restart { counts: true });
}

#[test]
fn a_job_being_cancelled_ends_up_cancelled_whatever_its_worker_reports() {
    let ends = [Outcome::Completed, Outcome::Failed, Outcome::Paused].map(Ending::Planned);
    for ending in ends.into_iter().chain(CAUSES.map(Ending::Failure)) {
        let fate = after(JobState::Cancelling, ending, PLENTY);
        assert_eq!(fate, Fate::Move(JobState::Cancelled));
    }
}

#[test]
fn a_pause_that_the_user_withdrew_is_ignored() {
    let paused = |state| after(state, Ending::Planned(Outcome::Paused), PLENTY);
    assert_eq!(paused(JobState::Pausing), Fate::Move(JobState::Paused));
    assert_eq!(paused(JobState::Running), Fate::Move(JobState::Queued));
    assert_eq!(paused(JobState::Stopping), Fate::Restart { counts: false });
}

#[test]
fn failures_that_would_recur_are_final() {
    for cause in [Cause::Diverged, Cause::BadData, Cause::BadWeights, Cause::Internal] {
        for state in [JobState::Running, JobState::Pausing, JobState::Stopping] {
            let fate = after(state, Ending::Failure(cause), PLENTY);
            assert_eq!(fate, Fate::Move(JobState::Failed), "{state:?} {cause:?}");
        }
    }
}
