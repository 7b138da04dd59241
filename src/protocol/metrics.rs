//! Rows of the metrics table and the values in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnostics::Diagnostics;
use super::train_spec::Monitor;

/// A row of the metrics table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsRow {
    /// The epoch, from 1; 0 is the base model.
    pub epoch: u32,
    /// Optimizer steps done since the job began.
    pub step: u64,
    /// Time in RFC 3339 format, UTC.
    pub time: String,
    /// Learning rate of the epoch's last step.
    pub lr: f64,
    /// Training views per second over the epoch.
    pub images_per_s: f64,
    /// Wall time of the epoch in seconds, including validation.
    pub seconds: f64,
    /// Whether this is the best epoch so far according to the job's `monitor`.
    pub is_best: bool,
    /// Means over the epoch's steps; absent in row 0.
    pub train: Option<TrainMetrics>,
    /// Diagnostics of the epoch; absent in row 0 and in rows from earlier versions.
    #[serde(default)]
    pub diagnostics: Option<Diagnostics>,
    /// Metrics of the averaged weights on the whole validation set.
    pub val: ValMetrics,
}

/// Means over training steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TrainMetrics {
    /// Total loss.
    pub loss: f64,
    /// Weighted box loss.
    #[serde(rename = "box")]
    pub box_loss: f64,
    /// Weighted score loss at positive anchors.
    pub positive: f64,
    /// Weighted score loss at background anchors.
    pub background: f64,
    /// Mean number of positive anchors per face, not counting ignored faces.
    pub positives_per_face: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl TrainMetrics {
    /// Returns all figures in field order.
    pub fn to_array(self) -> [f64; 6] {
        let Self { loss, box_loss, positive, background, positives_per_face, gradient_norm } = self;
        [loss, box_loss, positive, background, positives_per_face, gradient_norm]
    }

    /// Creates the metrics from all figures in field order.
    pub fn from_array(figures: [f64; 6]) -> Self {
        let [loss, box_loss, positive, background, positives_per_face, gradient_norm] = figures;
        Self { loss, box_loss, positive, background, positives_per_face, gradient_norm }
    }

    /// Adds another batch's sums.
    pub fn add(&mut self, other: &Self) {
        let (own, other) = (self.to_array(), other.to_array());
        *self = Self::from_array(std::array::from_fn(|at| own[at] + other[at]));
    }

    /// Returns the means, given sums over this many steps.
    #[must_use]
    pub fn means(self, steps: u32) -> Self {
        Self::from_array(self.to_array().map(|sum| sum / f64::from(steps)))
    }
}

/// Metrics on a whole data set. A metric is `null` in JSON if there is nothing to measure it on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ValMetrics {
    /// Total loss.
    pub loss: f64,
    /// Weighted box loss.
    #[serde(rename = "box")]
    pub box_loss: f64,
    /// Weighted score loss at positive anchors.
    pub positive: f64,
    /// Weighted score loss at background anchors.
    pub background: f64,
    /// Share of the positive anchors that score at least 0.5.
    pub positive_accuracy: Option<f64>,
    /// Share of the background anchors that score below 0.5.
    pub background_accuracy: Option<f64>,
    /// Mean IoU of the decoded boxes at positive anchors.
    pub val_iou: Option<f64>,
    /// Average precision at IoU 0.5, for faces of every size.
    pub ap50: Option<f64>,
    /// Mean of the average precisions at IoU 0.50, 0.55 … 0.95.
    pub ap50_95: Option<f64>,
    /// Like `ap50`, but for faces of at least 6 pixels in the 128-pixel input.
    pub ap50_ge6: Option<f64>,
    /// Like `ap50`, but for faces of at least 12 pixels.
    pub ap50_ge12: Option<f64>,
    /// Like `ap50`, but for faces of at least 24 pixels.
    pub ap50_ge24: Option<f64>,
    /// Precision at a score threshold of 0.5.
    pub precision: Option<f64>,
    /// Recall at a score threshold of 0.5.
    pub recall: Option<f64>,
    /// F1 at a score threshold of 0.5.
    pub f1: Option<f64>,
    /// The score threshold that gives `best_f1`; the recommended `min_detection_confidence`.
    pub best_threshold: Option<f64>,
    /// The best F1 over all thresholds, for faces of at least 6 pixels in the input, or of every size if there are
    /// none. Smaller faces are too small for the network, so they should not affect the choice of a threshold.
    pub best_f1: Option<f64>,
    /// Share of the detections that are faces, at `best_threshold`.
    #[serde(default)]
    pub best_precision: Option<f64>,
    /// Share of the faces that are detected, at `best_threshold`.
    #[serde(default)]
    pub best_recall: Option<f64>,
    /// Mean distance of the keypoints from the base model's, in face widths, over the faces that both models detect.
    pub keypoint_nme: Option<f64>,
}

impl ValMetrics {
    /// Returns the metric that decides which epoch and which mix are best, as a number to maximise. Falls back to
    /// `ap50` if no face is large enough for the metric.
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
    fn a_row_from_a_version_without_diagnostics_can_be_read() {
        let val = serde_json::to_value(ValMetrics::default()).unwrap();
        let row = serde_json::json!({
            "epoch": 0, "step": 0, "time": "", "lr": 0.0, "images_per_s": 0.0, "seconds": 0.0,
            "is_best": false, "train": null, "val": val,
        });
        assert_eq!(serde_json::from_value::<MetricsRow>(row).unwrap().diagnostics, None);
    }
}
