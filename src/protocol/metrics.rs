//! Rows of the metrics table, and the values in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnostics::Diagnostics;
use super::train_spec::Monitor;

/// One row of the metrics table; `epoch` 0 is the base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsRow {
    /// From 1; 0 is the base model.
    pub epoch: u32,
    /// Optimizer steps done since the job began.
    pub step: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// Learning rate of the epoch's last step.
    pub lr: f64,
    /// Training views per second, over the epoch.
    pub images_per_s: f64,
    /// Wall time of the epoch, evaluation included.
    pub seconds: f64,
    /// Whether this is the best epoch so far, by the job's `monitor`.
    pub is_best: bool,
    /// Means over the epoch's steps; absent in row 0.
    pub train: Option<TrainMetrics>,
    /// Diagnostics of the epoch; absent in row 0 and in rows of older versions.
    #[serde(default)]
    pub diagnostics: Option<Diagnostics>,
    /// Over the whole validation set, with the averaged weights.
    pub val: ValMetrics,
}

/// Means over training steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
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
    /// Positive anchors per face that was not ignored.
    pub positives_per_face: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl TrainMetrics {
    /// Every figure, in the order of the fields.
    pub fn to_array(self) -> [f64; 6] {
        let Self { loss, box_loss, positive, background, positives_per_face, gradient_norm } = self;
        [loss, box_loss, positive, background, positives_per_face, gradient_norm]
    }

    /// Makes it from every figure, in the order of the fields.
    pub fn from_array(figures: [f64; 6]) -> Self {
        let [loss, box_loss, positive, background, positives_per_face, gradient_norm] = figures;
        Self { loss, box_loss, positive, background, positives_per_face, gradient_norm }
    }

    /// Adds other sums to these.
    pub fn add(&mut self, other: &Self) {
        let (own, other) = (self.to_array(), other.to_array());
        *self = Self::from_array(std::array::from_fn(|at| own[at] + other[at]));
    }

    /// The means, from sums over this many steps.
    #[must_use]
    pub fn means(self, steps: u32) -> Self {
        Self::from_array(self.to_array().map(|sum| sum / f64::from(steps)))
    }
}

/// Measures over a whole data set. A measure is `null` in JSON if there is nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
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
    /// Like `ap50`, for faces of at least 6 pixels of the 128-pixel input.
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
    /// The best F1 over all thresholds, for faces of at least 6 pixels of the input (of every size if there are none):
    /// nobody would choose a threshold for faces too small to see.
    pub best_f1: Option<f64>,
    /// At that score, the share of detections that are faces.
    #[serde(default)]
    pub best_precision: Option<f64>,
    /// At that score, the share of faces that are found.
    #[serde(default)]
    pub best_recall: Option<f64>,
    /// Mean distance of keypoints from the base model's, in face widths, on faces that both find.
    pub keypoint_nme: Option<f64>,
}

impl ValMetrics {
    /// The measure that decides which epoch and which mix is best, as a number to maximise. If there are no faces of
    /// its size, faces of every size decide.
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

#[cfg(test)]
mod tests {
    use super::*;

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
