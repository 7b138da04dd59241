//! What the parts of the loss are divided by.

use std::ops::AddAssign;

/// Counts over a batch, or over all batches of a step. The loss is a mean over these, so a step of several batches
/// learns the same as a step of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// Views.
    pub views: usize,
    /// Faces to learn.
    pub faces: usize,
    /// Positive anchors.
    pub positives: usize,
    /// Known coordinates of keypoints, at positive anchors.
    pub keypoints: usize,
    /// Anchors at which the base model is sure of a face.
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
