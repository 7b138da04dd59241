//! What being away from the untouched network costs, and from labelled keypoints; the counterpart of `train::held`.

use rayon::prelude::*;

use super::boxes::{diou, iou};
use super::scores::focal;
use super::{Costs, Grid, Said, ViewCosts, truth};
use crate::eval::detect::sigmoid;
use crate::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use crate::protocol::train_spec::Loss;
use crate::train::loss::constants::{FOOT, SAME_FACE, SURE};
use crate::train::views::ViewFace;

/// x, y of the six keypoints as fractions of the view, not numbers where they are unknown.
type Points = [f32; 12];

/// Adds the gradients to those of the costs; answers the weighted cost.
pub(super) fn add(
    said: Said<'_>,
    reference: Said<'_>,
    learnt: &[Vec<&ViewFace>],
    loss: &Loss,
    grid: &Grid,
    costs: &mut Costs,
) -> f64 {
    let known = reference.views().zip(learnt).map(|(reference, learnt)| {
        learnt.iter().map(|face| known(&reference, face, grid)).collect::<Vec<Points>>()
    });
    let known: Vec<Vec<Points>> = known.collect();
    let count: usize = costs.views.iter().zip(&known).map(|(view, known)| count(view, known)).sum();
    let sure = reference.logits.iter().filter(|&&logit| logit >= 0.0).count();
    let keypoint_weight = (loss.keypoint_weight / count.max(1) as f64) as f32;
    let teacher_weight = (loss.teacher_weight / sure.max(1) as f64) as f32;
    let gradients = costs
        .logits
        .par_chunks_exact_mut(ANCHORS)
        .zip(costs.coordinates.par_chunks_exact_mut(ANCHORS * COORDINATES));
    let views = said.views().zip(reference.views()).zip(gradients);
    let parts = views.zip(costs.views.par_iter()).zip(&known).map(
        |((((said, reference), (logits, coordinates)), view), known)| {
            let mut cost = keypoints(&said, grid, view, known, keypoint_weight, coordinates);
            if loss.teacher_weight > 0.0 {
                let gamma = loss.focal_gamma as f32;
                cost += distance(&said, &reference, gamma, teacher_weight, logits, coordinates);
            }
            cost
        },
    );
    parts.collect::<Vec<f64>>().iter().sum()
}

/// Labelled keypoints, and where there are none those that the untouched network sees.
fn known(reference: &Said<'_>, face: &ViewFace, grid: &Grid) -> Points {
    let seen = seen(reference, truth(face), grid);
    std::array::from_fn(|index| match face.keypoints[index / 2] {
        Some(point) => point[index % 2],
        None => seen[index],
    })
}

/// The mean of all anchors that find the face, weighted by score, where one is sure.
fn seen(reference: &Said<'_>, truth: [f32; 4], grid: &Grid) -> Points {
    let (mut sum, mut total, mut is_sure) = ([0.0; 12], 0.0, false);
    for anchor in 0..ANCHORS {
        let found = reference.found(grid, anchor);
        // Most are far away.
        let apart = |at: usize, length: usize| {
            (found[at] - truth[at]).abs() * 2.0 > found[length] + truth[length]
        };
        if apart(0, 2) || apart(1, 3) || iou(found, truth) < SAME_FACE as f32 {
            continue;
        }
        let score = sigmoid(reference.logits[anchor]);
        is_sure |= score >= SURE as f32;
        total += score;
        for (sum, value) in sum.iter_mut().zip(points(reference, grid, anchor)) {
            *sum += value * score;
        }
    }
    if is_sure { sum.map(|sum| sum / f32::max(total, 1e-6)) } else { [f32::NAN; 12] }
}

fn points(said: &Said<'_>, grid: &Grid, anchor: usize) -> Points {
    let row = &said.row(anchor)[4..];
    std::array::from_fn(|index| row[index] / INPUT_SIZE as f32 + grid.centres[anchor][index % 2])
}

fn count(view: &ViewCosts, known: &[Points]) -> usize {
    let of = |face: usize| known[face].iter().filter(|value| !value.is_nan()).count();
    view.positives.iter().map(|positive| of(positive.face)).sum()
}

fn keypoints(
    said: &Said<'_>,
    grid: &Grid,
    view: &ViewCosts,
    known: &[Points],
    weight: f32,
    coordinates: &mut [f32],
) -> f64 {
    let mut cost = 0.0;
    let foot = FOOT as f32;
    for positive in &view.positives {
        let found = points(said, grid, positive.anchor);
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

/// At the anchors where the untouched network is sure of a face: focal loss towards its score plus 1 − `DIoU`.
fn distance(
    said: &Said<'_>,
    reference: &Said<'_>,
    gamma: f32,
    weight: f32,
    logits: &mut [f32],
    coordinates: &mut [f32],
) -> f64 {
    let mut total = 0.0;
    for anchor in (0..ANCHORS).filter(|&anchor| reference.logits[anchor] >= 0.0) {
        let (score, slope) = focal(said.logits[anchor], sigmoid(reference.logits[anchor]), gamma);
        // Relative to the same anchor's centre, so nothing need be decoded.
        let rect = |of: &Said<'_>| *of.row(anchor).first_chunk::<4>().expect("sixteen numbers");
        let cost = diou(rect(said), rect(reference));
        total += f64::from((score + cost.value) * weight);
        logits[anchor] += slope * weight;
        for (into, gradient) in coordinates[anchor * COORDINATES..].iter_mut().zip(cost.gradient) {
            *into += gradient * weight;
        }
    }
    total
}
