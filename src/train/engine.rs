//! What runs a step: our own kernels for the short-range network on a CPU, libtorch for all others.

use crate::protocol::diagnostics::Diagnostics;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule::TrainedPart;
use crate::train::diagnostics::sheet::Sheet;
use crate::train::optimizer::Update;
use crate::train::views::batch::{Batch, Rendering};

/// A network in training, with its optimizer, and the base model beside it. It keeps the gradient, and the sums of the
/// epoch: reading those makes the host wait for a GPU, so they are read only when they are asked for.
pub trait Engine: std::fmt::Debug {
    /// What has to be prepared of a batch's pixels.
    fn rendering(&self) -> Rendering;

    /// From now on this part of the network learns.
    fn train_part(&mut self, part: TrainedPart);

    /// Adds a batch to what the next gradients are divided by: for steps of several batches, all of which are counted
    /// before the first gradient.
    fn count(&mut self, batch: &Batch);

    /// Adds a batch's gradient and its figures.
    fn gradient(&mut self, batch: &Batch);

    /// Follows the gradient that was gathered.
    fn update(&mut self, update: Update);

    /// Sums over the epoch's steps.
    fn figures(&self) -> TrainMetrics;

    /// What the epoch looked like from inside; it had this many steps.
    fn diagnostics(&self, steps: u32) -> Diagnostics;

    /// The first views of the epoch with their targets, once.
    fn take_sheet(&mut self) -> Option<Sheet>;

    /// Between two epochs: nothing of the next one has been seen.
    fn begin_epoch(&mut self);

    /// `[F]`: the parameters of the averaged network, folded.
    fn averaged(&self) -> Vec<f32>;

    /// A copy of everything that changes.
    fn state(&self) -> EngineState;

    /// Goes back to it.
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
    /// Views that the diagnostics have seen, and how many of these showed no face.
    pub watched: [usize; 2],
    /// The figures' sums over the epoch.
    pub figures: TrainMetrics,
}
