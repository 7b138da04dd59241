//! The teacher loss, which keeps a network in training close to the base model, and the keypoint loss.

use tch::{Kind, Tensor};

use super::StepCountTensors;
use super::boxes::{Boxes, iou};
use super::focal;
use super::targets::{Faces, Targets};
use crate::model::layout::INPUT_SIZE;
use crate::model::torch::OutputTensors;
use crate::model::torch::anchors::decode_boxes;
use crate::protocol::train_spec::Loss;
use crate::train::loss::constants::{FOOT, SAME_FACE, SURE};

/// Returns the weighted sum of the teacher loss and the keypoint loss.
///
/// * `known`: the keypoints from [`known_keypoints`]; `counts`: the counts to divide by.
pub fn cost(
    outputs: &OutputTensors,
    base: &OutputTensors,
    centres: &Tensor,
    known: Option<&Tensor>,
    targets: &Targets,
    loss: &Loss,
    counts: &StepCountTensors,
) -> Tensor {
    let mut total = match known {
        Some(known) => {
            let apart = keypoints(&outputs.coordinates, centres, targets, known);
            apart / counts.keypoints.clamp_min(1.0) * loss.keypoint_weight
        }
        None => Tensor::zeros([], (Kind::Float, centres.device())),
    };
    if loss.teacher_weight > 0.0 {
        let apart = distance(outputs, base, loss) / counts.sure.clamp_min(1.0);
        total += apart * loss.teacher_weight;
    }
    total
}

/// Returns the keypoints of the faces to learn, `[F, 12]`: each labelled keypoint, or else the base model's. Returns
/// `None` if there are no faces to learn.
pub fn known_keypoints(base: &OutputTensors, centres: &Tensor, faces: &Faces) -> Option<Tensor> {
    (faces.learnt() > 0).then(|| {
        let seen = seen_keypoints(base, centres, faces);
        match &faces.keypoints {
            Some(labelled) => {
                let labelled = labelled.narrow(0, 0, faces.learnt());
                seen.where_self(&labelled.isnan(), &labelled)
            }
            None => seen,
        }
    })
}

/// Returns the counts of a batch.
pub fn count(
    base: &OutputTensors,
    known: Option<&Tensor>,
    faces: &Faces,
    targets: &Targets,
) -> StepCountTensors {
    let _guard = tch::no_grad_guard();
    let keypoints = match known {
        Some(known) => known_at(targets, known).1.sum(Kind::Float),
        None => Tensor::zeros([], (Kind::Float, base.logits.device())),
    };
    StepCountTensors {
        views: base.logits.size()[0],
        faces: faces.learnt(),
        positives: targets.count(),
        keypoints,
        sure: base.logits.ge(0.0).sum(Kind::Float),
    }
}

/// Returns the unweighted teacher loss, summed over the anchors where the base model is sure of a face: the focal loss
/// with the base model's score as the target, plus 1 − DIoU between the two boxes.
pub fn distance(outputs: &OutputTensors, base: &OutputTensors, loss: &Loss) -> Tensor {
    let is_sure = base.logits.ge(0.0); // [N, 896]
    let score = focal(&outputs.logits, &base.logits.sigmoid(), loss.focal_gamma);
    // Both boxes are relative to the same anchor's centre, so they need no decoding.
    let boxes = |outputs: &OutputTensors| Boxes::of(&outputs.coordinates.narrow(2, 0, 4));
    let (ours, theirs) = (boxes(outputs), boxes(base));
    let each = score + 1.0 - ours.iou(&theirs) + ours.distance(&theirs); // [N, 896]
    (each * &is_sure).sum(Kind::Float)
}

/// Returns the base model's keypoints for the faces it is sure of: the mean over all anchors that match the face,
/// weighted by score, just as suppression merges detections. Requires at least one face to learn.
///
/// * `base`: the base model's outputs for the batch.
///
/// Returns `[F, 12]`, one row per face to learn: x, y as fractions of the view, or NaN if the base model is not sure of
/// the face.
pub fn seen_keypoints(base: &OutputTensors, centres: &Tensor, faces: &Faces) -> Tensor {
    let _guard = tch::no_grad_guard();
    let boxes = decode_boxes(&base.coordinates, centres); // [N, 896, 4]
    let scores = base.logits.sigmoid(); // [N, 896]
    let keypoints = absolute(&base.coordinates, centres); // [N, 896, 12]
    let some = |first: i64| {
        let count = FACES_AT_ONCE.min(faces.learnt() - first);
        let views = faces.views.narrow(0, first, count);
        let truth = faces.boxes.narrow(0, first, count).unsqueeze(1);
        let is_same = iou(&boxes.index_select(0, &views), &truth).ge(SAME_FACE); // [F, 896]
        let scores = scores.index_select(0, &views) * is_same;
        let sum = scores.unsqueeze(1).bmm(&keypoints.index_select(0, &views)).squeeze_dim(1); // [F, 12]
        let total = scores.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        let is_seen = scores.amax([1i64].as_slice(), true).ge(SURE); // [F, 1]
        (sum / total.clamp_min(1e-6)).masked_fill(&is_seen.logical_not(), f64::NAN)
    };
    let firsts = (0..faces.learnt()).step_by(FACES_AT_ONCE as usize);
    Tensor::cat(&firsts.map(some).collect::<Vec<_>>(), 0)
}

/// Number of faces processed at once. Each needs about 60 KB.
const FACES_AT_ONCE: i64 = 2048;

/// Converts the keypoints of `[N, 896, 16]` coordinates to fractions of the view, `[N, 896, 12]`.
///
/// * `centres`: `[896, 2]`.
fn absolute(coordinates: &Tensor, centres: &Tensor) -> Tensor {
    coordinates.narrow(2, 4, 12) / INPUT_SIZE as f64 + centres.repeat([1, 6])
}

/// Returns the unweighted keypoint loss: the errors of the known keypoints in face widths, summed over the positive
/// anchors. Without it the keypoints would drift, because most data sets do not label them and the backbone changes
/// under the heads.
///
/// * `coordinates`: `[N, 896, 16]`; `centres`: `[896, 2]`; `known`: `[F, 12]`, NaN if unknown.
pub fn keypoints(
    coordinates: &Tensor,
    centres: &Tensor,
    targets: &Targets,
    known: &Tensor,
) -> Tensor {
    let found = absolute(coordinates, centres); // [N, 896, 12]
    let (truth, is_known) = known_at(targets, known);
    let width = targets.boxes.narrow(2, 2, 1).clamp_min(1.0 / INPUT_SIZE as f64);
    let offset = (found - truth.nan_to_num(0.0, None, None)) / width;
    // The loss is smooth at 0, so a keypoint that is already in place gets only a small gradient.
    let apart = (offset.square() + FOOT * FOOT).sqrt() - FOOT;
    (apart * &is_known).sum(Kind::Float)
}

/// Returns the keypoints of each anchor's face, and whether each coordinate counts: it is known, and the anchor is
/// positive. Both are `[N, 896, 12]`.
fn known_at(targets: &Targets, known: &Tensor) -> (Tensor, Tensor) {
    let positive = targets.positive.unsqueeze(2);
    let (views, anchors) = (targets.positive.size()[0], targets.positive.size()[1]);
    let truth = known.index_select(0, &targets.faces.reshape([-1])).view([views, anchors, 12]);
    let is_known = truth.isnan().logical_not().logical_and(&positive);
    (truth, is_known)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::geometry::Rect;
    use crate::model::layout::{ANCHORS, COORDINATES};
    use crate::train::views::ViewFace;

    /// Returns a view's outputs, with these values at anchor 0 and no face at the other anchors.
    fn outputs(logit: f32, rect: [f32; 4], keypoints: f32) -> OutputTensors {
        let (mut logits, mut rows) = (vec![-20.0; ANCHORS], vec![0.0; ANCHORS * COORDINATES]);
        logits[0] = logit;
        rows[..4].copy_from_slice(&rect);
        rows[4..16].fill(keypoints);
        OutputTensors {
            logits: Tensor::from_slice(&logits).reshape([1, -1]),
            coordinates: Tensor::from_slice(&rows).reshape([1, -1, COORDINATES as i64]),
        }
    }

    /// A box of 20 × 20 pixels at the anchor's centre, which is at (4, 4).
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
    fn forgetting_a_face_that_the_base_model_is_sure_of_adds_to_the_loss() {
        let cost = |found: &OutputTensors, sure: f32| {
            number(&distance(found, &outputs(sure, RECT, 0.0), &Loss::default()))
        };
        let forgotten = outputs(-3.0, RECT, 0.0);
        let moved = outputs(3.0, [10.0, 0.0, 20.0, 20.0], 0.0);
        assert!(cost(&outputs(3.0, RECT, 0.0), 3.0) < 1e-6);
        assert!(cost(&forgotten, 3.0) > 1.0);
        assert!(cost(&moved, 3.0) > 2.0 / 3.0);
        assert_eq!(cost(&forgotten, -0.1), 0.0, "the base model is not sure");
    }

    #[test]
    fn only_faces_that_the_base_model_is_sure_of_get_its_keypoints() {
        let seen = |logit: f32, width: f32| -> Vec<f32> {
            let reference = outputs(logit, RECT, 2.0);
            let seen = seen_keypoints(&reference, &centres(), &faces(width));
            assert_eq!(seen.size(), [1, 12]);
            Vec::try_from(seen.reshape([-1])).unwrap()
        };
        let sure = seen(3.0, 20.0);
        assert!(sure.iter().all(|at| (at - 6.0 / 128.0).abs() < 1e-6), "{sure:?}");
        assert!(seen(-0.1, 20.0).iter().all(|at| at.is_nan()), "the base model is not sure");
        assert!(seen(3.0, 60.0).iter().all(|at| at.is_nan()), "another face");
    }

    #[test]
    fn keypoints_cost_their_error_in_face_widths_and_unknown_ones_cost_nothing() {
        let anchors = ANCHORS as i64;
        let mut boxes = vec![0.0f32; ANCHORS * 4];
        boxes[..4].copy_from_slice(&[0.5, 0.5, 0.25, 0.25]);
        let first = Tensor::arange(anchors, (Kind::Int64, Device::Cpu)).eq(0);
        let targets = Targets {
            positive: first.reshape([1, -1]),
            faces: Tensor::zeros([1, anchors], (Kind::Int64, Device::Cpu)),
            boxes: Tensor::from_slice(&boxes).reshape([1, -1, 4]),
            ignored: Tensor::zeros([1, anchors], (Kind::Bool, Device::Cpu)),
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
        // A quarter of the view is one face width. Only x is off.
        assert!((cost([at + 0.25, at]) - 1.0).abs() < 0.03);
        assert_eq!(cost([f32::NAN, f32::NAN]), 0.0);
    }
}
