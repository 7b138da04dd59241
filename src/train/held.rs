//! What holds a network in training to the untouched one, and its keypoints to their labels.

use tch::{Kind, Tensor};

use super::losses::{centre_distance, focal};
use super::spec::Loss;
use super::targets::{Faces, Targets, iou};
use crate::model::anchors::decode_boxes;
use crate::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use crate::model::network::Outputs;

/// What being away from the untouched network costs, and from labelled keypoints, weighted.
pub fn cost(
    found: &Outputs,
    reference: &Outputs,
    centres: &Tensor,
    faces: &Faces,
    targets: &Targets,
    loss: &Loss,
) -> Tensor {
    let seen = seen_keypoints(reference, centres, faces);
    let known = match &faces.keypoints {
        Some(labelled) => {
            let labelled = labelled.narrow(0, 0, faces.learnt());
            seen.where_self(&labelled.isnan(), &labelled)
        }
        None => seen,
    };
    let mut total = keypoints(&found.coordinates, centres, targets, &known) * loss.keypoint_weight;
    if loss.teacher_weight > 0.0 {
        total += distance(found, reference, loss) * loss.teacher_weight;
    }
    total
}

/// How far scores and boxes are from the untouched model's, at the anchors where that one is sure of a face: focal
/// loss towards its scores plus 1 − `DIoU`, a mean over these.
///
/// * `found`: what the network in training says, `reference`: what the untouched one says, of the
///   same pictures.
pub fn distance(found: &Outputs, reference: &Outputs, loss: &Loss) -> Tensor {
    let sure = reference.logits.reshape([-1]).ge(0.0).nonzero().squeeze_dim(1); // [K]
    let logits = |outputs: &Outputs| outputs.logits.reshape([-1]).index_select(0, &sure);
    // Relative to the same anchor's centre, so nothing need be decoded.
    let boxes = |outputs: &Outputs| {
        let rows = outputs.coordinates.reshape([-1, COORDINATES as i64]);
        rows.index_select(0, &sure).narrow(1, 0, 4)
    };
    let score = focal(&logits(found), &logits(reference).sigmoid(), loss.focal_gamma);
    let (ours, theirs) = (boxes(found), boxes(reference));
    let each = score + 1.0 - iou(&ours, &theirs) + centre_distance(&ours, &theirs); // [K]
    each.sum(Kind::Float) / sure.numel().max(1) as f64
}

/// Where the untouched model sees the keypoints of the faces that it is sure of: the mean of all its anchors that
/// find the face, weighted by score, as suppression merges them.
///
/// * `reference`: what it says of the batch.
///
/// Returns `[F, 12]`, one row for each face to be learnt: x, y as fractions of the view, not a number for other faces.
pub fn seen_keypoints(reference: &Outputs, centres: &Tensor, faces: &Faces) -> Tensor {
    let _guard = tch::no_grad_guard();
    let views = faces.views.narrow(0, 0, faces.learnt());
    let truth = faces.boxes.narrow(0, 0, faces.learnt()).unsqueeze(1);
    let boxes = decode_boxes(&reference.coordinates, centres).index_select(0, &views);
    // One row a (face, anchor) pair.
    let pairs = iou(&boxes, &truth).ge(SAME_FACE).nonzero(); // [Q, 2]
    let (face, anchor) = (pairs.select(1, 0), pairs.select(1, 1));
    let cell = views.index_select(0, &face) * ANCHORS as i64 + &anchor;
    let score = reference.logits.reshape([-1]).index_select(0, &cell).sigmoid().unsqueeze(1); // [Q, 1]
    let rows = reference.coordinates.reshape([-1, COORDINATES as i64]).index_select(0, &cell);
    let keypoints = absolute(&rows, &centres.index_select(0, &anchor)); // [Q, 12]

    let zeros =
        |columns: i64| Tensor::zeros([faces.learnt(), columns], (Kind::Float, score.device()));
    let sum = zeros(12).index_add(0, &face, &(keypoints * &score));
    let total = zeros(1).index_add(0, &face, &score);
    let is_sure = score.ge(SURE).to_kind(Kind::Float);
    let seen = zeros(1).index_add(0, &face, &is_sure).gt(0.0);
    (sum / total.clamp_min(1e-6)).masked_fill(&seen.logical_not(), f64::NAN)
}

/// The keypoints of `[K, 16]` rows, `[K, 12]` as fractions of the view; `centres`: `[K, 2]`.
fn absolute(rows: &Tensor, centres: &Tensor) -> Tensor {
    rows.narrow(1, 4, 12) / INPUT_SIZE as f64 + centres.repeat([1, 6])
}

/// Overlap from which a box of the untouched model is that of a face, and the score from which it is sure.
pub(super) const SAME_FACE: f64 = 0.5;
pub(super) const SURE: f64 = 0.5;

/// How far the keypoints are from where they should be, over the face's width: a mean over those that are
/// known, at the anchors that are to find their face. Nothing else holds them in place: most data sets
/// label no keypoints, and the backbone moves under the heads.
///
/// * `coordinates`: `[N, 896, 16]`, `centres`: `[896, 2]`, `known`: `[F, 12]`, not a number where unknown.
pub fn keypoints(
    coordinates: &Tensor,
    centres: &Tensor,
    targets: &Targets,
    known: &Tensor,
) -> Tensor {
    let rows = coordinates.reshape([-1, COORDINATES as i64]).index_select(0, &targets.positive);
    let anchors = targets.positive.remainder(ANCHORS as i64);
    let found = absolute(&rows, &centres.index_select(0, &anchors)); // [P, 12]
    let truth = known.index_select(0, &targets.faces);
    let is_known = truth.isnan().logical_not();
    let width = targets.boxes.narrow(1, 2, 1).clamp_min(1.0 / INPUT_SIZE as f64);
    let offset = (found - truth.nan_to_num(0.0, None, None)) / width;
    // The root's smooth foot keeps the gradient of a keypoint that is in place small.
    let apart = (offset.square() + FOOT * FOOT).sqrt() - FOOT;
    (apart * &is_known).sum(Kind::Float) / is_known.sum(Kind::Float).clamp_min(1.0)
}

/// In face widths.
pub(super) const FOOT: f64 = 0.02;

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::geometry::Rect;
    use crate::train::views::ViewFace;

    /// One view in which anchor 0 says this, and all others nothing.
    fn outputs(logit: f32, rect: [f32; 4], keypoints: f32) -> Outputs {
        let (mut logits, mut rows) = (vec![-20.0; ANCHORS], vec![0.0; ANCHORS * COORDINATES]);
        logits[0] = logit;
        rows[..4].copy_from_slice(&rect);
        rows[4..16].fill(keypoints);
        Outputs {
            logits: Tensor::from_slice(&logits).reshape([1, -1]),
            coordinates: Tensor::from_slice(&rows).reshape([1, -1, COORDINATES as i64]),
        }
    }

    /// Pixels from the anchor, which is at (4, 4).
    const RECT: [f32; 4] = [0.0, 0.0, 20.0, 20.0];

    fn number(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    fn centres() -> Tensor {
        Tensor::from_slice(&[4.0f32 / 128.0]).expand([ANCHORS as i64, 2], false)
    }

    fn faces(width: f32) -> Faces {
        let face = ViewFace::new(
            Rect::around(4.0 / 128.0, 4.0 / 128.0, width / 128.0, width / 128.0),
            false,
        );
        Faces::new(&[&[face]], Device::Cpu)
    }

    #[test]
    fn a_face_that_the_untouched_model_is_sure_of_costs_when_it_is_forgotten() {
        let cost = |found: &Outputs, sure: f32| {
            number(&distance(found, &outputs(sure, RECT, 0.0), &Loss::default()))
        };
        let forgotten = outputs(-3.0, RECT, 0.0);
        let moved = outputs(3.0, [10.0, 0.0, 20.0, 20.0], 0.0);
        assert!(cost(&outputs(3.0, RECT, 0.0), 3.0) < 1e-6);
        assert!(cost(&forgotten, 3.0) > 1.0);
        assert!(cost(&moved, 3.0) > 2.0 / 3.0);
        assert_eq!(cost(&forgotten, -0.1), 0.0, "it was not sure");
    }

    #[test]
    fn keypoints_are_seen_where_the_untouched_model_is_sure_of_the_face() {
        let seen = |logit: f32, width: f32| -> Vec<f32> {
            let reference = outputs(logit, RECT, 2.0);
            let seen = seen_keypoints(&reference, &centres(), &faces(width));
            assert_eq!(seen.size(), [1, 12]);
            Vec::try_from(seen.reshape([-1])).unwrap()
        };
        let sure = seen(3.0, 20.0);
        assert!(sure.iter().all(|at| (at - 6.0 / 128.0).abs() < 1e-6), "{sure:?}");
        assert!(seen(-0.1, 20.0).iter().all(|at| at.is_nan()), "not sure");
        assert!(seen(3.0, 60.0).iter().all(|at| at.is_nan()), "another face");
    }

    #[test]
    fn keypoints_cost_by_face_widths_and_unknown_ones_nothing() {
        let targets = Targets {
            positive: Tensor::from_slice(&[0i64]),
            faces: Tensor::from_slice(&[0i64]),
            boxes: Tensor::from_slice(&[0.5f32, 0.5, 0.25, 0.25]).reshape([1, 4]),
            ignored: Tensor::zeros([1, ANCHORS as i64], (Kind::Bool, Device::Cpu)),
        };
        let cost = |nose: [f32; 2]| {
            let mut known = [f32::NAN; 12];
            known[4..6].copy_from_slice(&nose);
            let known = Tensor::from_slice(&known).reshape([1, 12]);
            let found = outputs(0.0, RECT, 0.0).coordinates;
            number(&keypoints(&found, &centres(), &targets, &known))
        };
        let at = 4.0 / 128.0;
        assert!(cost([at, at]) < 1e-6);
        // A quarter of the view is a face's width; the mean is over x and y.
        assert!((cost([at + 0.25, at]) - 0.5).abs() < 0.02);
        assert_eq!(cost([f32::NAN, f32::NAN]), 0.0);
    }
}
