//! The teacher loss and the keypoint loss. The libtorch counterpart is `loss::torch::teacher`.

use rayon::prelude::*;

use super::boxes::{diou, iou};
use super::scores::focal;
use super::{Costs, NativeGrid, StepCounts, ViewCosts, truth};
use crate::eval::detect::sigmoid;
use crate::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use crate::model::outputs::OutputsRef;
use crate::protocol::train_spec::Loss;
use crate::train::loss::constants::{FOOT, SAME_FACE, SURE};
use crate::train::views::ViewFace;

/// x, y of the six keypoints, as fractions of the view; NaN if unknown.
pub(super) type Points = [f32; 12];

/// Adds the gradients of the teacher loss and the keypoint loss to `costs`. Returns the weighted sum of both losses.
///
/// * `known`: the keypoints of each view's faces to learn.
pub(super) fn add(
    outputs: OutputsRef<'_>,
    base: OutputsRef<'_>,
    known: &[Vec<Points>],
    loss: &Loss,
    grid: &NativeGrid,
    counts: &StepCounts,
    costs: &mut Costs,
) -> f64 {
    let keypoint_weight = (loss.keypoint_weight / counts.keypoints.max(1) as f64) as f32;
    let teacher_weight = (loss.teacher_weight / counts.sure.max(1) as f64) as f32;
    let gradients = costs
        .logits
        .par_chunks_exact_mut(ANCHORS)
        .zip(costs.coordinates.par_chunks_exact_mut(ANCHORS * COORDINATES));
    let views = outputs.each().zip(base.each()).zip(gradients);
    let parts = views.zip(costs.views.par_iter()).zip(known).map(
        |((((outputs, base), (logits, coordinates)), view), known)| {
            let mut cost = keypoints(&outputs, grid, view, known, keypoint_weight, coordinates);
            if loss.teacher_weight > 0.0 {
                let gamma = loss.focal_gamma as f32;
                cost += distance(&outputs, &base, gamma, teacher_weight, logits, coordinates);
            }
            cost
        },
    );
    parts.collect::<Vec<f64>>().iter().sum()
}

/// Returns the keypoints of each view's faces to learn: each labelled keypoint, or else the base model's.
pub(super) fn known(
    base: OutputsRef<'_>,
    learnt: &[Vec<&ViewFace>],
    grid: &NativeGrid,
) -> Vec<Vec<Points>> {
    let of_face = |base: &OutputsRef<'_>, face: &ViewFace| {
        let seen = seen(base, truth(face), grid);
        std::array::from_fn(|index| match face.keypoints[index / 2] {
            Some(point) => point[index % 2],
            None => seen[index],
        })
    };
    let views = base.each().zip(learnt);
    views.map(|(base, learnt)| learnt.iter().map(|face| of_face(&base, face)).collect()).collect()
}

/// Counts the anchors at which the base model is sure of a face.
pub(super) fn sure(base: OutputsRef<'_>) -> usize {
    base.logits.iter().filter(|&&logit| logit >= 0.0).count()
}

/// Returns the mean keypoints of all anchors that match the face, weighted by score; NaN unless the base model is sure
/// of the face.
fn seen(base: &OutputsRef<'_>, truth: [f32; 4], grid: &NativeGrid) -> Points {
    let (mut sum, mut total, mut is_sure) = ([0.0; 12], 0.0, false);
    for anchor in 0..ANCHORS {
        let found = grid.decode(base, anchor);
        // A cheap test first, because most boxes do not touch the face.
        let apart = |at: usize, length: usize| {
            (found[at] - truth[at]).abs() * 2.0 > found[length] + truth[length]
        };
        if apart(0, 2) || apart(1, 3) || iou(found, truth) < SAME_FACE as f32 {
            continue;
        }
        let score = sigmoid(base.logits[anchor]);
        is_sure |= score >= SURE as f32;
        total += score;
        for (sum, value) in sum.iter_mut().zip(points(base, grid, anchor)) {
            *sum += value * score;
        }
    }
    if is_sure { sum.map(|sum| sum / f32::max(total, 1e-6)) } else { [f32::NAN; 12] }
}

fn points(outputs: &OutputsRef<'_>, grid: &NativeGrid, anchor: usize) -> Points {
    let row = &outputs.row(anchor)[4..];
    std::array::from_fn(|index| row[index] / INPUT_SIZE as f32 + grid.centres[anchor][index % 2])
}

/// Counts the known keypoint coordinates, summed over a view's positive anchors.
pub(super) fn count(view: &ViewCosts, known: &[Points]) -> usize {
    let of = |face: usize| known[face].iter().filter(|value| !value.is_nan()).count();
    view.positives.iter().map(|positive| of(positive.face)).sum()
}

fn keypoints(
    outputs: &OutputsRef<'_>,
    grid: &NativeGrid,
    view: &ViewCosts,
    known: &[Points],
    weight: f32,
    coordinates: &mut [f32],
) -> f64 {
    let mut cost = 0.0;
    let foot = FOOT as f32;
    for positive in &view.positives {
        let found = points(outputs, grid, positive.anchor);
        let width = positive.width.max(1.0 / INPUT_SIZE as f32);
        let into = &mut coordinates[positive.anchor * COORDINATES + 4..][..12];
        for ((found, truth), into) in found.iter().zip(&known[positive.face]).zip(into) {
            if truth.is_nan() {
                continue;
            }
            let offset = (found - truth) / width;
            let root = offset.hypot(foot);
            cost += f64::from((root - foot) * weight);
            *into += offset / root / width / INPUT_SIZE as f32 * weight;
        }
    }
    cost
}

/// Adds the gradients of the teacher loss, and returns the loss. At each anchor where the base model is sure of a face,
/// this is the focal loss with the base model's score as the target, plus 1 − DIoU between the two boxes.
fn distance(
    outputs: &OutputsRef<'_>,
    base: &OutputsRef<'_>,
    gamma: f32,
    weight: f32,
    logits: &mut [f32],
    coordinates: &mut [f32],
) -> f64 {
    let mut total = 0.0;
    for anchor in (0..ANCHORS).filter(|&anchor| base.logits[anchor] >= 0.0) {
        let (score, slope) = focal(outputs.logits[anchor], sigmoid(base.logits[anchor]), gamma);
        // Both boxes are relative to the same anchor's centre, so they need no decoding.
        let rect =
            |of: &OutputsRef<'_>| *of.row(anchor).first_chunk::<4>().expect("sixteen coordinates");
        let cost = diou(rect(outputs), rect(base));
        total += f64::from((score + cost.value) * weight);
        logits[anchor] += slope * weight;
        for (into, gradient) in coordinates[anchor * COORDINATES..].iter_mut().zip(cost.gradient) {
            *into += gradient * weight;
        }
    }
    total
}
