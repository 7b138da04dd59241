//! Collects an epoch's diagnostics from batches of the native engine.

use super::sheet::Sheet;
use super::sums::{self, BINS, COUNT, OF_BIN, OF_GRID, OF_SIZE, SIZES_PX, bin_from};
use crate::eval::detect::sigmoid;
use crate::model::layout::{ANCHORS, GRIDS};
use crate::model::native::Inputs;
use crate::protocol::diagnostics::Diagnostics;
use crate::train::loss::native::{Costs, ViewCosts, learnt};
use crate::train::views::{ViewFace, size_px};

/// An epoch's diagnostics so far.
#[derive(Debug)]
pub struct NativeWatch {
    /// `[40]`: sums by face size, then by grid, then by IoU bin.
    sums: Vec<f64>,
    /// Number of views seen, and number of those without a face to learn.
    views: [usize; 2],
    first: Option<Sheet>,
}

impl Default for NativeWatch {
    fn default() -> Self {
        Self { sums: vec![0.0; COUNT], views: [0; 2], first: None }
    }
}

impl NativeWatch {
    /// Continues with the sums and view counts from a checkpoint.
    pub fn restored(sums: Vec<f64>, views: [usize; 2]) -> Self {
        Self { sums, views, first: None }
    }

    /// Adds a batch.
    ///
    /// * `faces`: the faces of each view; `logits`: `[N, 896]`.
    pub fn observe(
        &mut self,
        inputs: &Inputs,
        faces: &[Vec<ViewFace>],
        costs: &Costs,
        logits: &[f32],
    ) {
        let mut batch = Sums::default();
        let views = faces.iter().zip(&costs.views).zip(logits.chunks_exact(ANCHORS));
        for ((faces, view), logits) in views {
            batch.add(faces, view, logits);
        }
        self.sums.iter_mut().zip(batch.flat()).for_each(|(sum, more)| *sum += more);
        if self.views[0] == 0 {
            let views = costs.views.iter().enumerate();
            let positives = views.flat_map(|(view, of)| {
                of.positives.iter().map(move |positive| view * ANCHORS + positive.anchor)
            });
            self.first = Some(Sheet::of_inputs(inputs, faces, positives.collect()));
        }
        self.views[0] += faces.len();
        self.views[1] += faces.iter().filter(|faces| learnt(faces).is_empty()).count();
    }

    /// Takes the sheet of the epoch's first views. Returns `None` if there is none or if it is already taken.
    pub fn take_sheet(&mut self) -> Option<Sheet> {
        self.first.take()
    }

    /// Returns all sums, for checkpoints.
    pub fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// Returns the number of views seen, and the number of those without a face to learn, for checkpoints.
    pub fn views(&self) -> [usize; 2] {
        self.views
    }

    /// Returns the diagnostics of an epoch of `steps` steps.
    pub fn diagnostics(&self, steps: u32) -> Diagnostics {
        sums::diagnostics(&self.sums, steps, self.views)
    }
}

/// Sums over a batch.
#[derive(Debug, Default)]
struct Sums {
    sizes: [[f64; SIZES_PX.len()]; OF_SIZE],
    grids: [[f64; GRIDS.len()]; OF_GRID],
    bins: [[f64; BINS]; OF_BIN],
}

impl Sums {
    fn add(&mut self, faces: &[ViewFace], view: &ViewCosts, logits: &[f32]) {
        for (face, of) in learnt(faces).into_iter().enumerate() {
            let count = view.positives.iter().filter(|positive| positive.face == face).count();
            let size = range(f64::from(size_px(&of.rect)), &SIZES_PX);
            let without = if count == 0 { 1.0 } else { 0.0 };
            for (row, value) in self.sizes.iter_mut().zip([1.0, count as f64, without]) {
                row[size] += value;
            }
        }
        let first = GRIDS[0].side * GRIDS[0].side * GRIDS[0].anchors_per_cell;
        for positive in &view.positives {
            let grid = usize::from(positive.anchor >= first);
            let [box_loss, score_loss] = [positive.box_loss, positive.score_loss].map(f64::from);
            for (row, value) in self.grids.iter_mut().zip([1.0, box_loss, score_loss]) {
                row[grid] += value;
            }
            let limits: [f64; BINS] = std::array::from_fn(bin_from);
            let bin = range(f64::from(positive.overlap), &limits);
            self.bins[0][bin] += 1.0;
            self.bins[1][bin] += f64::from(sigmoid(logits[positive.anchor]));
        }
        for (anchor, cost) in view.background.iter().enumerate() {
            self.grids[3][usize::from(anchor >= first)] += f64::from(*cost);
        }
    }

    fn flat(&self) -> impl Iterator<Item = f64> {
        let rest = self.grids.as_flattened().iter().chain(self.bins.as_flattened());
        self.sizes.as_flattened().iter().chain(rest).copied()
    }
}

/// Returns the index of the last range that starts at or below `number`.
fn range(number: f64, from: &[f64]) -> usize {
    // Compares in single precision, like libtorch's tensors.
    from.iter().rposition(|&from| number as f32 >= from as f32).unwrap_or(0)
}
