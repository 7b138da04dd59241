//! What a batch's outputs cost.

use tch::{Kind, Reduction, Tensor};

use super::spec::{BoxLoss, Loss};
use super::targets::{Targets, iou};
use crate::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use crate::model::network::Outputs;

/// The parts of the loss, each a weighted scalar on the device.
#[derive(Debug)]
pub struct Parts {
    /// Boxes at positive anchors: 1 − `DIoU`.
    pub boxes: Tensor,
    /// Scores at positive anchors, whose target is the box's overlap, or `min_quality` where that is more.
    pub positive: Tensor,
    /// Scores at background anchors, whose target is 0.
    pub background: Tensor,
    /// `[P]`: overlap of the predicted with the true box at positive anchors.
    pub iou: Tensor,
    /// The same parts, anchor by anchor.
    pub each: Each,
}

/// What each anchor adds to the parts of the loss, weighted and detached.
#[derive(Debug)]
pub struct Each {
    /// `[P]`
    pub boxes: Tensor,
    /// `[P]`
    pub positive: Tensor,
    /// `[N × 896]`, 0 where an anchor is no background.
    pub background: Tensor,
}

impl Parts {
    /// What is minimised.
    pub fn total(&self) -> Tensor {
        &self.boxes + &self.positive + &self.background
    }
}

/// Quality focal loss over scores and, by default, distance-IoU loss over boxes, both a positive anchor.
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
    let boxes: Tensor = match loss.box_loss {
        BoxLoss::Diou => 1.0 - &overlap + centre_distance(&found, &targets.boxes),
        BoxLoss::Huber => huber(&found, &targets.boxes),
    };

    let mut quality = logits.zeros_like();
    let taught = overlap.detach().clamp_min(loss.min_quality);
    let _ = quality.index_copy_(0, &targets.positive, &taught);
    let mut is_background = targets.ignored.reshape([-1]).logical_not();
    let _ = is_background.index_fill_(0, &targets.positive, 0);
    let score = focal(&logits, &quality, loss.focal_gamma);
    let positive = score.index_select(0, &targets.positive);
    let (is_background, background_count) = match loss.hard_negatives {
        0.0 => (is_background, count),
        ratio => hardest(&logits.detach(), &is_background, ratio * count),
    };
    let background = score * is_background;
    let (box_weight, positive_weight) = (loss.box_weight / count, loss.positive_weight / count);
    let background_weight = loss.background_weight / background_count;
    Parts {
        boxes: boxes.sum(Kind::Float) * box_weight,
        positive: positive.sum(Kind::Float) * positive_weight,
        background: background.sum(Kind::Float) * background_weight,
        iou: overlap.detach(),
        each: Each {
            boxes: boxes.detach() * box_weight,
            positive: positive.detach() * positive_weight,
            background: background.detach() * background_weight,
        },
    }
}

/// What holds a network in training to the untouched one, wherever that one is sure of a face; each a
/// scalar on the device, a mean over those anchors.
#[derive(Debug)]
pub struct Distance {
    /// How far the keypoints are apart, over the face's width. Nothing else holds them in place: most data
    /// sets label no keypoints, and the backbone moves under the heads.
    pub keypoints: Tensor,
    /// How far scores and boxes are apart: focal loss towards the other's scores, plus 1 − `DIoU`.
    pub faces: Tensor,
}

/// * `found`: what the network in training says, `reference`: what the untouched one says, of the
///   same pictures.
pub fn distance(found: &Outputs, reference: &Outputs, loss: &Loss) -> Distance {
    let sure = reference.logits.reshape([-1]).ge(0.0).nonzero().squeeze_dim(1); // [K]
    let count = sure.numel().max(1) as f64;
    let logits = |outputs: &Outputs| outputs.logits.reshape([-1]).index_select(0, &sure);
    let rows = |outputs: &Outputs| {
        let width = COORDINATES as i64;
        outputs.coordinates.reshape([-1, width]).index_select(0, &sure)
    };
    let score = focal(&logits(found), &logits(reference).sigmoid(), loss.focal_gamma);
    let (found, reference) = (rows(found), rows(reference)); // [K, 16]
    // Relative to the same anchor's centre, so nothing need be decoded.
    let (ours, theirs) = (found.narrow(1, 0, 4), reference.narrow(1, 0, 4));
    let boxes = 1.0 - iou(&ours, &theirs) + centre_distance(&ours, &theirs);
    let faces: Tensor = score + boxes; // [K]

    let width = reference.narrow(1, 2, 1).clamp_min(1.0); // pixels
    let apart = rounded(&((found.narrow(1, 4, 12) - reference.narrow(1, 4, 12)) / width));
    Distance {
        keypoints: apart.sum(Kind::Float) / (count * 12.0),
        faces: faces.sum(Kind::Float) / count,
    }
}

/// How far the keypoints are from those that are labelled, over the face's width: a mean over these, at the
/// anchors that are to find their face.
///
/// * `coordinates`: `[N, 896, 16]`, `centres`: `[896, 2]`, `labelled`: `[F, 12]`, not a number where unknown.
pub fn keypoints(
    coordinates: &Tensor,
    centres: &Tensor,
    targets: &Targets,
    labelled: &Tensor,
) -> Tensor {
    let side = INPUT_SIZE as f64;
    let rows = coordinates.reshape([-1, COORDINATES as i64]).index_select(0, &targets.positive);
    let anchors = targets.positive.remainder(ANCHORS as i64);
    let centres = centres.index_select(0, &anchors).repeat([1, 6]); // [P, 12]
    let found = rows.narrow(1, 4, 12) / side + centres;
    let truth = labelled.index_select(0, &targets.faces);
    let known = truth.isnan().logical_not();
    let width = targets.boxes.narrow(1, 2, 1).clamp_min(1.0 / side);
    let apart = rounded(&((found - truth.nan_to_num(0.0, None, None)) / width));
    (apart * &known).sum(Kind::Float) / known.sum(Kind::Float).clamp_min(1.0)
}

/// The absolute value with a smooth foot, so that the gradient of a keypoint in place is small.
fn rounded(offset: &Tensor) -> Tensor {
    (offset.square() + KEYPOINT_FOOT * KEYPOINT_FOOT).sqrt() - KEYPOINT_FOOT
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

/// Of the background anchors, as many as wanted in all, of the highest scores of each view; and how many.
fn hardest(logits: &Tensor, is_background: &Tensor, wanted: f64) -> (Tensor, f64) {
    let anchors = ANCHORS as i64;
    let views = logits.numel() as i64 / anchors;
    let each = ((wanted / views as f64) as i64).clamp(FEWEST_NEGATIVES.min(anchors), anchors);
    let others = logits.masked_fill(&is_background.logical_not(), f64::NEG_INFINITY);
    let (_, chosen) = others.view([views, anchors]).topk(each, 1, true, false);
    let kept = is_background.zeros_like().view([views, anchors]).scatter_value(1, &chosen, 1);
    (kept.view([-1]).logical_and(is_background), (views * each) as f64)
}

/// Hard negatives a view, at least.
const FEWEST_NEGATIVES: i64 = 10;

/// Mean over a box's edges of the Huber loss.
fn huber(found: &Tensor, truth: &Tensor) -> Tensor {
    let edges = |boxes: &Tensor| {
        let (centre, half) = (boxes.narrow(-1, 0, 2), boxes.narrow(-1, 2, 2) / 2.0);
        Tensor::cat(&[&centre - &half, centre + half], -1)
    };
    let costs = edges(found).smooth_l1_loss(&edges(truth), Reduction::None, 1.0);
    costs.mean_dim([-1i64].as_slice(), false, Kind::Float)
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

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn targets(positive: &[i64], boxes: &[[f32; 4]]) -> Targets {
        Targets {
            positive: Tensor::from_slice(positive),
            faces: Tensor::arange(positive.len() as i64, (Kind::Int64, Device::Cpu)),
            boxes: Tensor::from_slice(boxes.as_flattened()).reshape([-1, 4]),
            ignored: Tensor::zeros([1, 3], (Kind::Bool, Device::Cpu)),
        }
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
        let parts = parts(&logits, &boxes, &targets(&[0], &[face]), &Loss::default());
        assert!(number(&parts.total()) < 1e-3);
        assert!((number(&parts.iou) - 1.0).abs() < 1e-6);
    }

    /// Worked out by hand: overlap 1/3, centres 0.1 apart, diagonal of the box around both √(0.3² + 0.2²).
    #[test]
    fn a_box_that_is_off_costs_its_missing_overlap_and_its_distance() {
        let logits = Tensor::zeros([1, 3], (Kind::Float, Device::Cpu));
        let boxes = Tensor::from_slice(&[0.5f32, 0.5, 0.2, 0.2]).repeat([3]).reshape([1, 3, 4]);
        let targets = targets(&[1], &[[0.6, 0.5, 0.2, 0.2]]);
        let loss = Loss { box_weight: 1.0, min_quality: 0.0, ..Loss::default() };
        let parts = parts(&logits, &boxes, &targets, &loss);
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
        let mut targets = targets(&[100], &[[0.5, 0.5, 0.2, 0.2]]);
        targets.ignored = Tensor::zeros([1, ANCHORS as i64], (Kind::Bool, Device::Cpu));
        let loss = |hard_negatives| Loss { hard_negatives, focal_gamma: 0.0, ..Loss::default() };
        let background = |ratio| number(&parts(&logits, &boxes, &targets, &loss(ratio)).background);
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
        let mut targets = targets(&[], &[]);
        targets.ignored = targets.ignored.logical_not();
        let parts = parts(&logits, &boxes, &targets, &Loss::default());
        assert_eq!(number(&parts.total()), 0.0);
    }

    /// One anchor: its logit, its box, and a number for all its keypoints.
    fn outputs(logit: f32, rect: [f32; 4], keypoints: f32) -> Outputs {
        let row = [rect.as_slice(), [keypoints; 12].as_slice()].concat();
        Outputs {
            logits: Tensor::from_slice(&[logit]).reshape([1, 1]),
            coordinates: Tensor::from_slice(&row).reshape([1, 1, 16]),
        }
    }

    const RECT: [f32; 4] = [0.0, 0.0, 20.0, 20.0];

    #[test]
    fn keypoints_in_place_cost_nothing_and_off_by_a_width_about_one() {
        let cost = |x: f32| {
            let (found, reference) = (outputs(1.0, RECT, x), outputs(1.0, RECT, 3.0));
            number(&distance(&found, &reference, &Loss::default()).keypoints)
        };
        assert!(cost(3.0) < 1e-6);
        assert!((cost(23.0) - 1.0).abs() < 0.03);
    }

    #[test]
    fn keypoints_follow_their_labels_and_unknown_ones_cost_nothing() {
        let mut targets = targets(&[0], &[[0.5, 0.5, 0.25, 0.25]]);
        targets.faces = Tensor::from_slice(&[0i64]);
        let centres = Tensor::from_slice(&[0.5f32, 0.25]).reshape([1, 2]);
        let cost = |nose_x: f32| {
            let mut labels = [f32::NAN; 12];
            (labels[4], labels[5]) = (nose_x, 0.25);
            let labels = Tensor::from_slice(&labels).reshape([1, 12]);
            number(&keypoints(&outputs(0.0, RECT, 0.0).coordinates, &centres, &targets, &labels))
        };
        assert!(cost(0.5) < 1e-6);
        // A quarter of the view is a face's width; the mean is over x and y.
        assert!((cost(0.75) - 0.5).abs() < 0.02, "{}", cost(0.75));
    }

    #[test]
    fn a_face_that_the_untouched_model_is_sure_of_costs_when_it_is_forgotten() {
        let cost = |found: &Outputs, sure: f32| {
            number(&distance(found, &outputs(sure, RECT, 0.0), &Loss::default()).faces)
        };
        let forgotten = outputs(-3.0, RECT, 0.0);
        let moved = outputs(3.0, [10.0, 0.0, 20.0, 20.0], 0.0);
        assert!(cost(&outputs(3.0, RECT, 0.0), 3.0) < 1e-6);
        assert!(cost(&forgotten, 3.0) > 1.0);
        assert!(cost(&moved, 3.0) > 2.0 / 3.0);
        assert_eq!(cost(&forgotten, -0.1), 0.0, "it was not sure");
    }
}
