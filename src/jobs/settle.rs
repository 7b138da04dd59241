//! What becomes of a job whose worker ended: decided and stored in one transaction.

use serde_json::{Value, json};
use tracing::{info, warn};

use super::Jobs;
use super::changes::{Change, change};
use super::intake::{self, End};
use super::lifecycle::{self, Ended, Fate};
use crate::disk;
use crate::store;
use crate::store::ids::{JobId, ModelId};
use crate::store::job_kind::JobKind;
use crate::store::jobs::{Job, JobState};
use crate::store::models::NewModel;
use crate::train::events::{Artifact, Outcome};
use crate::train::retention::Retention;

/// How a worker ended.
#[derive(Debug)]
pub(super) enum Why {
    /// It said so.
    Said(Box<End>),
    /// It is gone without a word; the rest of a sentence that begins with "the worker".
    Gone(String),
}

impl Why {
    fn ended(&self) -> Ended {
        match self {
            Self::Said(end) => {
                Ended::Reported { outcome: end.finished.outcome, retry: end.finished.retry }
            }
            Self::Gone(_) => Ended::Crashed,
        }
    }

    /// For the history, and for the user when this is the end.
    fn text(&self) -> String {
        match self {
            Self::Gone(how) => format!("the worker {how}"),
            Self::Said(end) => match (&end.finished.error, end.finished.outcome) {
                (Some(error), _) => error.clone(),
                (None, Outcome::Completed) => "all is done".to_owned(),
                (None, Outcome::EarlyStopped) => "it no longer improved".to_owned(),
                (None, Outcome::Stopped) => "stopped early".to_owned(),
                (None, Outcome::Paused) => "paused".to_owned(),
                (None, Outcome::Cancelled) => "cancelled".to_owned(),
                (None, Outcome::Failed) => "the worker failed without a reason".to_owned(),
            },
        }
    }
}

impl Jobs {
    /// Decides, stores it, and clears up after a job that leaves nothing.
    pub(super) async fn settle(&self, id: JobId, why: Why) -> anyhow::Result<Fate> {
        let mut tx = store::begin(&self.0.db).await?;
        let Some(job) = store::jobs::find(&mut *tx, id).await? else {
            return Ok(Fate::Move(JobState::Cancelled)); // Deleted meanwhile.
        };
        let has_restarts = job.restarts < i64::from(self.0.settings.max_restarts);
        let fate = lifecycle::after(job.state, why.ended(), has_restarts);
        match (fate, why.ended()) {
            (Fate::Move(JobState::Completed), _) => keep(&mut tx, &job, &why).await?,
            (Fate::Restart { counts: true }, _) => {
                store::jobs::count_restart(&mut *tx, id).await?;
            }
            _ => {}
        }
        if let Why::Said(end) = &why {
            intake::advance(&mut tx, id, end.from, end.to).await?;
        }
        let mut text = why.text();
        if let Fate::Move(to) = fate {
            if to == JobState::Failed && job.restarts > 0 {
                text = format!("{text} (after {} restarts)", job.restarts);
            }
            let error = (to == JobState::Failed).then_some(text.as_str());
            let moved = Change { from: job.state, to, reason: &text, error };
            change(&mut tx, id, moved).await?;
        }
        tx.commit().await?;
        self.tell();
        match fate {
            Fate::Move(to) => info!(job.id = %id, "job {id} is {}: {text}", to.name()),
            Fate::Restart { .. } => warn!(job.id = %id, "job {id} is started again: {text}"),
        }
        if fate == Fate::Move(JobState::Cancelled) {
            self.discard(id).await;
        }
        Ok(fate)
    }

    /// Ends a job that cannot be started.
    pub(super) async fn fail(&self, id: JobId, reason: &str) -> anyhow::Result<()> {
        let mut tx = store::begin(&self.0.db).await?;
        let Some(job) = store::jobs::find(&mut *tx, id).await? else { return Ok(()) };
        let failed = Change { from: job.state, to: JobState::Failed, reason, error: Some(reason) };
        change(&mut tx, id, failed).await?;
        tx.commit().await?;
        self.tell();
        warn!(job.id = %id, "job {id} failed: {reason}");
        Ok(())
    }

    /// Deletes what a cancelled job has made so far; the log stays.
    pub(super) async fn discard(&self, id: JobId) {
        if let Err(error) = store::artifacts::forget(&self.0.db, id).await {
            warn!(job.id = %id, "cannot forget the files of job {id}: {error}");
        }
        let dir = self.dir(id);
        let folders = [dir.checkpoints(), dir.artifacts()];
        let discard = move || folders.iter().try_for_each(|folder| disk::remove_folder(folder));
        match tokio::task::spawn_blocking(discard).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(job.id = %id, "cannot clear up after job {id}: {error}"),
            Err(error) => warn!(job.id = %id, "cannot clear up after job {id}: {error}"),
        }
    }
}

/// Stores the artifacts, and the model that they are, where the job has trained one.
async fn keep(db: &mut store::Connection, job: &Job, why: &Why) -> store::Result<()> {
    let Why::Said(end) = why else { return Ok(()) };
    let artifacts = &end.finished.artifacts;
    for artifact in artifacts {
        store::artifacts::put(&mut *db, job.id, artifact).await?;
    }
    if job.kind == JobKind::Evaluate {
        return Ok(());
    }
    let rows = store::epochs::of_job(&mut *db, job.id).await?;
    let files: Vec<Artifact> = artifacts.clone();
    let model = NewModel {
        id: ModelId::new(),
        name: &job.name,
        job_id: Some(job.id),
        parent_id: None,
        files: &files,
        metrics: Some(&before_and_after(&rows, end.finished.retention.as_ref())),
    };
    store::models::insert(db, model).await
}

/// `{epoch, best, baseline, retention}`: the measures of the result, which is the best epoch mixed
/// with the untouched model, and of that one alone.
fn before_and_after(rows: &[Value], retention: Option<&Retention>) -> Value {
    let baseline = rows.iter().find(|row| row["epoch"] == 0);
    let best = rows.iter().rev().find(|row| row["is_best"] == true);
    json!({
        "epoch": best.map(|row| &row["epoch"]),
        "best": retention.map_or_else(|| json!(best.map(|row| &row["val"])), |chosen| json!(chosen.result())),
        "baseline": baseline.map(|row| &row["val"]),
        "retention": retention,
    })
}
