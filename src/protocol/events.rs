//! Events that a worker reports. `events.jsonl` holds one JSON object per line and is append-only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::metrics::{MetricsRow, TrainMetrics, ValMetrics};
use super::mixing::Mixing;
use super::score_shift::ScoreShift;
use crate::data::options::ImportProgress;
use crate::geometry::Rect;
use crate::model::layout::Variant;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Sequence number: 1, 2, 3 … without gaps, even across restarts of the worker.
    pub seq: u64,
    /// Time in RFC 3339 format, UTC. It is named `at` in JSON because some bodies have a `time` field.
    #[serde(rename = "at")]
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened, such as `{"type": "epoch", …}` in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// A worker has started on the job, for the first time or after a crash or restart.
    Started(Started),
    /// Progress within an epoch, reported at most about twice a second.
    Step(Step),
    /// Progress of an evaluation or a mix, reported at most about twice a second.
    Measured(Measured),
    /// Progress of an import, reported at most about twice a second.
    Importing(ImportProgress),
    /// An epoch has ended, and its metrics are final.
    Epoch(Box<MetricsRow>),
    /// Sample detections after an epoch.
    Sample(Samples),
    /// Files can be downloaded.
    Artifacts(Artifacts),
    /// The worker has ended; this is its last event.
    Finished(Finished),
}

/// A worker has started on the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The device, such as `cpu` or `cuda:0`.
    pub device: String,
    /// Epochs already done according to the checkpoint; 0 for a fresh start.
    pub resumed_at_epoch: u32,
    /// Steps already done in the next epoch.
    #[serde(default)]
    pub resumed_at_step: u32,
    /// Total number of epochs; 0 for a job that does not train.
    pub epochs: u32,
    /// Steps per epoch. For a job that does not train, the number of pictures to measure, counted once per model.
    pub steps: u32,
    /// Views per optimizer step; absent for a job that does not train, and in events from earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views_per_step: Option<u32>,
}

/// Progress within an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StepEvent")]
pub struct Step {
    /// The current epoch, from 1.
    pub epoch: u32,
    /// Total number of epochs.
    pub epochs: u32,
    /// Steps done in this epoch.
    pub step: u32,
    /// Steps per epoch.
    pub steps: u32,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training views per second.
    pub images_per_s: f64,
    /// Estimated seconds until the job ends, including validation.
    pub eta_s: f64,
    /// Means over the epoch's steps so far.
    pub train: TrainMetrics,
}

/// Progress of an evaluation or a mix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Pictures measured so far, counted once per model.
    pub pictures: u32,
    /// Total number of pictures to measure, counted once per model.
    pub total: u32,
    /// Pictures per second.
    pub images_per_s: f64,
    /// Estimated seconds until all pictures are measured.
    pub eta_s: f64,
}

/// Sample detections after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Samples {
    /// The epoch; 0 is the base model.
    pub epoch: u32,
    /// A few validation pictures, the same for every epoch.
    pub pictures: Vec<SamplePicture>,
}

/// A sample picture. Boxes are in fractions of the picture.
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
    /// The base model's detections.
    pub baseline: Vec<ScoredBox>,
    /// The fine-tuned model's detections after the epoch.
    pub tuned: Vec<ScoredBox>,
}

/// A detection in a sample picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoredBox {
    /// The box, in fractions of the picture.
    #[serde(rename = "box")]
    pub rect: Rect,
    /// The score, 0..1.
    pub score: f32,
}

/// Files in `artifacts/` that are ready before the job ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifacts {
    /// New and changed files.
    pub artifacts: Vec<Artifact>,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The outcome.
    pub outcome: Outcome,
    /// If the outcome is `failed`, a message that the user can act on.
    pub error: Option<String>,
    /// If the outcome is `failed`, the kind of failure.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The files in `artifacts/`.
    pub artifacts: Vec<Artifact>,
    /// How much of the base model the result contains, if the job produced a model.
    #[serde(default, rename = "retention")]
    pub mixing: Option<Mixing>,
    /// How the scores of the result were shifted; absent if the job does not shift scores.
    #[serde(default)]
    pub score_shift: Option<Box<ScoreShift>>,
    /// The result's metrics on the validation pictures; absent in events from earlier versions.
    #[serde(default)]
    pub result: Option<Box<ValMetrics>>,
    /// The network variant of the result.
    #[serde(default)]
    pub variant: Variant,
}

impl Finished {
    /// Returns the event for a worker that ended without a result.
    pub fn without_result(outcome: Outcome) -> Self {
        Self {
            outcome,
            error: None,
            cause: None,
            artifacts: Vec::new(),
            mixing: None,
            score_shift: None,
            result: None,
            variant: Variant::default(),
        }
    }

    /// Returns the event for a worker that failed.
    pub fn failed(cause: Cause, error: String) -> Self {
        let failed = Self::without_result(Outcome::Failed);
        Self { error: Some(error), cause: Some(cause), ..failed }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The job did all its work.
    Completed,
    /// Training ended early because the model no longer improved.
    EarlyStopped,
    /// The job was told to stop; its result is kept.
    Stopped,
    /// The job was told to pause; it continues later from the last checkpoint.
    Paused,
    /// The job was told to cancel.
    Cancelled,
    /// The job could not continue.
    Failed,
}

/// A file that a job produces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// File name within `artifacts/`.
    pub name: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mixing::Reason;
    use crate::protocol::score_shift::ShiftReason;

    #[test]
    fn every_kind_of_event_survives_a_round_trip() {
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
            score_shift: Some(Box::new(ScoreShift::none(ShiftReason::TooFewFaces))),
            result: Some(Box::default()),
            variant: Variant::Back,
        };
        for body in [
            Body::Started(started),
            Body::Step(step),
            Body::Measured(Measured { pictures: 1, total: 2, images_per_s: 9.0, eta_s: 0.5 }),
            Body::Importing(ImportProgress { done: 1, total: 2 }),
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
