//! Diagnostics of an epoch: which faces got targets, how scores follow overlap, where the loss comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Figures over all views of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostics {
    /// Faces to learn, by their size in the view, smallest first.
    pub faces: Vec<FaceSize>,
    /// The loss by anchor grid, 16 × 16 first.
    pub grids: Vec<GridLoss>,
    /// Positive anchors by the IoU of their box, in ten equal bins from 0 to 1.
    pub score_by_iou: Vec<IouBin>,
    /// Share of the views without a face to learn.
    pub views_without_face: f64,
    /// The artifact that shows some of the views, if there is one.
    pub sample_views: Option<String>,
}

/// Faces of one range of sizes: √(width × height) in pixels of the 128-pixel view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaceSize {
    /// The smallest size, in pixels.
    pub from: f64,
    /// The end of the sizes, in pixels, not included; `null` for no end.
    pub to: Option<f64>,
    /// How many, over all views.
    pub count: u64,
    /// Positive anchors per face, on average.
    pub positives_per_face: Option<f64>,
    /// Share of the faces for which no anchor was positive.
    pub without_positive: Option<f64>,
}

/// What the anchors of one grid add to the loss: means over the epoch's steps, weighted, so that the
/// grids' add up to the epoch's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GridLoss {
    /// Cells per side: 16 or 8.
    pub side: u32,
    /// Share of all positive anchors that are of this grid.
    pub share_of_positives: Option<f64>,
    /// The box part.
    #[serde(rename = "box")]
    pub box_loss: f64,
    /// The score part over positive anchors.
    pub positive: f64,
    /// The score part over background anchors.
    pub background: f64,
}

/// Positive anchors whose box has an IoU from `from` to 0.1 more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IouBin {
    /// The lowest IoU.
    pub from: f64,
    /// How many positive anchors there were.
    pub count: u64,
    /// Their score, 0..1, on average.
    pub mean_score: Option<f64>,
}
