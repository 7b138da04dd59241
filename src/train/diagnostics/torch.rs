//! Collects an epoch's diagnostics from batches of the libtorch engine.

use tch::{Device, Kind, Tensor};

use super::sheet::{Sheet, VIEWS};
use super::sums::{self, BINS, COUNT, OF_SIZE, SIZES_PX, bin_from};
use crate::model::layout::{ANCHORS, GRIDS, INPUT_SIZE};
use crate::protocol::diagnostics::Diagnostics;
use crate::train::loss::torch::Parts;
use crate::train::loss::torch::targets::{Faces, Targets};
use crate::train::views::ViewFace;

/// A batch with its targets, outputs and loss.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// `[N, 3, side, side]`: the network's inputs.
    pub inputs: &'a Tensor,
    /// The faces in each view.
    pub view_faces: &'a [Vec<ViewFace>],
    /// The same faces as tensors.
    pub faces: &'a Faces,
    /// The targets of each anchor.
    pub targets: &'a Targets,
    /// `[N, 896]`: the network's logits.
    pub logits: &'a Tensor,
    /// The loss.
    pub parts: &'a Parts,
}

/// An epoch's diagnostics so far. The sums stay on the device, because reading them after every batch would make the
/// host wait.
#[derive(Debug)]
pub struct TorchWatch {
    /// `[40]`: sums by face size, then by grid, then by IoU bin.
    sums: Tensor,
    sizes: Ranges,
    overlaps: Ranges,
    /// Number of views seen, and number of those without a face to learn.
    views: [usize; 2],
    first: Option<First>,
}

/// The first views of an epoch, still on the device.
#[derive(Debug)]
struct First {
    /// `[K, 3, side, side]`
    inputs: Tensor,
    faces: Vec<Vec<ViewFace>>,
    /// `[N, 896]`
    positive: Tensor,
}

impl TorchWatch {
    /// Creates the diagnostics of an epoch that has no views yet.
    pub fn new(device: Device) -> Self {
        Self::restored(&[0.0; COUNT], [0; 2], device)
    }

    /// Continues with the sums and view counts from a checkpoint.
    pub fn restored(sums: &[f64], views: [usize; 2], device: Device) -> Self {
        let bins: Vec<f64> = (0..BINS).map(bin_from).collect();
        Self {
            // Uses double precision, because the counts of a long epoch are too large for single precision.
            sums: Tensor::from_slice(sums).to_device(device),
            sizes: Ranges::new(&SIZES_PX, device),
            overlaps: Ranges::new(&bins, device),
            views,
            first: None,
        }
    }

    /// Adds a batch.
    pub fn observe(&mut self, seen: &Seen<'_>) {
        let _guard = tch::no_grad_guard();
        let sums = [self.by_size(seen), by_grid(seen), self.by_overlap(seen)];
        self.sums += Tensor::cat(&sums.map(|t| t.reshape([-1])), 0);
        let count = seen.inputs.size()[0] as usize;
        if self.views[0] == 0 {
            // Without the copy, the narrowed tensor would keep the whole batch in memory.
            let inputs = seen.inputs.narrow(0, 0, count.min(VIEWS) as i64).copy();
            let (faces, positive) = (seen.view_faces.to_vec(), seen.targets.positive.copy());
            self.first = Some(First { inputs, faces, positive });
        }
        self.views[0] += count;
        self.views[1] += seen.faces.views_without();
    }

    /// Takes the sheet of the epoch's first views. Returns `None` if there is none or if it is already taken.
    pub fn take_sheet(&mut self) -> Option<Sheet> {
        self.first.take().map(First::read)
    }

    /// Returns all sums, for checkpoints.
    pub fn sums(&self) -> Vec<f64> {
        Vec::try_from(&self.sums.to_device(Device::Cpu)).unwrap_or_default()
    }

    /// Returns the number of views seen, and the number of those without a face to learn, for checkpoints.
    pub fn views(&self) -> [usize; 2] {
        self.views
    }

    /// Returns the diagnostics of an epoch of `steps` steps.
    pub fn diagnostics(&self, steps: u32) -> Diagnostics {
        sums::diagnostics(&self.sums(), steps, self.views)
    }

    /// Returns the sums by face size: `[3, 4]`.
    fn by_size(&self, Seen { faces, targets, .. }: &Seen<'_>) -> Tensor {
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

    /// Returns the sums by IoU bin: `[2, 10]`.
    fn by_overlap(&self, Seen { targets, logits, parts, .. }: &Seen<'_>) -> Tensor {
        let one = targets.positive.to_kind(Kind::Float).reshape([-1]);
        let scores = logits.detach().reshape([-1]).sigmoid() * &one;
        let members = self.overlaps.members(&parts.iou.reshape([-1]));
        Tensor::stack(&[one, scores], 0).matmul(&members)
    }
}

impl First {
    fn read(self) -> Sheet {
        let pixels = ((&self.inputs + 1.0) * 127.5).round().clamp(0.0, 255.0);
        let pixels = pixels.permute([0, 2, 3, 1]).to_kind(Kind::Uint8).to_device(Device::Cpu);
        let bytes: Vec<u8> = Vec::try_from(pixels.reshape([-1])).unwrap_or_default();
        let side = self.inputs.size()[2] as usize;
        let views = bytes.chunks_exact(side * side * 3).map(<[u8]>::to_vec).collect();
        let positive = self.positive.reshape([-1]).nonzero().squeeze_dim(1);
        let positives: Vec<i64> =
            Vec::try_from(positive.to_device(Device::Cpu)).unwrap_or_default();
        let positives = positives.into_iter().map(|at| at as usize).collect();
        Sheet::new(views, side, &self.faces, positives)
    }
}

/// Returns the sums by grid: `[4, 2]`.
fn by_grid(Seen { targets, parts, .. }: &Seen<'_>) -> Tensor {
    let each = &parts.each;
    let first = (GRIDS[0].side * GRIDS[0].side * GRIDS[0].anchors_per_cell) as i64;
    let one = targets.positive.to_kind(Kind::Float);
    let rows = [&one, &each.boxes, &each.positive, &each.background];
    let rows = rows.map(|row| row.sum_dim_intlist([0i64].as_slice(), false, Kind::Float)); // [896]
    let halves = Tensor::stack(&rows, 0).split_with_sizes([first, ANCHORS as i64 - first], 1);
    let sum = |half: &Tensor| half.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    Tensor::stack(&halves.iter().map(sum).collect::<Vec<_>>(), 1)
}

/// Consecutive ranges of numbers.
#[derive(Debug)]
struct Ranges {
    /// `[R]`: lower limits, inclusive.
    from: Tensor,
    /// `[R]`: upper limits, exclusive.
    to: Tensor,
}

impl Ranges {
    /// Creates ranges from their lower limits. Each range ends where the next one starts; the last has no upper limit.
    fn new(from: &[f64], device: Device) -> Self {
        let to: Vec<f64> = from.iter().skip(1).copied().chain([f64::INFINITY]).collect();
        let tensor =
            |limits: &[f64]| Tensor::from_slice(limits).to_kind(Kind::Float).to_device(device);
        Self { from: tensor(from), to: tensor(&to) }
    }

    /// Returns 1 if a number is in a range and 0 otherwise: `[M]` → `[M, R]`.
    fn members(&self, numbers: &Tensor) -> Tensor {
        let numbers = numbers.unsqueeze(1);
        numbers.ge_tensor(&self.from).logical_and(&numbers.lt_tensor(&self.to)).to_kind(Kind::Float)
    }
}
