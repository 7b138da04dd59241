//! What a worker reports: one JSON object per line of `events.jsonl`, append only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::metrics::{MetricsRow, TrainMetrics};
use super::mixing::Mixing;
use crate::geometry::Rect;
use crate::model::layout::Variant;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3 … without gaps, across restarts of the worker.
    pub seq: u64,
    /// RFC 3339, UTC. Called `at` in JSON because some bodies have their own `time`.
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
    /// A worker has started on the job; again after each crash or restart.
    Started(Started),
    /// Progress within an epoch, at most about twice a second.
    Step(Step),
    /// Progress of an evaluation, at most about twice a second.
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

/// A worker has started on the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// `cpu`, `cuda:0` ….
    pub device: String,
    /// Epochs already done, from the checkpoint; 0 for a fresh start.
    pub resumed_at_epoch: u32,
    /// Steps already done in the epoch after them.
    #[serde(default)]
    pub resumed_at_step: u32,
    /// Epochs to do in all; 0 for a job that does not train.
    pub epochs: u32,
    /// Steps per epoch; for a job that does not train, pictures to measure, once for each model.
    pub steps: u32,
    /// Views per optimizer step; absent for a job that does not train, and in events of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views_per_step: Option<u32>,
}

/// Progress within an epoch; means since the epoch began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StepEvent")]
pub struct Step {
    /// The epoch under way, from 1; 0 while the baseline is measured.
    pub epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
    /// Steps done in this epoch.
    pub step: u32,
    /// Steps per epoch.
    pub steps: u32,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training views per second.
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
    /// Pictures to measure in all.
    pub total: u32,
    /// Pictures per second.
    pub images_per_s: f64,
    /// Seconds until the last of them.
    pub eta_s: f64,
}

/// Sample detections of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Samples {
    /// The epoch they were made after; 0 is the base model.
    pub epoch: u32,
    /// The same few validation pictures every time.
    pub pictures: Vec<SamplePicture>,
}

/// One sample picture. Boxes are fractions of the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SamplePicture {
    /// Index in the data set.
    pub index: usize,
    /// The picture's path in the data set.
    pub name: String,
    /// Width of the original, in pixels.
    pub width: u32,
    /// Height of the original, in pixels.
    pub height: u32,
    /// The annotated faces.
    pub ground_truth: Vec<Rect>,
    /// What the base model finds.
    pub baseline: Vec<ScoredBox>,
    /// What the model finds now.
    pub tuned: Vec<ScoredBox>,
}

/// A detection, as shown in samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoredBox {
    /// Fractions of the picture.
    #[serde(rename = "box")]
    pub rect: Rect,
    /// 0..1.
    pub score: f32,
}

/// Files of `artifacts/` that are ready before the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifacts {
    /// New files, and those that have changed.
    pub artifacts: Vec<Artifact>,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// If the outcome is `failed`, a sentence that the user can act on.
    pub error: Option<String>,
    /// What kind of failure that is.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The files of `artifacts/`.
    pub artifacts: Vec<Artifact>,
    /// How much of the base model is in the result, if there is a result.
    #[serde(default, rename = "retention")]
    pub mixing: Option<Mixing>,
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
            mixing: None,
            variant: Variant::default(),
        }
    }

    /// An end by failure.
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
    /// Told to pause; it continues from the last checkpoint.
    Paused,
    /// Told to cancel.
    Cancelled,
    /// Could not continue.
    Failed,
}

/// A file that a job leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// File name within `artifacts/`.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::metrics::ValMetrics;
    use crate::protocol::mixing::Reason;

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
            views_per_step: None,
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
            mixing: Some(Mixing { retain: 0.1, reason: Reason::KeepsEverySize, curve: vec![] }),
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
}
