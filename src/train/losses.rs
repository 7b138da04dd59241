//! What a batch's outputs cost.

use tch::{Kind, Reduction, Tensor};

use super::spec::Loss;
use super::targets::{Targets, iou};
use crate::model::layout::COORDINATES;
use crate::model::network::Outputs;

/// The parts of the loss, each a weighted scalar on the device.
#[derive(Debug)]
pub struct Parts {
    /// Boxes at positive anchors: 1 − `DIoU`.
    pub boxes: Tensor,
    /// Scores at positive anchors, whose target is the box's overlap.
    pub positive: Tensor,
    /// Scores at background anchors, whose target is 0.
    pub background: Tensor,
    /// `[P]`: overlap of the predicted with the true box at positive anchors.
    pub iou: Tensor,
}

impl Parts {
    /// What is minimised.
    pub fn total(&self) -> Tensor {
        &self.boxes + &self.positive + &self.background
    }
}

/// Quality focal loss over scores and distance-IoU loss over boxes, both a positive anchor.
///
/// * `logits`: `[N, 896]`, `boxes`: `[N, 896, 4]`.
///
/// Sources: <https://arxiv.org/abs/2006.04388> (quality focal loss), <https://arxiv.org/abs/1911.08287>
/// (`DIoU`).
pub fn parts(logits: &Tensor, boxes: &Tensor, targets: &Targets, loss: &Loss) -> Parts {
    let logits = logits.reshape([-1]);
    let found = boxes.reshape([-1, 4]).index_select(0, &targets.positive); // [P, 4]
    let count = targets.positive.numel().max(1) as f64;
    let overlap = iou(&found, &targets.boxes);
    let boxes = 1.0 - &overlap + centre_distance(&found, &targets.boxes);

    let mut quality = logits.zeros_like();
    let _ = quality.index_copy_(0, &targets.positive, &overlap.detach());
    let mut is_background = targets.ignored.reshape([-1]).logical_not();
    let _ = is_background.index_fill_(0, &targets.positive, 0);
    let score = focal(&logits, &quality, loss.focal_gamma);
    let sum = |t: Tensor| t.sum(Kind::Float);
    Parts {
        boxes: sum(boxes) * (loss.box_weight / count),
        positive: sum(score.index_select(0, &targets.positive)) * (loss.score_weight / count),
        background: sum(&score * is_background) * (loss.score_weight / count),
        iou: overlap.detach(),
    }
}

/// How far the keypoints are from the untouched model's, over the face's width, wherever that
/// model is confident. Nothing else holds them in place: most data sets label no keypoints, and
/// the backbone moves under the heads.
///
/// * `found`: what the network in training says, `reference`: what the untouched one says, of the
///   same pictures.
pub fn keypoints(found: &Outputs, reference: &Outputs) -> Tensor {
    let confident = reference.logits.reshape([-1]).ge(0.0).nonzero().squeeze_dim(1); // [K]
    let rows = |outputs: &Outputs| {
        let width = COORDINATES as i64;
        outputs.coordinates.reshape([-1, width]).index_select(0, &confident)
    };
    let (found, reference) = (rows(found), rows(reference)); // [K, 16]
    let width = reference.narrow(1, 2, 1).clamp_min(1.0); // pixels
    let offset = (found.narrow(1, 4, 12) - reference.narrow(1, 4, 12)) / width;
    // The root's smooth foot keeps the gradient of a keypoint that is in place small.
    let distance = (offset.square() + KEYPOINT_FOOT * KEYPOINT_FOOT).sqrt() - KEYPOINT_FOOT;
    distance.sum(Kind::Float) / (confident.numel().max(1) as f64 * 12.0)
}

/// In face widths.
const KEYPOINT_FOOT: f64 = 0.02;

/// |target − σ(logit)|^γ × cross-entropy, element by element.
fn focal(logits: &Tensor, target: &Tensor, gamma: f64) -> Tensor {
    let entropy =
        logits.binary_cross_entropy_with_logits::<Tensor>(target, None, None, Reduction::None);
    let gap = (logits.sigmoid() - target).abs();
    if gamma == 2.0 { gap.square() * entropy } else { gap.pow_tensor_scalar(gamma) * entropy }
}

/// Squared distance of the centres over the squared diagonal of the box around both.
fn centre_distance(a: &Tensor, b: &Tensor) -> Tensor {
    let centre = |boxes: &Tensor| boxes.narrow(-1, 0, 2);
    let half = |boxes: &Tensor| boxes.narrow(-1, 2, 2).clamp_min(0.0) / 2.0;
    let high = (centre(a) + half(a)).maximum(&(centre(b) + half(b)));
    let low = (centre(a) - half(a)).minimum(&(centre(b) - half(b)));
    let squared = |t: Tensor| t.square().sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    squared(centre(a) - centre(b)) / squared(high - low).clamp_min(1e-9)
}
