//! Diagnostics of an epoch: which faces have positive anchors, how scores relate to IoU, and where the loss comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Diagnostics over all views of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostics {
    /// Faces to learn, grouped by size in the view, smallest first.
    pub faces: Vec<FaceSize>,
    /// The loss of each anchor grid, 16 × 16 first.
    pub grids: Vec<GridLoss>,
    /// Positive anchors, grouped by the IoU of their box with the face, in ten equal bins from 0 to 1.
    pub score_by_iou: Vec<IouBin>,
    /// Share of the views that have no face to learn.
    pub views_without_face: f64,
    /// Name of the artifact that shows some of the views, if there is one.
    pub sample_views: Option<String>,
}

/// Faces in one range of sizes. A face's size is √(width × height), in pixels of the 128-pixel view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaceSize {
    /// Lower limit of the size in pixels, inclusive.
    pub from: f64,
    /// Upper limit of the size in pixels, exclusive; `null` means no limit.
    pub to: Option<f64>,
    /// Number of faces, over all views.
    pub count: u64,
    /// Mean number of positive anchors per face.
    pub positives_per_face: Option<f64>,
    /// Share of the faces that have no positive anchor.
    pub without_positive: Option<f64>,
}

/// The losses at one grid's anchors, as weighted means over the epoch's steps. The losses of the two grids add up to
/// the epoch's losses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GridLoss {
    /// Cells per side: 16 or 8.
    pub side: u32,
    /// Share of all positive anchors that belong to this grid.
    pub share_of_positives: Option<f64>,
    /// Box loss.
    #[serde(rename = "box")]
    pub box_loss: f64,
    /// Score loss at positive anchors.
    pub positive: f64,
    /// Score loss at background anchors.
    pub background: f64,
}

/// Positive anchors whose box has an IoU from `from` to `from` + 0.1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IouBin {
    /// Lower limit of the IoU.
    pub from: f64,
    /// Number of positive anchors.
    pub count: u64,
    /// Mean score of the anchors, 0..1.
    pub mean_score: Option<f64>,
}
