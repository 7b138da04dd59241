//! What a worker reports: one JSON object a line in `events.jsonl`, append only.

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::diagnostics::Diagnostics;
use super::evaluation::spec::EvaluationSpec;
use super::retention::Retention;
use super::spec::Monitor;
use crate::geometry::Rect;
use crate::model::layout::Variant;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3 … without gaps, across restarts of the worker.
    pub seq: u64,
    /// RFC 3339, UTC. Called `at` in JSON, for some bodies have a `time` of their own.
    #[serde(rename = "at")]
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened. JSON: `{"type": "epoch", …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// A worker has the job in hand; after a crash or restart, once more.
    Started(Started),
    /// Progress within an epoch, at most about two a second.
    Step(Step),
    /// Progress of an evaluation, at most about two a second.
    Measured(Measured),
    /// An epoch has ended, its checkpoint is on disk and its metrics are final.
    Epoch(Box<MetricsRow>),
    /// Sample detections were written.
    Sample(Samples),
    /// Files can be downloaded from now on.
    Artifacts(Artifacts),
    /// The end; nothing follows.
    Finished(Finished),
}

/// A worker has the job in hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// `cpu`, `cuda:0` ….
    pub device: String,
    /// Epochs done before, from the checkpoint; 0 for a fresh start.
    pub resumed_at_epoch: u32,
    /// Steps done before in the epoch after these.
    #[serde(default)]
    pub resumed_at_step: u32,
    /// Epochs to do in all; 0 for an evaluation.
    pub epochs: u32,
    /// Steps an epoch; for an evaluation, pictures to measure, once for each model.
    pub steps: u32,
}

/// Progress within an epoch; means since the epoch began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The epoch under way, from 1; 0 while the baseline is measured.
    pub epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
    /// Steps done in this epoch.
    pub step: u32,
    /// Steps an epoch.
    pub steps: u32,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training views a second.
    pub images_per_s: f64,
    /// Seconds until the job's end, evaluation included.
    pub eta_s: f64,
    /// Mean losses.
    pub train: TrainMetrics,
}

/// Progress of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Pictures measured, once for each model.
    pub pictures: u32,
    /// All there are to measure.
    pub total: u32,
    /// Pictures a second.
    pub images_per_s: f64,
    /// Seconds until the last of them.
    pub eta_s: f64,
}

/// One row of the metrics table; `epoch` 0 is the untouched baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// From 1; 0 is the untouched baseline.
    pub epoch: u32,
    /// Optimizer steps done since the job began.
    pub step: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// Learning rate of the epoch's last step.
    pub lr: f64,
    /// Training views a second, over the epoch.
    pub images_per_s: f64,
    /// Wall time of the epoch, evaluation included.
    pub seconds: f64,
    /// The best so far by `ap50`, this one included.
    pub is_best: bool,
    /// Means over the epoch's steps; absent in row 0.
    pub train: Option<TrainMetrics>,
    /// What the epoch looked like from inside; absent in row 0 and in rows of older versions.
    #[serde(default)]
    pub diagnostics: Option<Diagnostics>,
    /// Over the whole validation set, with the averaged weights.
    pub val: ValMetrics,
}

/// Means over training steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainMetrics {
    /// The whole loss.
    pub loss: f64,
    /// Its box part, weighted.
    #[serde(rename = "box")]
    pub box_loss: f64,
    /// Its score part over positive anchors, weighted.
    pub positive: f64,
    /// Its score part over background anchors, weighted.
    pub background: f64,
    /// Positive anchors a face that was not ignored.
    pub positives_per_face: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
}

/// Measures over a whole data set. `null` in JSON where there is nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ValMetrics {
    /// The whole loss.
    pub loss: f64,
    /// Its box part, weighted.
    #[serde(rename = "box")]
    pub box_loss: f64,
    /// Its score part over positive anchors, weighted.
    pub positive: f64,
    /// Its score part over background anchors, weighted.
    pub background: f64,
    /// Share of the positive anchors that score at least 0.5.
    pub positive_accuracy: Option<f64>,
    /// Share of the background anchors that score below 0.5.
    pub background_accuracy: Option<f64>,
    /// Mean IoU of the decoded boxes at positive anchors.
    pub val_iou: Option<f64>,
    /// Average precision at IoU 0.5, faces of every size.
    pub ap50: Option<f64>,
    /// Mean of the average precision at IoU 0.50, 0.55 … 0.95.
    pub ap50_95: Option<f64>,
    /// As `ap50`, for faces of at least 6 pixels of the 128-pixel input.
    pub ap50_ge6: Option<f64>,
    /// At least 12 pixels.
    pub ap50_ge12: Option<f64>,
    /// At least 24 pixels.
    pub ap50_ge24: Option<f64>,
    /// At score 0.5.
    pub precision: Option<f64>,
    /// At score 0.5.
    pub recall: Option<f64>,
    /// At score 0.5.
    pub f1: Option<f64>,
    /// The score at which `best_f1` is reached: advice for `min_detection_confidence`.
    pub best_threshold: Option<f64>,
    /// The best F1 over all thresholds, for faces of at least 6 pixels of the input (of every size
    /// where there are none): nobody would choose a threshold for faces that cannot be seen.
    pub best_f1: Option<f64>,
    /// There, the share of the detections that are of a face.
    #[serde(default)]
    pub best_precision: Option<f64>,
    /// There, the share of the faces that are found.
    #[serde(default)]
    pub best_recall: Option<f64>,
    /// Mean keypoint error over face width, against the untouched model on faces both find.
    pub keypoint_nme: Option<f64>,
}

impl ValMetrics {
    /// The measure that decides which epoch and which mix is best, as a number to be maximised. Where there
    /// are no faces of its size, those of every size decide.
    pub fn monitored(&self, monitor: Monitor) -> f64 {
        let chosen = match monitor {
            Monitor::Ap50Ge6 => self.ap50_ge6,
            Monitor::Ap50Ge12 => self.ap50_ge12,
            Monitor::Ap50Ge24 => self.ap50_ge24,
            Monitor::Ap50 => self.ap50,
            Monitor::Ap5095 => self.ap50_95,
            Monitor::BestF1 => self.best_f1,
            Monitor::Loss => Some(-self.loss),
        };
        chosen.or(self.ap50).unwrap_or_default()
    }
}

/// Sample detections of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The epoch they were made after; 0 is the untouched baseline.
    pub epoch: u32,
    /// A fixed few of the validation pictures.
    pub pictures: Vec<SamplePicture>,
}

/// One sample picture. Boxes are fractions of the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplePicture {
    /// Index in the data set.
    pub index: usize,
    /// The picture's path in the data set.
    pub name: String,
    /// Of the original, in pixels.
    pub width: u32,
    /// Of the original, in pixels.
    pub height: u32,
    /// What the annotations say.
    pub ground_truth: Vec<Rect>,
    /// What the untouched model finds.
    pub baseline: Vec<ScoredBox>,
    /// What the model finds now.
    pub tuned: Vec<ScoredBox>,
}

/// A detection, as shown in samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoredBox {
    /// Fractions of the picture.
    #[serde(rename = "box")]
    pub rect: Rect,
    /// 0..1.
    pub score: f32,
}

/// Files of `artifacts/` that are there before the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifacts {
    /// New ones, and those that have changed.
    pub artifacts: Vec<Artifact>,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// A sentence the user can act on, where the outcome is `failed`.
    pub error: Option<String>,
    /// What kind of failure that is.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The files of `artifacts/`.
    pub artifacts: Vec<Artifact>,
    /// How much of the untouched model is in the result, where there is one.
    #[serde(default)]
    pub retention: Option<Retention>,
    /// Which network the result is.
    #[serde(default)]
    pub variant: Variant,
}

impl Finished {
    /// An end without a result.
    pub fn without_result(outcome: Outcome) -> Self {
        Self {
            outcome,
            error: None,
            cause: None,
            artifacts: Vec::new(),
            retention: None,
            variant: Variant::default(),
        }
    }

    /// An end that nobody wanted.
    pub fn failed(cause: Cause, error: String) -> Self {
        let failed = Self::without_result(Outcome::Failed);
        Self { error: Some(error), cause: Some(cause), ..failed }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every epoch was done.
    Completed,
    /// Ended early because it no longer improved.
    EarlyStopped,
    /// Ended early because it was told to; the result is kept.
    Stopped,
    /// Told to hold; the last checkpoint is where it goes on.
    Paused,
    /// Told to give up.
    Cancelled,
    /// Could not go on.
    Failed,
}

/// A file a job leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// File name within `artifacts/`.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
}

/// `control.json`: what the server wants of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Go on.
    #[default]
    Run,
    /// Save a checkpoint and leave; the job will go on later.
    Pause,
    /// End now, keep the result.
    Stop,
    /// End now, keep nothing.
    Cancel,
}

/// The content of `control.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Control {
    /// What to do.
    pub command: Command,
}

/// The content of `spec.json`. JSON: `{"kind": "train", …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Fine-tunes a model.
    Train(Box<JobSpec>),
    /// Measures models.
    Evaluate(EvaluationSpec),
}

/// What a worker that trains needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// For logs and the model's name.
    pub job_id: String,
    /// The user's name for it.
    pub name: String,
    /// Folder of the imported data set.
    pub dataset_dir: std::path::PathBuf,
    /// Weights file to start from, where `params.init` names a model.
    pub init_file: Option<std::path::PathBuf>,
    /// Threads for a CPU job; `None` takes every core.
    pub threads: Option<usize>,
    /// When to save a checkpoint within an epoch.
    #[serde(default)]
    pub checkpoints: CheckpointEvery,
    /// What to do.
    pub params: super::spec::TrainSpec,
}

/// When a checkpoint is saved within an epoch; one is saved after each in any case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckpointEvery {
    /// Seconds since the last one.
    pub seconds: u64,
    /// Steps since the epoch began or the last one; 0 counts none.
    pub steps: u32,
}

impl Default for CheckpointEvery {
    fn default() -> Self {
        Self { seconds: 60, steps: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::retention::Reason;

    #[test]
    fn every_kind_of_event_is_read_back_as_it_was_written() {
        let train = TrainMetrics {
            loss: 1.0,
            box_loss: 0.5,
            positive: 0.25,
            background: 0.25,
            positives_per_face: 3.0,
            gradient_norm: 2.0,
        };
        let row = MetricsRow {
            epoch: 1,
            step: 9,
            time: "2026-01-01T00:00:00.000Z".into(),
            lr: 1e-3,
            images_per_s: 100.0,
            seconds: 1.0,
            is_best: true,
            train: Some(train),
            diagnostics: None,
            val: ValMetrics { ap50: Some(0.5), ..ValMetrics::default() },
        };
        let started = Started {
            device: "cpu".into(),
            resumed_at_epoch: 0,
            resumed_at_step: 1,
            epochs: 2,
            steps: 3,
        };
        let step = Step {
            epoch: 1,
            epochs: 2,
            step: 1,
            steps: 3,
            lr: 1e-3,
            images_per_s: 9.0,
            eta_s: 1.0,
            train,
        };
        let artifact = Artifact { name: "a".into(), size_bytes: 1, sha256: "0".into() };
        let finished = Finished {
            outcome: Outcome::Completed,
            error: None,
            cause: Some(Cause::Hung),
            artifacts: vec![artifact.clone()],
            retention: Some(Retention {
                retain: 0.1,
                reason: Reason::KeepsEverySize,
                curve: vec![],
            }),
            variant: Variant::Back,
        };
        for body in [
            Body::Started(started),
            Body::Step(step),
            Body::Measured(Measured { pictures: 1, total: 2, images_per_s: 9.0, eta_s: 0.5 }),
            Body::Epoch(Box::new(row)),
            Body::Sample(Samples { epoch: 0, pictures: vec![] }),
            Body::Artifacts(Artifacts { artifacts: vec![artifact] }),
            Body::Finished(finished),
        ] {
            let event = Event { seq: 1, time: "2026-01-01T00:00:01.000Z".into(), body };
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
        }
    }

    #[test]
    fn a_row_of_a_version_without_diagnostics_is_read() {
        let val = serde_json::to_value(ValMetrics::default()).unwrap();
        let row = serde_json::json!({
            "epoch": 0, "step": 0, "time": "", "lr": 0.0, "images_per_s": 0.0, "seconds": 0.0,
            "is_best": false, "train": null, "val": val,
        });
        assert_eq!(serde_json::from_value::<MetricsRow>(row).unwrap().diagnostics, None);
    }
}
