//! The sums behind an epoch's diagnostics.

use crate::model::layout::{GRIDS, Grid};
use crate::protocol::diagnostics::{Diagnostics, FaceSize, GridLoss, IouBin};

/// Lower limits of the face size ranges, in pixels.
pub(super) const SIZES_PX: [f64; 4] = [0.0, 6.0, 12.0, 24.0];
/// Number of IoU bins.
pub(super) const BINS: usize = 10;
/// Number of sums per size range: faces, positives, faces without a positive.
pub(super) const OF_SIZE: usize = 3;
/// Number of sums per grid: positives, box loss, score loss at positives, background loss.
pub(super) const OF_GRID: usize = 4;
/// Number of sums per IoU bin: positives, and their scores.
pub(super) const OF_BIN: usize = 2;
/// Total number of sums.
pub(super) const COUNT: usize = OF_SIZE * SIZES_PX.len() + OF_GRID * GRIDS.len() + OF_BIN * BINS;

/// Returns the lower limit of a bin.
pub(super) fn bin_from(at: usize) -> f64 {
    at as f64 / BINS as f64
}

/// Computes the diagnostics from the sums.
///
/// * `sums`: sums by face size, then by grid, then by IoU bin.
/// * `steps`: the number of steps in the epoch.
/// * `views`: the number of views in the epoch, and the number of those without a face to learn.
pub(super) fn diagnostics(sums: &[f64], steps: u32, views: [usize; 2]) -> Diagnostics {
    let (sizes, rest) = sums.split_at(OF_SIZE * SIZES_PX.len());
    let (grids, bins) = rest.split_at(OF_GRID * GRIDS.len());
    let [views, without_face] = views;
    Diagnostics {
        faces: face_sizes(sizes),
        grids: grid_losses(grids, f64::from(steps)),
        score_by_iou: iou_bins(bins),
        views_without_face: without_face as f64 / views.max(1) as f64,
        sample_views: None,
    }
}

fn face_sizes(sums: &[f64]) -> Vec<FaceSize> {
    let size = |(at, &from): (usize, &f64)| {
        let [count, positives, without] = column(sums, at);
        FaceSize {
            from,
            to: SIZES_PX.get(at + 1).copied(),
            count: count as u64,
            positives_per_face: mean(positives, count),
            without_positive: mean(without, count),
        }
    };
    SIZES_PX.iter().enumerate().map(size).collect()
}

fn grid_losses(sums: &[f64], steps: f64) -> Vec<GridLoss> {
    let all: f64 = sums[..GRIDS.len()].iter().sum();
    let grid = |(at, grid): (usize, &Grid)| {
        let [positives, box_loss, positive, background] = column(sums, at);
        GridLoss {
            side: grid.side as u32,
            share_of_positives: mean(positives, all),
            box_loss: box_loss / steps,
            positive: positive / steps,
            background: background / steps,
        }
    };
    GRIDS.iter().enumerate().map(grid).collect()
}

fn iou_bins(sums: &[f64]) -> Vec<IouBin> {
    let bin = |at: usize| {
        let [count, scores] = column(sums, at);
        IouBin { from: bin_from(at), count: count as u64, mean_score: mean(scores, count) }
    };
    (0..BINS).map(bin).collect()
}

/// Returns one column of a row-major matrix with `R` rows.
fn column<const R: usize>(matrix: &[f64], at: usize) -> [f64; R] {
    let width = matrix.len() / R;
    std::array::from_fn(|row| matrix[row * width + at])
}

fn mean(sum: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| sum / count)
}
