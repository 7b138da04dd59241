//! What runs a step: the native kernels for the short-range network on a CPU, libtorch for everything else.

use crate::protocol::diagnostics::Diagnostics;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule::TrainedPart;
use crate::train::diagnostics::sheet::Sheet;
use crate::train::optimizer::Update;
use crate::train::views::batch::{Batch, Rendering};

/// A network in training, with its optimizer, and the base model beside it. It holds the gradient and the epoch's sums.
/// Reading those makes the host wait for a GPU, so they are read only on request.
pub trait Engine: std::fmt::Debug {
    /// How a batch's pixels must be prepared.
    fn rendering(&self) -> Rendering;

    /// Trains this part of the network from now on.
    fn train_part(&mut self, part: TrainedPart);

    /// Adds a batch to the counts that the next gradients are divided by. A step of several batches counts all of them
    /// before the first gradient.
    fn count(&mut self, batch: &Batch);

    /// Adds a batch's gradient and its figures.
    fn gradient(&mut self, batch: &Batch);

    /// Applies the accumulated gradient.
    fn update(&mut self, update: Update);

    /// Sums over the epoch's steps.
    fn figures(&self) -> TrainMetrics;

    /// The diagnostics of an epoch with this many steps.
    fn diagnostics(&self, steps: u32) -> Diagnostics;

    /// The first views of the epoch with their targets, once.
    fn take_sheet(&mut self) -> Option<Sheet>;

    /// Resets everything that belongs to one epoch.
    fn begin_epoch(&mut self);

    /// `[F]`: the parameters of the averaged network, folded.
    fn averaged(&self) -> Vec<f32>;

    /// A copy of everything that changes.
    fn state(&self) -> EngineState;

    /// Goes back to such a copy.
    fn restore(&mut self, state: EngineState);
}

/// Everything that changes in an engine, flat.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineState {
    /// `[P]`: of the network in training.
    pub parameters: Vec<f32>,
    /// `[B]`: its running statistics.
    pub buffers: Vec<f32>,
    /// `[P]`: the moving average.
    pub average_parameters: Vec<f32>,
    /// `[B]`
    pub average_buffers: Vec<f32>,
    /// `[P]`: running mean of the gradient.
    pub mean: Vec<f32>,
    /// `[P]`: running mean of its square.
    pub variance: Vec<f32>,
    /// The diagnostics' sums over the epoch.
    pub diagnostics: Vec<f64>,
    /// Views that the diagnostics have seen, and how many of these had no face.
    pub watched: [usize; 2],
    /// The figures' sums over the epoch.
    pub figures: TrainMetrics,
}
