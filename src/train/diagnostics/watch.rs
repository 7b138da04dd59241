//! Watching an epoch: what is counted of each batch.

use image::RgbImage;
use tch::{Device, Kind, Tensor};

use super::sheet;
use crate::eval::detect::sigmoid;
use crate::model::layout::{ANCHORS, GRIDS, Grid, INPUT_SIZE};
use crate::protocol::diagnostics::{Diagnostics, FaceSize, GridLoss, IouBin};
use crate::train::loss::native::{self, Costs, ViewCosts};
use crate::train::loss::torch::Parts;
use crate::train::loss::torch::targets::{Faces, Targets};
use crate::train::views::batch::Pixels;
use crate::train::views::{ViewFace, size_px};

/// Lower limits of the ranges of sizes, in pixels.
const SIZES_PX: [f64; 4] = [0.0, 6.0, 12.0, 24.0];
/// Bins of IoU.
const BINS: usize = 10;
/// Sums kept of each range of sizes: faces, positives, faces without.
const OF_SIZE: usize = 3;
/// Sums kept of each grid: positives, then box, positive and background loss.
const OF_GRID: usize = 4;
/// Sums kept of each bin: positives, their scores.
const OF_BIN: usize = 2;

/// A batch as the loss saw it.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// What the network was shown.
    pub pixels: &'a Pixels,
    /// What is in the views.
    pub faces: &'a Faces,
    /// What the anchors were to say.
    pub targets: &'a Targets,
    /// `[N, 896]`: what they said.
    pub logits: &'a Tensor,
    /// What that cost.
    pub parts: &'a Parts,
    /// The batch's share of its step.
    pub share: f64,
}

/// Sums over the batches of an epoch, on the device: nothing is read before the epoch's end, for the
/// host would have to wait for the device.
#[derive(Debug)]
pub struct Watch {
    /// All sums in a row: of sizes, of grids, of bins.
    sums: Tensor,
    sizes: Ranges,
    overlaps: Ranges,
    views: usize,
    views_without_face: usize,
    first: Option<sheet::Seen>,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(device: Device) -> Self {
        let count = OF_SIZE * SIZES_PX.len() + OF_GRID * GRIDS.len() + OF_BIN * BINS;
        let bins: Vec<f64> = (0..BINS).map(bin_from).collect();
        Self {
            // Counts over a long epoch are past what single precision can hold.
            sums: Tensor::zeros([count as i64], (Kind::Double, device)),
            sizes: Ranges::new(&SIZES_PX, device),
            overlaps: Ranges::new(&bins, device),
            views: 0,
            views_without_face: 0,
            first: None,
        }
    }

    /// Adds a batch.
    pub fn observe(&mut self, batch: &Batch<'_>) {
        let _guard = tch::no_grad_guard();
        let sums = [self.by_size(batch), by_grid(batch), self.by_overlap(batch)];
        self.sums += Tensor::cat(&sums.map(|t| t.reshape([-1])), 0);
        if self.views == 0 {
            let Batch { pixels, faces, targets, .. } = batch;
            let positive = targets.positive.reshape([-1]).nonzero().squeeze_dim(1);
            self.first = Some(sheet::Seen::new(pixels, faces, &positive));
        }
        self.views += batch.pixels.count();
        self.views_without_face += batch.faces.views_without();
    }

    /// Adds a batch that was costed on a CPU.
    ///
    /// * `faces`: of each view; `logits`: `[N, 896]`.
    pub fn observe_in_memory(
        &mut self,
        pixels: &Pixels,
        faces: &[Vec<ViewFace>],
        costs: &Costs,
        logits: &[f32],
        share: f64,
    ) {
        let mut sums = Sums::default();
        let views = faces.iter().zip(&costs.views).zip(logits.chunks_exact(ANCHORS));
        for ((faces, view), logits) in views {
            sums.add(faces, view, logits, share);
        }
        self.sums += Tensor::from_slice(&sums.flat());
        if self.views == 0 {
            let at = |view: usize, anchor: usize| (view * ANCHORS + anchor) as i64;
            let views = costs.views.iter().enumerate();
            let positive: Vec<i64> = views
                .flat_map(|(view, of)| of.positives.iter().map(move |found| at(view, found.anchor)))
                .collect();
            let faces = Faces::new(faces, Device::Cpu);
            let seen = sheet::Seen::new(pixels, &faces, &Tensor::from_slice(&positive));
            self.first = Some(seen);
        }
        self.views += faces.len();
        self.views_without_face +=
            faces.iter().filter(|faces| faces.iter().all(|face| face.ignored)).count();
    }

    /// The first views of the epoch with their targets, once.
    pub fn take_sheet(&mut self) -> Option<RgbImage> {
        self.first.take().map(|first| first.draw())
    }

    /// All sums on the device, for checkpoints.
    pub fn sums_mut(&mut self) -> &mut Tensor {
        &mut self.sums
    }

    /// Views seen, and those of them without a face, for checkpoints.
    pub fn counts(&self) -> [usize; 2] {
        [self.views, self.views_without_face]
    }

    /// Goes back to what [`Watch::counts`] was.
    pub fn restore_counts(&mut self, [views, without]: [usize; 2]) {
        (self.views, self.views_without_face, self.first) = (views, without, None);
    }

    /// `[3, 4]`
    fn by_size(&self, Batch { faces, targets, .. }: &Batch<'_>) -> Tensor {
        if faces.learnt() == 0 {
            let shape = [OF_SIZE as i64, SIZES_PX.len() as i64];
            return Tensor::zeros(shape, (Kind::Float, targets.boxes.device()));
        }
        let sides = faces.boxes.narrow(0, 0, faces.learnt()).narrow(1, 2, 2); // [F, 2]
        let sizes = sides.prod_dim_int(1, false, Kind::Float).sqrt() * INPUT_SIZE as f64; // [F]
        let one = targets.positive.to_kind(Kind::Float).reshape([-1]);
        let positives = sizes.zeros_like().index_add(0, &targets.faces.reshape([-1]), &one); // [F]
        let rows = [sizes.ones_like(), positives.shallow_clone(), positives.eq(0.0)];
        Tensor::stack(&rows.map(|row| row.to_kind(Kind::Float)), 0)
            .matmul(&self.sizes.members(&sizes))
    }

    /// `[2, 10]`
    fn by_overlap(&self, Batch { targets, logits, parts, .. }: &Batch<'_>) -> Tensor {
        let one = targets.positive.to_kind(Kind::Float).reshape([-1]);
        let scores = logits.detach().reshape([-1]).sigmoid() * &one;
        let members = self.overlaps.members(&parts.iou.reshape([-1]));
        Tensor::stack(&[one, scores], 0).matmul(&members)
    }

    /// Reads the sums; `steps` is how many the epoch had.
    pub fn diagnostics(&self, steps: u32) -> Diagnostics {
        let sums: Vec<f64> = Vec::try_from(&self.sums.to_device(Device::Cpu)).unwrap_or_default();
        let (sizes, rest) = sums.split_at(OF_SIZE * SIZES_PX.len());
        let (grids, bins) = rest.split_at(OF_GRID * GRIDS.len());
        Diagnostics {
            faces: face_sizes(sizes),
            grids: grid_losses(grids, f64::from(steps)),
            score_by_iou: iou_bins(bins),
            views_without_face: self.views_without_face as f64 / self.views.max(1) as f64,
            sample_views: None,
        }
    }
}

/// Sums over some views, on a CPU.
#[derive(Debug, Default)]
struct Sums {
    sizes: [[f64; SIZES_PX.len()]; OF_SIZE],
    grids: [[f64; GRIDS.len()]; OF_GRID],
    bins: [[f64; BINS]; OF_BIN],
}

impl Sums {
    fn add(&mut self, faces: &[ViewFace], view: &ViewCosts, logits: &[f32], share: f64) {
        for (face, of) in native::learnt(faces).into_iter().enumerate() {
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
            let [box_loss, score_loss] =
                [positive.box_loss, positive.score_loss].map(|cost| f64::from(cost) * share);
            for (row, value) in self.grids.iter_mut().zip([1.0, box_loss, score_loss]) {
                row[grid] += value;
            }
            let limits: [f64; BINS] = std::array::from_fn(bin_from);
            let bin = range(f64::from(positive.overlap), &limits);
            self.bins[0][bin] += 1.0;
            self.bins[1][bin] += f64::from(sigmoid(logits[positive.anchor]));
        }
        for (anchor, cost) in view.background.iter().enumerate() {
            self.grids[3][usize::from(anchor >= first)] += f64::from(*cost) * share;
        }
    }

    fn flat(&self) -> Vec<f64> {
        let rest = self.grids.as_flattened().iter().chain(self.bins.as_flattened());
        self.sizes.as_flattened().iter().chain(rest).copied().collect()
    }
}

/// The last of the ranges that begins at or below a number.
fn range(number: f64, from: &[f64]) -> usize {
    // As the tensors have it, in single precision.
    from.iter().rposition(|&from| number as f32 >= from as f32).unwrap_or(0)
}

/// `[4, 2]`
fn by_grid(Batch { targets, parts, share, .. }: &Batch<'_>) -> Tensor {
    let each = &parts.each;
    let first = (GRIDS[0].side * GRIDS[0].side * GRIDS[0].anchors_per_cell) as i64;
    let costs = [&each.boxes, &each.positive, &each.background].map(|cost| cost * *share);
    let [boxes, positive, background] = &costs;
    let rows = [&targets.positive.to_kind(Kind::Float), boxes, positive, background];
    let rows = rows.map(|row| row.sum_dim_intlist([0i64].as_slice(), false, Kind::Float)); // [896]
    let halves = Tensor::stack(&rows, 0).split_with_sizes([first, ANCHORS as i64 - first], 1);
    let sum = |half: &Tensor| half.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    Tensor::stack(&halves.iter().map(sum).collect::<Vec<_>>(), 1)
}

/// Which range a number is in.
#[derive(Debug)]
struct Ranges {
    /// `[R]`
    from: Tensor,
    /// `[R]`
    to: Tensor,
}

impl Ranges {
    /// Each ends where the next begins, the last never.
    fn new(from: &[f64], device: Device) -> Self {
        let to: Vec<f64> = from.iter().skip(1).copied().chain([f64::INFINITY]).collect();
        let tensor =
            |limits: &[f64]| Tensor::from_slice(limits).to_kind(Kind::Float).to_device(device);
        Self { from: tensor(from), to: tensor(&to) }
    }

    /// `[M]` → `[M, R]`: 1 where a number is in a range.
    fn members(&self, numbers: &Tensor) -> Tensor {
        let numbers = numbers.unsqueeze(1);
        numbers.ge_tensor(&self.from).logical_and(&numbers.lt_tensor(&self.to)).to_kind(Kind::Float)
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

fn bin_from(at: usize) -> f64 {
    at as f64 / BINS as f64
}

/// One column of a matrix of `R` rows that is stored row by row.
fn column<const R: usize>(matrix: &[f64], at: usize) -> [f64; R] {
    let width = matrix.len() / R;
    std::array::from_fn(|row| matrix[row * width + at])
}

fn mean(sum: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| sum / count)
}
