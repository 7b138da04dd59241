//! What the parts of the loss are divided by.

use std::ops::AddAssign;

use tch::{Kind, Tensor};

use super::targets::Targets;

/// Counts over a batch, or over all batches of a step, as scalars on the device: to read them, the host would have to
/// wait for a GPU.
#[derive(Debug)]
pub struct StepCountTensors {
    /// Views.
    pub views: i64,
    /// Faces to learn.
    pub faces: i64,
    /// Positive anchors.
    pub positives: Tensor,
    /// Known coordinates of keypoints, at positive anchors.
    pub keypoints: Tensor,
    /// Anchors at which the base model is sure of a face.
    pub sure: Tensor,
}

impl StepCountTensors {
    /// Counts a batch without a teacher.
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
