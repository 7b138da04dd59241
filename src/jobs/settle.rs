//! Decides what happens to a job whose worker ended. One transaction reads the job and stores the decision.

use serde_json::{Value, json};
use tracing::{info, warn};

use super::Jobs;
use super::changes::{Change, change, record};
use super::intake::{self, End};
use super::kinds::Task;
use super::lifecycle::{self, Ending, Fate, Means};
use crate::disk;
use crate::protocol::cause::Cause;
use crate::protocol::events::{Artifact, Finished, Outcome};
use crate::protocol::score_shift::ScoreShift;
use crate::store;
use crate::store::ids::{JobId, ModelId};
use crate::store::jobs::{Job, JobState, StateNote};
use crate::store::models::NewModel;
use crate::store::transitions::Actor;

/// How a worker ended.
#[derive(Debug)]
pub(super) enum Why {
    /// The worker reported its end.
    Reported(Box<End>),
    /// The worker ended without a report.
    Gone {
        /// The cause of the failure.
        cause: Cause,
        /// Completes a sentence that begins with "the worker".
        how: String,
    },
}

impl Why {
    fn ending(&self) -> Ending {
        match self {
            Self::Reported(end) => match (end.finished.outcome, end.finished.cause) {
                (Outcome::Failed, cause) => Ending::Failure(cause.unwrap_or(Cause::Internal)),
                (outcome, _) => Ending::Planned(outcome),
            },
            Self::Gone { cause, .. } => Ending::Failure(*cause),
        }
    }

    fn actor(&self) -> Actor {
        match self {
            Self::Reported(_) => Actor::Worker,
            Self::Gone { .. } => Actor::Server,
        }
    }

    /// Returns the text for the history. The user also sees it if the job fails or is put on hold.
    fn text(&self) -> String {
        match self {
            Self::Gone { how, .. } => format!("the worker {how}"),
            Self::Reported(end) => match (&end.finished.error, end.finished.outcome) {
                (Some(error), _) => error.clone(),
                (None, Outcome::Completed) => "completed".to_owned(),
                (None, Outcome::EarlyStopped) => "it stopped improving".to_owned(),
                (None, Outcome::Stopped) => "stopped early".to_owned(),
                (None, Outcome::Paused) => "paused".to_owned(),
                (None, Outcome::Cancelled) => "cancelled".to_owned(),
                (None, Outcome::Failed) => "the worker failed without giving a reason".to_owned(),
            },
        }
    }
}

impl Jobs {
    /// Decides what happens to the job, stores the decision, and deletes the files of a cancelled job.
    pub(super) async fn settle(&self, id: JobId, why: &Why, ran_s: f64) -> anyhow::Result<Fate> {
        let mut tx = store::begin(&self.0.db).await?;
        let Some(job) = store::jobs::find(&mut *tx, id).await? else {
            return Ok(Fate::Move(JobState::Cancelled)); // The job was deleted in the meantime.
        };
        let smaller_batches = match Task::of(&job) {
            Ok(task) if why.ending() == Ending::Failure(Cause::OutOfMemory) => {
                task.can_shrink(self, &job).await
            }
            _ => false,
        };
        let restarts = job.restarts < i64::from(self.0.settings.max_restarts);
        let means = Means { restarts, smaller_batches };
        let fate = lifecycle::after(job.state, why.ending(), means);
        store::jobs::set_ran(&mut *tx, id, ran_s).await?;
        let text = why.text();
        match fate {
            Fate::Move(to) => {
                if to == JobState::Completed {
                    keep(&mut tx, &job, why).await?;
                }
                leave(&mut tx, &job, to, why, None).await?;
            }
            Fate::Hold(cause) => leave(&mut tx, &job, JobState::Paused, why, Some(cause)).await?,
            Fate::Restart { counts } => {
                if counts {
                    store::jobs::count_restart(&mut *tx, id).await?;
                }
                note(&mut tx, &job, why, &format!("started again: {text}")).await?;
            }
            Fate::Shrink => {
                store::jobs::count_restart(&mut *tx, id).await?;
                store::jobs::shrink_batches(&mut *tx, id).await?;
                let text = format!("started again with batches half as large: {text}");
                note(&mut tx, &job, why, &text).await?;
            }
        }
        if let Why::Reported(end) = why {
            intake::advance(&mut tx, id, end.from, end.to).await?;
        }
        tx.commit().await?;
        self.tell();
        match fate {
            Fate::Move(to) => info!(job.id = %id, "job {id} is {}: {text}", to.name()),
            Fate::Hold(_) => warn!(job.id = %id, "job {id} is on hold: {text}"),
            Fate::Restart { .. } | Fate::Shrink => {
                warn!(job.id = %id, "starting job {id} again: {text}");
            }
        }
        if fate == Fate::Move(JobState::Cancelled) {
            self.discard(id).await;
        }
        Ok(fate)
    }

    /// Marks a job that cannot be started as failed.
    pub(super) async fn fail(&self, id: JobId, reason: &str) -> anyhow::Result<()> {
        let mut tx = store::begin(&self.0.db).await?;
        let Some(job) = store::jobs::find(&mut *tx, id).await? else { return Ok(()) };
        let note = StateNote { error: Some(reason), ..StateNote::default() };
        let (from, to, actor) = (job.state, JobState::Failed, Actor::Server);
        change(&mut tx, id, Change { from, to, actor, reason, note }).await?;
        tx.commit().await?;
        self.tell();
        warn!(job.id = %id, "job {id} failed: {reason}");
        Ok(())
    }

    /// Deletes the checkpoints and artifacts of a cancelled job. The log stays.
    pub(super) async fn discard(&self, id: JobId) {
        if let Err(error) = store::artifacts::forget(&self.0.db, id).await {
            warn!(job.id = %id, "cannot delete the artifact rows of job {id}: {error}");
        }
        let dir = self.dir(id);
        let folders = [dir.checkpoints(), dir.artifacts()];
        let discard = move || folders.iter().try_for_each(|folder| disk::remove_folder(folder));
        match tokio::task::spawn_blocking(discard).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(job.id = %id, "cannot clean up after job {id}: {error}"),
            Err(error) => warn!(job.id = %id, "cannot clean up after job {id}: {error}"),
        }
    }
}

/// Moves the job to a state without a device and records the reason.
async fn leave(
    db: &mut store::Connection,
    job: &Job,
    to: JobState,
    why: &Why,
    hold: Option<Cause>,
) -> store::Result<()> {
    let mut text = why.text();
    if to == JobState::Failed && job.restarts > 0 {
        text = format!("{text} (after {} restarts)", job.restarts);
    }
    let failure = match (to, why.ending()) {
        (JobState::Failed, Ending::Failure(cause)) => Some(cause.name()),
        _ => None,
    };
    let hold = hold.map(Cause::name);
    let is_told = failure.is_some() || hold.is_some() || to == JobState::Failed;
    let note = StateNote {
        error: is_told.then_some(text.as_str()),
        failure: failure.as_deref(),
        hold: hold.as_deref(),
    };
    let (from, actor) = (job.state, why.actor());
    change(db, job.id, Change { from, to, actor, reason: &text, note }).await?;
    Ok(())
}

/// Records that a worker was replaced.
async fn note(db: &mut store::Connection, job: &Job, why: &Why, reason: &str) -> store::Result<()> {
    let (from, to, actor, note) = (job.state, job.state, why.actor(), StateNote::default());
    record(db, job.id, Some(from), Change { from, to, actor, reason, note }).await
}

/// Stores the artifacts and the model, if the job made one.
async fn keep(db: &mut store::Connection, job: &Job, why: &Why) -> anyhow::Result<()> {
    let Why::Reported(end) = why else { return Ok(()) };
    let artifacts = &end.finished.artifacts;
    for artifact in artifacts {
        store::artifacts::put(&mut *db, job.id, artifact).await?;
    }
    let Some(product) = Task::of(job)?.product() else { return Ok(()) };
    let rows = store::epochs::of_job(&mut *db, job.id).await?;
    let files: Vec<Artifact> = artifacts.clone();
    let id = ModelId::new();
    // A mix without a data set has no metrics.
    let metrics = (!rows.is_empty()).then(|| before_and_after(&rows, &end.finished));
    let model = NewModel {
        id,
        name: &job.name,
        job_id: Some(job.id),
        parent_id: product.parent,
        files: &files,
        metrics: metrics.as_ref(),
    };
    store::models::insert(&mut *db, model).await?;
    Ok(store::models::set_variant(db, id, end.finished.variant).await?)
}

/// Returns `{epoch, best, baseline, retention, score_shift, recommended_threshold}`: the metrics of the result, which is
/// the best epoch or its mix with the base model, with shifted scores, and those of the base model.
fn before_and_after(rows: &[Value], finished: &Finished) -> Value {
    let Finished { mixing, score_shift, result, .. } = finished;
    let baseline = rows.iter().find(|row| row["epoch"] == 0);
    let best = rows.iter().rev().find(|row| row["is_best"] == true);
    let result = match (result, mixing) {
        (Some(result), _) => json!(result),
        (None, Some(mixing)) => json!(mixing.result()),
        (None, None) => json!(best.map(|row| &row["val"])),
    };
    let threshold = result["best_threshold"].as_f64();
    json!({
        "epoch": best.map(|row| &row["epoch"]),
        "baseline": baseline.map(|row| &row["val"]),
        "retention": mixing,
        "score_shift": score_shift,
        "recommended_threshold": ScoreShift::recommended(score_shift.as_deref(), threshold),
        "best": result,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::metrics::ValMetrics;
    use crate::protocol::mixing::{Mix, Mixing, Reason};
    use crate::protocol::score_shift::{FiguresAtDefault, ShiftFigures, ShiftReason};

    #[test]
    fn a_models_metrics_are_those_of_the_delivered_weights() {
        let val = |best| ValMetrics { best_threshold: Some(best), ..ValMetrics::default() };
        let mix = Mix { retain: 0.1, val: val(0.36) };
        let mixing = Mixing { retain: 0.1, reason: Reason::Requested, curve: vec![mix] };
        let before =
            Finished { mixing: Some(mixing), ..Finished::without_result(Outcome::Completed) };
        let earlier = before_and_after(&[], &before);
        assert_eq!(earlier["best"]["best_threshold"], json!(0.36));
        assert_eq!(earlier["recommended_threshold"], json!(0.36));

        let at = FiguresAtDefault { precision: 0.8, recall: 0.5, f1: 0.6, recall_ge24: None };
        let figures = Some(ShiftFigures { base: at, before: at, after: at, best_f1: 0.6 });
        let shift = ScoreShift { logits: 0.65, reason: ShiftReason::KeepsLargeFaces, figures };
        let (result, score_shift) = (Some(Box::new(val(0.49))), Some(Box::new(shift)));
        let finished = Finished { score_shift, result, ..before };
        let model = before_and_after(&[], &finished);
        assert_eq!(model["best"]["best_threshold"], json!(0.49));
        assert_eq!(model["recommended_threshold"], json!(0.5));
        assert_eq!(model["score_shift"]["logits"], json!(0.65));
    }
}
