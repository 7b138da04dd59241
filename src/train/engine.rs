//! The interface of the two engines: native for the short-range network on a CPU, libtorch for everything else.

use crate::protocol::diagnostics::Diagnostics;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule::TrainedPart;
use crate::train::diagnostics::sheet::Sheet;
use crate::train::optimizer::Update;
use crate::train::views::batch::{Batch, Rendering};

/// A network in training, with its optimizer and the base model. An engine holds the gradient and the epoch's sums.
/// Reading them makes the host wait for a GPU, so they are read only on request.
pub trait Engine: std::fmt::Debug {
    /// Returns how a batch's pixels must be prepared.
    fn rendering(&self) -> Rendering;

    /// Trains only this part of the network from now on.
    fn train_part(&mut self, part: TrainedPart);

    /// Adds a batch to the counts that the next gradients are divided by. A step of several batches counts every batch
    /// before the first gradient.
    fn count(&mut self, batch: &Batch);

    /// Computes a batch's gradient and figures, and adds both to the running sums.
    fn gradient(&mut self, batch: &Batch);

    /// Applies the accumulated gradient.
    fn update(&mut self, update: Update);

    /// Returns the figures, summed over the epoch's steps.
    fn figures(&self) -> TrainMetrics;

    /// Returns the diagnostics of an epoch with this many steps.
    fn diagnostics(&self, steps: u32) -> Diagnostics;

    /// Takes the epoch's first views with their targets; later calls return `None`.
    fn take_sheet(&mut self) -> Option<Sheet>;

    /// Resets everything that belongs to one epoch.
    fn begin_epoch(&mut self);

    /// Returns the averaged network's folded parameters, `[F]`.
    fn averaged(&self) -> Vec<f32>;

    /// Returns a copy of everything that changes during training.
    fn state(&self) -> EngineState;

    /// Restores a copy that [`Engine::state`] returned.
    fn restore(&mut self, state: EngineState);
}

/// Everything that changes in an engine during training, as flat vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineState {
    /// `[P]`: the parameters of the network in training.
    pub parameters: Vec<f32>,
    /// `[B]`: the running statistics of the network in training.
    pub buffers: Vec<f32>,
    /// `[P]`: the moving average of the parameters.
    pub average_parameters: Vec<f32>,
    /// `[B]`: the moving average of the running statistics.
    pub average_buffers: Vec<f32>,
    /// `[P]`: running mean of the gradient.
    pub mean: Vec<f32>,
    /// `[P]`: running mean of the gradient's square.
    pub variance: Vec<f32>,
    /// The sums behind the epoch's diagnostics.
    pub diagnostics: Vec<f64>,
    /// Number of views that the diagnostics have seen, and how many of them had no face to learn.
    pub watched: [usize; 2],
    /// The figures, summed over the epoch's steps.
    pub figures: TrainMetrics,
}
