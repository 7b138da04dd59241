//! The loss of a batch's outputs.

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
    /// Boxes at positive anchors: 1 − `DIoU`.
    pub boxes: Tensor,
    /// Scores at positive anchors, whose target is the box's overlap, or `min_quality` where that is more.
    pub positive: Tensor,
    /// Scores at background anchors, whose target is 0.
    pub background: Tensor,
    /// `[N, 896]`: overlap of the predicted with the true box; meaningful at positive anchors only.
    pub iou: Tensor,
    /// The same parts, anchor by anchor.
    pub each: Each,
}

/// What each anchor adds to the parts of the loss, weighted and detached: `[N, 896]` each.
#[derive(Debug)]
pub struct Each {
    /// 0 where an anchor is not positive.
    pub boxes: Tensor,
    /// 0 where an anchor is not positive.
    pub positive: Tensor,
    /// 0 where an anchor is not background.
    pub background: Tensor,
}

impl Parts {
    /// The total, which training minimises.
    pub fn total(&self) -> Tensor {
        &self.boxes + &self.positive + &self.background
    }
}

/// Quality focal loss over scores and, by default, distance-IoU loss over boxes, both per positive anchor.
///
/// * `logits`: `[N, 896]`, `boxes`: `[N, 896, 4]`.
/// * `counts`: what to divide by.
///
/// Sources: <https://arxiv.org/abs/2006.04388> (quality focal loss), <https://arxiv.org/abs/1911.08287>
/// (`DIoU`).
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

/// |target − σ(logit)|^γ × cross-entropy, element by element.
pub(super) fn focal(logits: &Tensor, target: &Tensor, gamma: f64) -> Tensor {
    let entropy =
        logits.binary_cross_entropy_with_logits::<Tensor>(target, None, None, Reduction::None);
    let gap = (logits.sigmoid() - target).abs();
    if gamma == 2.0 { gap.square() * entropy } else { gap.pow_tensor_scalar(gamma) * entropy }
}

/// The hard negatives of the step's `views`: the background anchors with the highest scores; and how many there are.
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

/// Mean over a box's edges of the Huber loss.
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

    /// One view of this many anchors, of which one may be positive.
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
    fn sure_and_right_costs_nothing() {
        let logits = Tensor::from_slice(&[12.0f32, -12.0, -12.0]).reshape([1, 3]);
        let face = [0.5f32, 0.5, 0.2, 0.3];
        let boxes =
            Tensor::from_slice([face, [0.0; 4], [0.0; 4]].as_flattened()).reshape([1, 3, 4]);
        let targets = targets(3, Some((0, face)));
        let parts = costs(&logits, &boxes, &targets, &Loss::default());
        assert!(number(&parts.total()) < 1e-3);
        assert!((parts.iou.double_value(&[0, 0]) - 1.0).abs() < 1e-6);
    }

    /// Worked out by hand: overlap 1/3, centres 0.1 apart, diagonal of the box around both √(0.3² + 0.2²).
    #[test]
    fn a_box_that_is_off_costs_its_missing_overlap_and_its_distance() {
        let logits = Tensor::zeros([1, 3], (Kind::Float, Device::Cpu));
        let boxes = Tensor::from_slice(&[0.5f32, 0.5, 0.2, 0.2]).repeat([3]).reshape([1, 3, 4]);
        let targets = targets(3, Some((1, [0.6, 0.5, 0.2, 0.2])));
        let loss = Loss { box_weight: 1.0, min_quality: 0.0, ..Loss::default() };
        let parts = costs(&logits, &boxes, &targets, &loss);
        let expected = 1.0 - 1.0 / 3.0 + 0.01 / 0.13;
        assert!((number(&parts.boxes) - expected).abs() < 1e-5);
        // Score 1/2 where the overlap is 1/3, and where it is 0.
        let entropy = 2.0f64.ln();
        assert!((number(&parts.positive) - (1.0 / 6.0f64).powi(2) * entropy).abs() < 1e-5);
        assert!((number(&parts.background) - 2.0 * 0.25 * entropy).abs() < 1e-5);
    }

    #[test]
    fn of_hard_negatives_only_those_of_the_highest_scores_cost() {
        let mut scores = vec![-20.0f32; ANCHORS];
        scores[5..25].fill(0.0);
        scores[100] = 9.0; // The face.
        let logits = Tensor::from_slice(&scores).reshape([1, -1]);
        let boxes = Tensor::zeros([1, ANCHORS as i64, 4], (Kind::Float, Device::Cpu));
        let targets = targets(ANCHORS, Some((100, [0.5, 0.5, 0.2, 0.2])));
        let loss = |hard_negatives| Loss { hard_negatives, focal_gamma: 0.0, ..Loss::default() };
        let background = |ratio| number(&costs(&logits, &boxes, &targets, &loss(ratio)).background);
        let one = 2.0f64.ln();
        assert!((background(0.0) - 20.0 * one).abs() < 1e-4, "all, a face");
        assert!((background(1.5) - one).abs() < 1e-5, "the mean of ten of them");
        assert!((background(40.0) - one / 2.0).abs() < 1e-4, "the mean of forty");
    }

    /// Worked out by hand: the left edge 0.2 off, the right one 0.1.
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
