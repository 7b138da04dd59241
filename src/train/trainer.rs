//! The step and the epoch.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use super::TrainError;
use super::diagnostics::watch::{Batch, Watch};
use super::engine::Engine;
use super::loss::native::{self, Said};
use super::loss::torch::targets::{self, AnchorGrid, Faces};
use super::loss::torch::{self, teacher};
use super::optimizer::{Matrix, Optimizer};
use super::progress::{Counts, FIGURES, Within};
use super::views::ahead::Ahead;
use super::views::batch;
use super::views::batch::{Cutter, Pixels, Place};
use super::views::pictures::Pictures;
use super::views::{self, ViewFace};
use crate::model::anchors::decode_boxes;
use crate::model::cpu::Inputs;
use crate::model::layout::{COORDINATES, Role};
use crate::model::network::{Form, Network, array};
use crate::model::tensors::Weights;
use crate::model::unfold;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule::{self, Part};
use crate::protocol::train_spec::{OptimizerChoice, TrainSpec, Unfold};

/// Views from which BatchNorm's statistics are measured.
const CALIBRATION_VIEWS: usize = 256;
/// Of these, at once.
const CALIBRATION_BATCH: usize = 32;
/// How often an epoch reports, and looks whether the loss is still finite.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// Where the gradient's norm stands among the figures.
const NORM: i64 = 4;

/// A network in training.
#[derive(Debug)]
pub struct Trainer<'a> {
    spec: &'a TrainSpec,
    pictures: &'a Pictures,
    batch_size: usize,
    place: Place,
    /// The anchors, for a GPU and for a CPU.
    grid: AnchorGrid,
    anchors: native::Grid,
    /// What the optimizer changes.
    pub network: Network,
    /// The moving average of its parameters and buffers, which is evaluated and saved.
    pub average: Network,
    /// Its state.
    pub optimizer: Optimizer,
    /// What the epoch under way, or the last one, shows from inside.
    pub watch: Watch,
    /// Runs it, and the untouched network, to which it is held.
    engine: Engine,
    /// How far that epoch is.
    pub within: Within,
    /// `[P]`: decoupled weight decay of each parameter.
    decay: Tensor,
}

/// Where an epoch stands.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps done in this epoch.
    pub step: u32,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training views a second.
    pub images_per_s: f64,
    /// Means since the epoch began.
    pub train: TrainMetrics,
}

impl<'a> Trainer<'a> {
    /// A trainer that starts from `weights` and is held to `untouched`.
    pub fn new(
        spec: &'a TrainSpec,
        pictures: &'a Pictures,
        weights: &Weights,
        untouched: &Weights,
        place: Place,
    ) -> Self {
        let device = place.device;
        let folded = Network::folded(weights, device);
        let mut network = match spec.unfold {
            Unfold::Folded => folded,
            Unfold::Identity => unfold::identity(&folded),
            Unfold::Frozen | Unfold::Calibrated => {
                unfold::calibrated(&folded, &statistics(spec, pictures, &folded, place))
            }
        };
        let average = network.with_numbers(&network.parameters.copy(), &network.buffers.copy());
        let decay = decays(&network) * spec.weight_decay;
        let matrices = match spec.optimizer {
            OptimizerChoice::Muon => matrices(&network),
            OptimizerChoice::Adamw => Vec::new(),
        };
        let optimizer = Optimizer::new(&network.parameters, matrices);
        let grid = AnchorGrid::new(device);
        let engine = Engine::new(spec, place, &mut network, Network::folded(untouched, device));
        let batch_size = schedule::batch_size(spec, pictures.train.len(), device.is_cuda());
        let watch = Watch::new(device);
        let anchors = native::Grid::default();
        Self {
            spec,
            pictures,
            batch_size,
            place,
            grid,
            anchors,
            network,
            average,
            optimizer,
            watch,
            engine,
            within: Within::new(device),
            decay,
        }
    }

    /// Steps an epoch; the last batch may be smaller.
    pub fn steps_per_epoch(&self) -> u32 {
        self.pictures.train.len().div_ceil(self.views_a_step()) as u32
    }

    /// Views that one optimizer step sees.
    pub fn views_a_step(&self) -> usize {
        self.batch_size * self.spec.accumulate_batches as usize
    }

    /// Goes on with steps of this many views.
    pub fn keep_views_a_step(&mut self, views: u32) {
        self.batch_size = (views / self.spec.accumulate_batches).max(1) as usize;
    }

    /// Parameters, and how many pictures there are to train on.
    pub fn job(&self) -> (&TrainSpec, usize) {
        (self.spec, self.pictures.train.len())
    }

    /// One pass over the training pictures, `epoch` counting from 1, from where it is `within` it. Breaks
    /// before step `until` of the epoch, so that a checkpoint can be saved there; the same call goes on.
    ///
    /// `report` is called about twice a second and may break too.
    ///
    /// # Errors
    ///
    /// [`TrainError::Diverged`] when the loss is no longer finite.
    pub fn epoch(
        &mut self,
        epoch: u32,
        until: u32,
        report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<Progress, Progress>, TrainError> {
        let order = views::order(self.pictures.train.len(), self.spec.seed, epoch);
        let order: Vec<usize> = order.into_iter().map(|at| self.pictures.train[at]).collect();
        let steps = self.steps_per_epoch();
        let (part, _) = schedule::part(self.spec, epoch);
        let trainable = trainable(&self.network, part, self.spec.freeze_keypoint_heads);
        let Counts { step: done, seconds: before, .. } = self.within.counts;
        let (began, mut reported) = (Instant::now(), Instant::now());
        let batch_size = self.batch_size;
        // None is prepared that would be thrown away where this breaks.
        let last = until.max(done + 1) as usize;
        let each = || order.chunks(self.views_a_step()).take(last).skip(done as usize);
        let batches = each().flat_map(|step| step.chunks(batch_size));
        let cutter = Cutter::new(self.spec, self.pictures, epoch, self.place);
        let mut ahead = Ahead::new(cutter, batches);
        for (step, indices) in (done + 1..).zip(each()) {
            let lr = self.rate(epoch, self.optimizer.steps, steps);
            let figures = self.step(&mut ahead, indices.len(), lr, &trainable);
            self.within.figures += figures;
            let counts = &mut self.within.counts;
            counts.step = step;
            counts.seen += indices.len() as u64;
            counts.seconds = before + began.elapsed().as_secs_f64();
            let breaks = step >= until.min(steps);
            if !breaks && reported.elapsed() < REPORT_EVERY {
                continue;
            }
            reported = Instant::now();
            let progress = self.progress(epoch);
            let TrainMetrics { loss, gradient_norm, .. } = progress.train;
            if !loss.is_finite() || !gradient_norm.is_finite() {
                return Err(TrainError::Diverged { step: self.optimizer.steps, epoch });
            }
            let told = report(progress);
            if step == steps {
                return Ok(ControlFlow::Continue(progress));
            }
            if told.is_break() || breaks {
                return Ok(ControlFlow::Break(progress));
            }
        }
        Err(TrainError::NoPictures)
    }

    /// Where the epoch under way is; at least one step of it was done.
    pub fn progress(&self, epoch: u32) -> Progress {
        let Counts { step, seen, seconds, .. } = self.within.counts;
        let (steps, last) = (self.steps_per_epoch(), self.optimizer.steps.saturating_sub(1));
        Progress {
            step,
            lr: self.rate(epoch, last, steps),
            images_per_s: seen as f64 / seconds,
            train: means(&self.within.figures, step),
        }
    }

    fn rate(&self, epoch: u32, step: u64, steps: u32) -> f64 {
        let (_, rate) = schedule::part(self.spec, epoch);
        schedule::learning_rate(self.spec, step, u64::from(steps)) * rate
    }

    /// Between two epochs: nothing of the next one has been seen.
    pub fn rest(&mut self) {
        self.within = Within::new(self.network.device());
        self.watch = Watch::new(self.network.device());
    }

    /// One optimizer step over so many views in one or more batches; returns its figures.
    ///
    /// * `trainable`: `[P]`, 1 where a parameter may change.
    fn step<'b>(
        &mut self,
        ahead: &mut Ahead<'b, impl Iterator<Item = &'b [usize]>>,
        views: usize,
        lr: f64,
        trainable: &Tensor,
    ) -> Tensor {
        let mut figures = Tensor::zeros([FIGURES], (Kind::Float, self.network.device()));
        let mut left = views;
        while left > 0 {
            let worked = ahead.with_next(|prepared| {
                let (pixels, faces) = prepared.finish(self.pictures);
                let share = pixels.count() as f64 / views as f64;
                left -= pixels.count();
                figures += self.gradient_of(&pixels, &faces, share) * share;
                if left == 0 {
                    let norm = self.update(lr, trainable);
                    figures.narrow(0, NORM, 1).copy_(&norm.reshape([1]));
                }
            });
            worked.expect("steps have as many batches as the epoch");
        }
        figures
    }

    /// A step on views that are there already, for benchmarks.
    pub fn step_on(&mut self, pixels: &Pixels, faces: &[Vec<ViewFace>], lr: f64) {
        let _ = self.gradient_of(pixels, faces, 1.0);
        let trainable = trainable(&self.network, Part::All, false);
        let _ = self.update(lr, &trainable);
    }

    /// Follows the gradient that was gathered; returns its norm.
    fn update(&mut self, lr: f64, trainable: &Tensor) -> Tensor {
        let _guard = tch::no_grad_guard();
        let masked = self.engine.take_gradient(&self.network) * trainable;
        let norm = norm(&masked);
        let scale = (self.spec.gradient_clip_norm / (&norm + 1e-6)).clamp_max(1.0);
        let decay = &self.decay * trainable;
        self.optimizer.step(&mut self.network.parameters, &(masked * scale), lr, &decay);
        let decay = schedule::ema_decay(self.spec, self.optimizer.steps);
        let _ = self.average.parameters.lerp_(&self.network.parameters, 1.0 - decay);
        let _ = self.average.buffers.lerp_(&self.network.buffers, 1.0 - decay);
        norm
    }

    /// Adds `share` of a batch's gradient to that of the parameters; returns its figures, the norm apart.
    fn gradient_of(&mut self, pixels: &Pixels, faces: &[Vec<ViewFace>], share: f64) -> Tensor {
        match pixels {
            Pixels::Memory(inputs) => self.gradient_in_memory(pixels, inputs, faces, share),
            Pixels::Device(pictures) => {
                let faces = Faces::new(faces, self.network.device());
                self.gradient_on_device(pixels, pictures, &faces, share)
            }
        }
    }

    fn gradient_in_memory(
        &mut self,
        pixels: &Pixels,
        inputs: &Inputs,
        faces: &[Vec<ViewFace>],
        share: f64,
    ) -> Tensor {
        let Engine::Cpu(engine) = &mut self.engine else { panic!("the network is libtorch's") };
        engine.forward(&self.network, inputs);
        let (said, expected) = engine.said();
        let costs = native::costs(said, Some(expected), faces, &self.spec.loss, &self.anchors);
        self.watch.observe_in_memory(pixels, faces, &costs, said.logits, share);
        let outputs = Said { logits: &costs.logits, coordinates: &costs.coordinates };
        engine.backward(inputs, outputs, share);
        let learnt = faces.iter().flatten().filter(|face| !face.ignored).count();
        let positives = costs.positives as f64 / learnt.max(1) as f64;
        let parts = [costs.total, costs.boxes, costs.positive, costs.background, 0.0, positives];
        Tensor::from_slice(&parts.map(|part| part as f32))
    }

    fn gradient_on_device(
        &mut self,
        pixels: &Pixels,
        pictures: &Tensor,
        faces: &Faces,
        share: f64,
    ) -> Tensor {
        let Engine::Device(engine) = &self.engine else { panic!("the network is the engine's") };
        let (outputs, expected) = engine.forward(&self.network, pictures);
        let boxes = decode_boxes(&outputs.coordinates, &self.grid.centres); // [N, 896, 4]
        let rule = self.spec.loss.assignment;
        let targets =
            targets::assign(rule, &outputs.logits.detach(), &boxes.detach(), faces, &self.grid);
        let parts = torch::parts(&outputs.logits, &boxes, &targets, &self.spec.loss);
        let held = teacher::cost(
            &outputs,
            &expected,
            &self.grid.centres,
            faces,
            &targets,
            &self.spec.loss,
        );
        let total = parts.total() + held;
        (&total * share).backward();
        let logits = &outputs.logits;
        self.watch.observe(&Batch {
            pixels,
            faces,
            targets: &targets,
            logits,
            parts: &parts,
            share,
        });

        let positives = targets.count() / faces.learnt().max(1) as f64;
        let part = |t: &Tensor| t.detach().reshape([1]);
        let total = part(&total);
        Tensor::cat(
            &[
                &total,
                &part(&parts.boxes),
                &part(&parts.positive),
                &part(&parts.background),
                &total.zeros_like(),
                &part(&positives),
            ],
            0,
        )
    }
}

/// BatchNorm's first statistics, from views like those of training.
fn statistics(
    spec: &TrainSpec,
    pictures: &Pictures,
    folded: &Network,
    place: Place,
) -> Vec<unfold::Statistics> {
    let order = views::order(pictures.train.len(), spec.seed, 0);
    let chosen: Vec<usize> =
        order.iter().take(CALIBRATION_VIEWS).map(|&at| pictures.train[at]).collect();
    let (mut in_memory, mut on_device) = (Vec::new(), Vec::new());
    for chunk in chosen.chunks(CALIBRATION_BATCH) {
        match batch::cut(spec, pictures, 0, chunk, place).0 {
            Pixels::Memory(inputs) => in_memory.push(inputs),
            Pixels::Device(pictures) => on_device.push(pictures),
        }
    }
    if in_memory.is_empty() {
        unfold::measure(folded, &on_device)
    } else {
        unfold::measure_in_memory(folded, &in_memory)
    }
}

/// 1 for every parameter that may change; 0 for parts that wait, and for the heads' keypoint rows when
/// those are frozen.
fn trainable(network: &Network, part: Part, freeze_keypoints: bool) -> Tensor {
    let _guard = tch::no_grad_guard();
    let mask = network.parameters.ones_like();
    let masked = network.with_numbers(&mask, &network.buffers);
    let mut pieces = masked.pieces();
    let mut rest = pieces.iter_mut();
    let first_backbone = 1 + 2 * network.layout().first_blocks;
    for (index, conv) in network.convs().iter().enumerate() {
        let count = if network.form() == Form::Unfolded && conv.role != Role::Head { 3 } else { 2 };
        let waits = match part {
            Part::All => false,
            Part::SecondBackbone => index < first_backbone,
            Part::Heads => conv.role != Role::Head,
        };
        for piece in rest.by_ref().take(count).filter(|_| waits) {
            let _ = piece.zero_();
        }
    }
    if freeze_keypoints {
        let count = pieces.len();
        // The regressors' weights and biases come last: rows are anchor × 16 + coordinate.
        for piece in &mut pieces[count - 4..] {
            let rows = piece.size()[0];
            let _ = piece
                .view([rows / COORDINATES as i64, COORDINATES as i64, -1])
                .narrow(1, 4, 12)
                .zero_();
        }
    }
    mask
}

/// 1 for convolution weights, 0 for biases and BatchNorm, which weight decay would only bend.
fn decays(network: &Network) -> Tensor {
    let _guard = tch::no_grad_guard();
    let mask = network.parameters.zeros_like();
    let masked = network.with_numbers(&mask, &network.buffers);
    let mut pieces = masked.pieces().into_iter();
    for conv in network.convs() {
        let _ = pieces.next().map(|mut weight| weight.fill_(1.0));
        let others =
            if network.form() == Form::Unfolded && conv.role != Role::Head { 2 } else { 1 };
        (0..others).for_each(|_| drop(pieces.next()));
    }
    mask
}

/// The convolutions that mix channels, those of the scores apart: a row of these is all that one
/// anchor has, and none is to move as far as every other.
fn matrices(network: &Network) -> Vec<Matrix> {
    let mut start = 0;
    let mut matrices = Vec::new();
    for piece in network.pieces() {
        let (shape, count) = (piece.size(), piece.numel() as i64);
        let is_matrix = shape.len() == 4 && shape[1] > 1 && shape[0] >= COORDINATES as i64;
        if is_matrix {
            matrices.push(Matrix { start, rows: shape[0], columns: count / shape[0] });
        }
        start += count;
    }
    matrices
}

/// On a CPU added up in one order, whatever the number of threads: libtorch's depends on it.
fn norm(gradient: &Tensor) -> Tensor {
    if gradient.device() != Device::Cpu {
        return gradient.norm();
    }
    let squares = array(gradient).values.into_iter().map(|value| f64::from(value).powi(2));
    Tensor::from(squares.sum::<f64>().sqrt() as f32)
}

/// Reads the sums once.
fn means(figures: &Tensor, steps: u32) -> TrainMetrics {
    let sums = figures.to_device(Device::Cpu);
    let mean = |index: i64| sums.double_value(&[index]) / f64::from(steps);
    TrainMetrics {
        loss: mean(0),
        box_loss: mean(1),
        positive: mean(2),
        background: mean(3),
        gradient_norm: mean(4),
        positives_per_face: mean(5),
    }
}
