//! Assigns a view's anchors to faces. The libtorch counterpart is `loss::torch::targets`.

use super::boxes::iou;
use super::scores::softplus;
use super::{NativeGrid, Positive, truth};
use crate::eval::detect::sigmoid;
use crate::model::layout::ANCHORS;
use crate::model::outputs::OutputsRef;
use crate::protocol::train_spec::Assignment;
use crate::train::loss::constants::{FORBIDDEN, IOU_COST, RADIUS, TOP};
use crate::train::views::ViewFace;

/// Returns the positive anchors, ordered by index and without duplicates.
pub(super) fn positives(
    rule: Assignment,
    outputs: &OutputsRef<'_>,
    learnt: &[&ViewFace],
    grid: &NativeGrid,
) -> Vec<Positive> {
    let mut wanted: Vec<(usize, usize, f32)> = Vec::new(); // anchor, face, cost
    for (face, of) in learnt.iter().enumerate() {
        let truth = truth(of);
        let taken = match rule {
            Assignment::Dynamic => dynamic(outputs, truth, grid),
            Assignment::BestCell => best_cell(truth, grid),
        };
        wanted.extend(taken.into_iter().map(|(anchor, cost)| (anchor, face, cost)));
    }
    // An anchor that several faces want goes to the face with the lowest cost.
    wanted.sort_by(|a, b| a.0.cmp(&b.0).then(a.2.total_cmp(&b.2)));
    wanted.dedup_by_key(|(anchor, _, _)| *anchor);
    let positive = |(anchor, face, _): (usize, usize, f32)| Positive {
        anchor,
        face,
        width: learnt[face].rect.width(),
        overlap: 0.0,
        box_loss: 0.0,
        score_loss: 0.0,
    };
    wanted.into_iter().map(positive).collect()
}

/// Returns the target box of each positive anchor.
pub(super) fn targets(positives: &[Positive], learnt: &[&ViewFace]) -> Vec<[f32; 4]> {
    positives.iter().map(|positive| truth(learnt[positive.face])).collect()
}

fn dynamic(outputs: &OutputsRef<'_>, truth: [f32; 4], grid: &NativeGrid) -> Vec<(usize, f32)> {
    let mut candidates: Vec<(usize, f32)> = Vec::new(); // anchor, overlap
    for anchor in 0..ANCHORS {
        let near = within(grid, anchor, truth, 0.0, RADIUS as f32)
            || within(grid, anchor, truth, 0.5, 0.0);
        let found = grid.decode(outputs, anchor);
        // An anchor with NaN outputs is not assigned to any face.
        if near && found.iter().all(|value| !value.is_nan()) {
            candidates.push((anchor, iou(found, truth)));
        }
    }
    let mut overlaps: Vec<f32> = candidates.iter().map(|(_, overlap)| *overlap).collect();
    overlaps.sort_by(|a, b| b.total_cmp(a));
    let sum: f32 = overlaps.iter().take(TOP as usize).sum();
    let cost = |&(anchor, overlap): &(usize, f32)| {
        let logit = outputs.logits[anchor];
        let entropy = softplus(logit) - logit * overlap;
        let gap = sigmoid(logit) - overlap;
        (anchor, entropy * gap * gap - (overlap + 1e-7).ln() * IOU_COST as f32)
    };
    let mut costs: Vec<(usize, f32)> = candidates.iter().map(cost).collect();
    // A NaN score makes the cost NaN, which also excludes the anchor.
    costs.retain(|(_, cost)| *cost < FORBIDDEN as f32);
    costs.sort_by(|a, b| a.1.total_cmp(&b.1));
    costs.truncate(sum.floor().max(1.0) as usize);
    costs
}

fn best_cell(truth: [f32; 4], grid: &NativeGrid) -> Vec<(usize, f32)> {
    let cost = |anchor: usize| {
        let ([x, y], cell) = (grid.centres[anchor], grid.cells[anchor]);
        let distance = (x - truth[0]).powi(2) + (y - truth[1]).powi(2);
        distance * 1e-3 - iou([x, y, cell, cell], truth)
    };
    let costs: Vec<f32> = (0..ANCHORS).map(cost).collect();
    let best = (0..ANCHORS).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0);
    let same = |anchor: &usize| {
        grid.centres[*anchor] == grid.centres[best] && grid.cells[*anchor] == grid.cells[best]
    };
    (0..ANCHORS).filter(same).map(|anchor| (anchor, costs[anchor])).collect()
}

/// Returns, for each anchor, whether its centre is on an ignored face or within half a cell of one.
pub(super) fn near_ignored(faces: &[ViewFace], grid: &NativeGrid) -> Vec<bool> {
    let mut near = vec![false; ANCHORS];
    for face in faces.iter().filter(|face| face.ignored) {
        let truth = truth(face);
        for (anchor, near) in near.iter_mut().enumerate() {
            *near |= within(grid, anchor, truth, 0.5, 0.5);
        }
    }
    near
}

/// Whether an anchor's centre is near a box's centre: on each axis, at most `share` of the box's side plus `cells` of
/// the anchor's cells away.
fn within(
    grid: &NativeGrid,
    anchor: usize,
    [x, y, width, height]: [f32; 4],
    share: f32,
    cells: f32,
) -> bool {
    let ([at_x, at_y], reach) = (grid.centres[anchor], grid.cells[anchor] * cells);
    (at_x - x).abs() <= width * share + reach && (at_y - y).abs() <= height * share + reach
}
