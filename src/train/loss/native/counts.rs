//! The counts that the parts of the loss are divided by.

use std::ops::AddAssign;

/// Counts over a batch, or over all batches of a step. Dividing by a step's counts makes a step of several batches
/// equivalent to a step of one large batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// Number of views.
    pub views: usize,
    /// Number of faces to learn.
    pub faces: usize,
    /// Number of positive anchors.
    pub positives: usize,
    /// Number of known keypoint coordinates, summed over the positive anchors.
    pub keypoints: usize,
    /// Number of anchors at which the base model is sure of a face.
    pub sure: usize,
}

impl AddAssign for StepCounts {
    fn add_assign(&mut self, other: Self) {
        self.views += other.views;
        self.faces += other.faces;
        self.positives += other.positives;
        self.keypoints += other.keypoints;
        self.sure += other.sure;
    }
}
