//! Training steps, and epochs as passes over the training pictures.

use std::time::Instant;

use super::TrainError;
use super::diagnostics::sheet::Sheet;
use super::engine::{Engine, EngineState};
use super::native;
use super::optimizer::Update;
use super::progress::Progress;
use super::views;
use super::views::ahead::Ahead;
use super::views::batch::{Batch, Cutter};
use super::views::pictures::Pictures;
use crate::model::device::{Device, NeedsTorch};
use crate::model::layout::Layout;
use crate::model::runner::is_native;
use crate::model::tensors::Weights;
use crate::protocol::diagnostics::Diagnostics;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule;
use crate::protocol::train_spec::TrainSpec;

/// A network in training.
#[derive(Debug)]
pub struct Trainer<'a> {
    spec: &'a TrainSpec,
    pictures: &'a Pictures,
    layout: &'static Layout,
    /// Views per batch.
    batch_size: usize,
    /// Batches per optimizer step.
    accumulate_batches: usize,
    engine: Box<dyn Engine>,
    /// Optimizer steps done.
    steps: u64,
    /// The current epoch's progress.
    progress: Progress,
}

/// An epoch's figures so far.
#[derive(Debug, Clone, Copy)]
pub struct EpochReport {
    /// Steps done in this epoch.
    pub step: u32,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training views per second.
    pub images_per_s: f64,
    /// Means over the epoch's steps so far.
    pub train: TrainMetrics,
}

/// The rest of an epoch. The next batch is always prepared in advance.
#[derive(Debug)]
pub struct Pass<'a> {
    epoch: u32,
    ahead: Ahead<'a>,
    /// Number of views in each step.
    steps: std::vec::IntoIter<usize>,
    began: Instant,
    /// Seconds that the epoch took before this pass.
    before: f64,
}

impl<'a> Trainer<'a> {
    /// Creates a trainer that starts from `weights`, with `base` as the teacher.
    ///
    /// # Errors
    ///
    /// [`NeedsTorch`] in a build without libtorch, if the native engine cannot do the job.
    pub fn new(
        spec: &'a TrainSpec,
        pictures: &'a Pictures,
        weights: &Weights,
        base: &Weights,
        device: Device,
    ) -> Result<Self, NeedsTorch> {
        let engine = engine(spec, pictures, weights, base, device)?;
        Ok(Self::with(engine, spec, pictures, weights.layout(), device))
    }

    /// Creates a trainer with an existing engine for the same job.
    pub fn with(
        engine: Box<dyn Engine>,
        spec: &'a TrainSpec,
        pictures: &'a Pictures,
        layout: &'static Layout,
        device: Device,
    ) -> Self {
        let batch_size = schedule::batch_size(spec, pictures.train.len(), device.is_gpu());
        let accumulate_batches = spec.accumulate_batches as usize;
        let progress = Progress::default();
        Self { spec, pictures, layout, batch_size, accumulate_batches, engine, steps: 0, progress }
    }

    /// Returns the number of steps per epoch; the last step may have fewer views.
    pub fn steps_per_epoch(&self) -> u32 {
        self.pictures.train.len().div_ceil(self.views_per_step()) as u32
    }

    /// Returns the number of views per optimizer step.
    pub fn views_per_step(&self) -> usize {
        self.batch_size * self.accumulate_batches
    }

    /// Uses this many views per step from now on.
    pub fn keep_views_per_step(&mut self, views: u32) {
        self.batch_size = (views as usize / self.accumulate_batches).max(1);
    }

    /// Divides the batch size by `divisor` and multiplies the batches per step by it, to save memory. A step sees the
    /// same views and learns the same, unless BatchNorm uses each batch's own statistics.
    pub fn divide_batches(&mut self, divisor: u32) {
        self.batch_size = (self.batch_size / divisor as usize).max(1);
        self.accumulate_batches *= divisor as usize;
    }

    /// Returns the number of optimizer steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the current epoch's progress.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Returns the number of training pictures.
    pub fn pictures(&self) -> usize {
        self.pictures.train.len()
    }

    /// Begins a pass over the training pictures, starting from the current progress. `epoch` counts from 1.
    pub fn begin(&mut self, epoch: u32) -> Pass<'a> {
        let order = views::random::order(self.pictures.train.len(), self.spec.seed, epoch);
        let order: Vec<usize> = order.into_iter().map(|at| self.pictures.train[at]).collect();
        let (part, _) = schedule::part(self.spec, epoch);
        self.engine.train_part(part);
        let (mut batches, mut steps) = (Vec::new(), Vec::new());
        for step in order.chunks(self.views_per_step()).skip(self.progress.step as usize) {
            let each = step.chunks(self.batch_size).map(<[usize]>::to_vec);
            // A step of several batches needs each batch twice: first for the counts that gradients are divided by,
            // then for the gradients.
            if each.len() > 1 {
                batches.extend(each.clone());
            }
            batches.extend(each);
            steps.push(step.len());
        }
        let (side, rendering) = (self.layout.input_size, self.engine.rendering());
        let cutter = Cutter::new(self.spec, self.pictures, epoch, side, rendering);
        Pass {
            epoch,
            ahead: Ahead::new(cutter, batches),
            steps: steps.into_iter(),
            began: Instant::now(),
            before: self.progress.seconds,
        }
    }

    /// Returns the epoch's figures so far. Requires at least one step.
    ///
    /// # Errors
    ///
    /// [`TrainError::Diverged`] if the loss or the gradient is no longer finite.
    pub fn report(&self, epoch: u32) -> Result<EpochReport, TrainError> {
        let Progress { step, seen, seconds, .. } = self.progress;
        let train = self.engine.figures().means(step);
        if !train.loss.is_finite() || !train.gradient_norm.is_finite() {
            return Err(TrainError::Diverged { step: self.steps, epoch });
        }
        let lr = self.rate(epoch, self.steps.saturating_sub(1));
        Ok(EpochReport { step, lr, images_per_s: seen as f64 / seconds, train })
    }

    /// Returns the epoch's diagnostics.
    pub fn diagnostics(&self) -> Diagnostics {
        self.engine.diagnostics(self.progress.step)
    }

    /// Takes the epoch's first views with their targets; later calls return `None`.
    pub fn take_sheet(&mut self) -> Option<Sheet> {
        self.engine.take_sheet()
    }

    /// Returns the averaged network's folded parameters, `[F]`.
    pub fn averaged(&self) -> Vec<f32> {
        self.engine.averaged()
    }

    /// Resets everything that belongs to one epoch.
    pub fn end_epoch(&mut self) {
        self.progress = Progress::default();
        self.engine.begin_epoch();
    }

    /// Returns a copy of everything that changes in the engine.
    pub fn state(&self) -> EngineState {
        self.engine.state()
    }

    /// Restores a checkpoint.
    pub fn restore(&mut self, state: EngineState, steps: u64, progress: Progress) {
        self.engine.restore(state);
        (self.steps, self.progress) = (steps, progress);
    }

    /// Takes a step on a given batch, for benchmarks.
    pub fn step_on(&mut self, batch: &Batch, rate: f64) {
        self.engine.gradient(batch);
        self.update(rate);
    }

    fn update(&mut self, rate: f64) {
        let ema_decay = schedule::ema_decay(self.spec, self.steps + 1);
        self.steps += 1;
        self.engine.update(Update { step: self.steps, rate, ema_decay });
    }

    /// Returns the learning rate of the step that follows the first `steps` steps.
    fn rate(&self, epoch: u32, steps: u64) -> f64 {
        let (_, share) = schedule::part(self.spec, epoch);
        let steps_per_epoch = u64::from(self.steps_per_epoch());
        schedule::learning_rate(self.spec, steps, steps_per_epoch) * share
    }
}

impl Pass<'_> {
    /// Whether the epoch has no steps left.
    pub fn is_over(&self) -> bool {
        self.steps.as_slice().is_empty()
    }

    /// Takes one optimizer step. Returns false if the epoch has no steps left.
    ///
    /// Does not return figures: reading them would make the host wait for a GPU at every step. See [`Trainer::report`].
    ///
    /// # Panics
    ///
    /// If the data set can no longer be read.
    pub fn step(&mut self, trainer: &mut Trainer<'_>) -> bool {
        let Some(views) = self.steps.next() else { return false };
        let batches = views.div_ceil(trainer.batch_size);
        if batches > 1 {
            for _ in 0..batches {
                self.ahead.with_next(|batch| trainer.engine.count(&batch));
            }
        }
        let rate = trainer.rate(self.epoch, trainer.steps);
        for left in (0..batches).rev() {
            self.ahead.with_next(|batch| {
                trainer.engine.gradient(&batch);
                if left == 0 {
                    trainer.update(rate);
                }
            });
        }
        let progress = &mut trainer.progress;
        progress.step += 1;
        progress.seen += views as u64;
        progress.seconds = self.before + self.began.elapsed().as_secs_f64();
        true
    }
}

/// Whether the native engine trains a network. It does if it can run the network and if batches are not normalised with
/// their own statistics.
pub fn trains_natively(spec: &TrainSpec, device: Device, layout: &Layout) -> bool {
    is_native(device, layout) && !spec.unfold.uses_batches()
}

/// Creates the engine for a job that starts from `weights`, with `base` as the teacher.
///
/// # Errors
///
/// [`NeedsTorch`] in a build without libtorch, if the native engine cannot do the job.
#[cfg_attr(
    feature = "torch",
    expect(clippy::unnecessary_wraps, reason = "a build without libtorch fails here")
)]
fn engine(
    spec: &TrainSpec,
    pictures: &Pictures,
    weights: &Weights,
    base: &Weights,
    device: Device,
) -> Result<Box<dyn Engine>, NeedsTorch> {
    if trains_natively(spec, device, weights.layout()) {
        return Ok(Box::new(native::NativeEngine::new(spec, pictures, weights, base)));
    }
    #[cfg(feature = "torch")]
    return Ok(Box::new(super::torch::TorchEngine::new(spec, pictures, weights, base, device)));
    #[cfg(not(feature = "torch"))]
    Err(NeedsTorch(match weights.layout().variant {
        _ if device.is_gpu() => "a GPU",
        crate::model::layout::Variant::Back => "the back camera's network",
        crate::model::layout::Variant::Short => "unfold = calibrated or identity",
    }))
}
