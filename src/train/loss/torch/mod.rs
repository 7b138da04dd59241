//! The loss of a batch's outputs, computed by libtorch.

pub mod boxes;
mod counts;
pub mod targets;
pub mod teacher;

use tch::{Kind, Reduction, Tensor};

pub use self::counts::StepCountTensors;

use self::boxes::Boxes;
use self::targets::Targets;
use crate::protocol::train_spec::{BoxLoss, Loss};
use crate::train::loss::constants::FEWEST_NEGATIVES;

/// The parts of the loss, each a weighted scalar on the device.
#[derive(Debug)]
pub struct Parts {
    /// Box loss at positive anchors.
    pub boxes: Tensor,
    /// Score loss at positive anchors. The target is the IoU of the box, but at least `min_quality`.
    pub positive: Tensor,
    /// Score loss at background anchors. The target is 0.
    pub background: Tensor,
    /// `[N, 896]`: IoU of the predicted box and the face's box; only meaningful at positive anchors.
    pub iou: Tensor,
    /// The same parts for each anchor.
    pub each: Each,
}

/// Each anchor's contribution to the parts of the loss, weighted and detached. All tensors are `[N, 896]`.
#[derive(Debug)]
pub struct Each {
    /// Box loss; 0 if the anchor is not positive.
    pub boxes: Tensor,
    /// Score loss; 0 if the anchor is not positive.
    pub positive: Tensor,
    /// Score loss; 0 if the anchor does not count as background.
    pub background: Tensor,
}

impl Parts {
    /// Returns the total loss, which training minimises.
    pub fn total(&self) -> Tensor {
        &self.boxes + &self.positive + &self.background
    }
}

/// Computes the quality focal loss of the scores and the box loss, both divided by the number of positive anchors. Hard
/// negatives are divided by their own number instead.
///
/// * `logits`: `[N, 896]`, `boxes`: `[N, 896, 4]`.
/// * `counts`: the counts to divide by.
///
/// Sources: <https://arxiv.org/abs/2006.04388> (quality focal loss), <https://arxiv.org/abs/1911.08287> (DIoU).
pub fn parts(
    logits: &Tensor,
    boxes: &Tensor,
    targets: &Targets,
    loss: &Loss,
    counts: &StepCountTensors,
) -> Parts {
    let is_positive = targets.positive.to_kind(Kind::Float); // [N, 896]
    let count = counts.positives.clamp_min(1.0);
    let (found, truth) = (Boxes::of(boxes), Boxes::of(&targets.boxes));
    let overlap = found.iou(&truth);
    let off: Tensor = match loss.box_loss {
        BoxLoss::Diou => 1.0 - &overlap + found.distance(&truth),
        BoxLoss::Huber => huber(boxes, &targets.boxes),
    };

    let quality = overlap.detach().clamp_min(loss.min_quality) * &is_positive;
    let is_background = targets.positive.logical_or(&targets.ignored).logical_not();
    let score = focal(logits, &quality, loss.focal_gamma);
    let (is_background, background_count) = match loss.hard_negatives {
        0.0 => (is_background, count.shallow_clone()),
        ratio => hardest(&logits.detach(), &is_background, &(&count * ratio), counts.views),
    };
    let boxes = off * &is_positive * (loss.box_weight / &count);
    let positive = &score * is_positive * (loss.positive_weight / count);
    let background = score * is_background * (loss.background_weight / background_count);
    Parts {
        boxes: boxes.sum(Kind::Float),
        positive: positive.sum(Kind::Float),
        background: background.sum(Kind::Float),
        iou: overlap.detach(),
        each: Each {
            boxes: boxes.detach(),
            positive: positive.detach(),
            background: background.detach(),
        },
    }
}

/// Returns |target − σ(logit)|^γ × cross-entropy for each element.
pub(super) fn focal(logits: &Tensor, target: &Tensor, gamma: f64) -> Tensor {
    let entropy =
        logits.binary_cross_entropy_with_logits::<Tensor>(target, None, None, Reduction::None);
    let gap = (logits.sigmoid() - target).abs();
    if gamma == 2.0 { gap.square() * entropy } else { gap.pow_tensor_scalar(gamma) * entropy }
}

/// Selects the hard negatives: in each view, the background anchors with the highest scores.
///
/// * `wanted`: the number of hard negatives in the step.
/// * `views`: the number of views in the step.
///
/// Returns a mask, `[N, 896]`, and the number of hard negatives in the step, a scalar.
fn hardest(
    logits: &Tensor,
    is_background: &Tensor,
    wanted: &Tensor,
    views: i64,
) -> (Tensor, Tensor) {
    let anchors = logits.size()[1];
    let each = (wanted / views as f64).floor();
    let each = each.clamp(FEWEST_NEGATIVES.min(anchors) as f64, anchors as f64);
    let others = logits.masked_fill(&is_background.logical_not(), f64::NEG_INFINITY);
    let rank = Tensor::arange(anchors, (Kind::Float, logits.device()));
    let is_among = rank.lt_tensor(&each).expand_as(logits);
    let kept = is_background.zeros_like().scatter(1, &others.argsort(1, true), &is_among);
    (kept.logical_and(is_background), each * views as f64)
}

/// Returns the Huber loss, averaged over the four edges of each box.
fn huber(found: &Tensor, truth: &Tensor) -> Tensor {
    let edges = |boxes: &Tensor| {
        let (centre, half) = (boxes.narrow(-1, 0, 2), boxes.narrow(-1, 2, 2) / 2.0);
        Tensor::cat(&[&centre - &half, centre + half], -1)
    };
    let costs = edges(found).smooth_l1_loss(&edges(truth), Reduction::None, 1.0);
    costs.mean_dim([-1i64].as_slice(), false, Kind::Float)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::model::layout::ANCHORS;

    /// Targets of a view with this many anchors, at most one of which is positive.
    fn targets(anchors: usize, positive: Option<(usize, [f32; 4])>) -> Targets {
        let (mut is_positive, mut boxes) = (vec![false; anchors], vec![[0.0; 4]; anchors]);
        if let Some((at, face)) = positive {
            (is_positive[at], boxes[at]) = (true, face);
        }
        let anchors = anchors as i64;
        Targets {
            positive: Tensor::from_slice(&is_positive).reshape([1, -1]),
            faces: Tensor::zeros([1, anchors], (Kind::Int64, Device::Cpu)),
            boxes: Tensor::from_slice(boxes.as_flattened()).reshape([1, -1, 4]),
            ignored: Tensor::zeros([1, anchors], (Kind::Bool, Device::Cpu)),
        }
    }

    fn costs(logits: &Tensor, boxes: &Tensor, targets: &Targets, loss: &Loss) -> Parts {
        parts(logits, boxes, targets, loss, &StepCountTensors::of(targets))
    }

    fn number(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    #[test]
    fn confident_correct_outputs_cost_almost_nothing() {
        let logits = Tensor::from_slice(&[12.0f32, -12.0, -12.0]).reshape([1, 3]);
        let face = [0.5f32, 0.5, 0.2, 0.3];
        let boxes =
            Tensor::from_slice([face, [0.0; 4], [0.0; 4]].as_flattened()).reshape([1, 3, 4]);
        let targets = targets(3, Some((0, face)));
        let parts = costs(&logits, &boxes, &targets, &Loss::default());
        assert!(number(&parts.total()) < 1e-3);
        assert!((parts.iou.double_value(&[0, 0]) - 1.0).abs() < 1e-6);
    }

    /// Calculated by hand: the IoU is 1/3, the centres are 0.1 apart, and the enclosing box has a diagonal of
    /// √(0.3² + 0.2²).
    #[test]
    fn a_misplaced_box_costs_one_minus_iou_plus_distance() {
        let logits = Tensor::zeros([1, 3], (Kind::Float, Device::Cpu));
        let boxes = Tensor::from_slice(&[0.5f32, 0.5, 0.2, 0.2]).repeat([3]).reshape([1, 3, 4]);
        let targets = targets(3, Some((1, [0.6, 0.5, 0.2, 0.2])));
        let loss = Loss { box_weight: 1.0, min_quality: 0.0, ..Loss::default() };
        let parts = costs(&logits, &boxes, &targets, &loss);
        let expected = 1.0 - 1.0 / 3.0 + 0.01 / 0.13;
        assert!((number(&parts.boxes) - expected).abs() < 1e-5);
        // Every score is 1/2. The target is 1/3 at the positive anchor and 0 at the others.
        let entropy = 2.0f64.ln();
        assert!((number(&parts.positive) - (1.0 / 6.0f64).powi(2) * entropy).abs() < 1e-5);
        assert!((number(&parts.background) - 2.0 * 0.25 * entropy).abs() < 1e-5);
    }

    #[test]
    fn hard_negatives_are_the_background_anchors_with_the_highest_scores() {
        let mut scores = vec![-20.0f32; ANCHORS];
        scores[5..25].fill(0.0);
        scores[100] = 9.0; // the positive anchor
        let logits = Tensor::from_slice(&scores).reshape([1, -1]);
        let boxes = Tensor::zeros([1, ANCHORS as i64, 4], (Kind::Float, Device::Cpu));
        let targets = targets(ANCHORS, Some((100, [0.5, 0.5, 0.2, 0.2])));
        let loss = |hard_negatives| Loss { hard_negatives, focal_gamma: 0.0, ..Loss::default() };
        let background = |ratio| number(&costs(&logits, &boxes, &targets, &loss(ratio)).background);
        let one = 2.0f64.ln();
        assert!((background(0.0) - 20.0 * one).abs() < 1e-4, "all background anchors");
        assert!((background(1.5) - one).abs() < 1e-5, "the mean of the ten hardest");
        assert!((background(40.0) - one / 2.0).abs() < 1e-4, "the mean of the forty hardest");
    }

    /// Calculated by hand: the left edge is off by 0.2 and the right edge by 0.1.
    #[test]
    fn the_huber_loss_is_half_the_mean_square_of_small_errors() {
        let found = Tensor::from_slice(&[0.5f32, 0.5, 0.2, 0.2]).reshape([1, 4]);
        let truth = Tensor::from_slice(&[0.45f32, 0.5, 0.5, 0.2]).reshape([1, 4]);
        assert!((number(&huber(&found, &truth)) - 0.5 * (0.04 + 0.01) / 4.0).abs() < 1e-6);
    }

    #[test]
    fn ignored_anchors_cost_nothing() {
        let logits = Tensor::from_slice(&[9.0f32, 9.0, 9.0]).reshape([1, 3]);
        let boxes = Tensor::zeros([1, 3, 4], (Kind::Float, Device::Cpu));
        let mut targets = targets(3, None);
        targets.ignored = targets.ignored.logical_not();
        let parts = costs(&logits, &boxes, &targets, &Loss::default());
        assert_eq!(number(&parts.total()), 0.0);
    }
}
