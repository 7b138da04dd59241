//! The counts that the parts of the loss are divided by.

use std::ops::AddAssign;

use tch::{Kind, Tensor};

use super::targets::Targets;

/// Counts over a batch, or over all batches of a step. The tensors are scalars that stay on the device, because reading
/// them would make the host wait for the GPU.
#[derive(Debug)]
pub struct StepCountTensors {
    /// Number of views.
    pub views: i64,
    /// Number of faces to learn.
    pub faces: i64,
    /// Number of positive anchors.
    pub positives: Tensor,
    /// Number of known keypoint coordinates, summed over the positive anchors.
    pub keypoints: Tensor,
    /// Number of anchors at which the base model is sure of a face.
    pub sure: Tensor,
}

impl StepCountTensors {
    /// Returns the counts of a batch that is trained without a teacher.
    pub fn of(targets: &Targets) -> Self {
        let zero = || Tensor::zeros([], (Kind::Float, targets.boxes.device()));
        let views = targets.positive.size()[0];
        Self { views, faces: 0, positives: targets.count(), keypoints: zero(), sure: zero() }
    }
}

impl AddAssign for StepCountTensors {
    fn add_assign(&mut self, other: Self) {
        self.views += other.views;
        self.faces += other.faces;
        self.positives += other.positives;
        self.keypoints += other.keypoints;
        self.sure += other.sure;
    }
}
