//! Training in libtorch: on GPUs, for the back camera's network, and for jobs whose batches are normalised with their
//! own statistics.

pub mod cuda;
pub mod optimizer;
pub mod squares;
pub mod upload;

use tch::{Device, Kind, Tensor};

use self::optimizer::TorchOptimizer;
use self::squares::Squares;
use super::diagnostics::sheet::Sheet;
use super::diagnostics::torch::{Seen, TorchWatch};
use super::engine;
use super::engine::EngineState;
use super::loss::torch::targets::{self, AnchorGrid, Faces, Targets};
use super::loss::torch::{self, StepCountTensors, teacher};
use super::optimizer::{NORM_EPSILON, Update, decays, first_trained, matrices, trainable};
use super::views;
use super::views::batch::{Batch, Cutter, Rendering};
use super::views::pictures::Pictures;
use super::views::torch::render_batch;
use crate::model;
use crate::model::numbers::Numbers;
use crate::model::tensors::Weights;
use crate::model::torch::anchors::decode_boxes;
use crate::model::torch::fold::{Fold, fold, measure};
use crate::model::torch::{Mode, Network, OutputTensors, array};
use crate::protocol::diagnostics::Diagnostics;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule::TrainedPart;
use crate::protocol::train_spec::{Loss, TrainSpec, Unfold};

/// Index of the gradient's norm among the figures; see [`TrainMetrics::to_array`].
const NORM: i64 = 5;

/// The engine that trains either network on any device.
#[derive(Debug)]
pub struct TorchEngine {
    loss: Loss,
    grid: AnchorGrid,
    clip_norm: f64,
    weight_decay: f64,
    freeze_keypoints: bool,
    squares: Squares,
    network: Network,
    /// The moving average of the network's numbers, which is evaluated and exported.
    average: Network,
    base: Network,
    /// Folds the network that is being trained, if BatchNorm's statistics stay fixed.
    fold: Option<Fold>,
    /// Index of the first convolution that trains.
    from: usize,
    optimizer: TorchOptimizer,
    /// `[P]`: decoupled weight decay of each parameter; 0 for parameters that may not change.
    decay: Tensor,
    /// `[P]`: 1 for each parameter that may change, else 0.
    trainable: Tensor,
    /// The counts that the gradients are divided by, if batches were counted in advance.
    counts: Option<StepCountTensors>,
    /// `[6]`: sums over the epoch's steps, in the order of [`TrainMetrics::to_array`].
    figures: Tensor,
    watch: TorchWatch,
}

/// The results of a batch's forward pass.
struct Pass {
    inputs: Tensor,
    faces: Faces,
    outputs: OutputTensors,
    base: OutputTensors,
    /// `[N, 896, 4]`
    boxes: Tensor,
    targets: Targets,
    /// `[F, 12]`
    keypoints: Option<Tensor>,
}

impl TorchEngine {
    /// Creates an engine that starts from `weights`, with `base` as the teacher.
    ///
    /// # Panics
    ///
    /// If the data set can no longer be read.
    pub fn new(
        spec: &TrainSpec,
        pictures: &Pictures,
        weights: &Weights,
        base: &Weights,
        device: model::device::Device,
    ) -> Self {
        let device = Device::from(device);
        let input_size = weights.layout().input_size;
        let squares = Squares::new(&pictures.cache, pictures.entries.len(), input_size, device);
        let folded = Network::folded(weights, device);
        let numbers = match spec.unfold {
            Unfold::Folded => Numbers::folded(weights),
            Unfold::Identity => Numbers::identity(weights),
            Unfold::Frozen | Unfold::Calibrated => {
                let views = calibration_views(spec, pictures, &squares, input_size);
                Numbers::calibrated(weights, &measure(&folded, &views))
            }
        };
        let mut network = Network::new(&numbers, device);
        let average = Network::new(&numbers, device);
        network.parameters = network.parameters.set_requires_grad(true);
        let (layout, form) = (network.layout(), network.form());
        let matrices = matrices(spec.optimizer, layout, form);
        let ones = average.parameters.ones_like();
        let mut engine = Self {
            loss: spec.loss.clone(),
            grid: AnchorGrid::new(device),
            clip_norm: spec.gradient_clip_norm,
            weight_decay: spec.weight_decay,
            freeze_keypoints: spec.freeze_keypoint_heads,
            squares,
            base: Network::folded(base, device),
            fold: (spec.unfold == Unfold::Frozen).then(|| Fold::of(&network)),
            from: 0,
            optimizer: TorchOptimizer::new(&network.parameters, matrices),
            decay: ones.shallow_clone(),
            trainable: ones,
            counts: None,
            figures: zeros(device),
            watch: TorchWatch::new(device),
            network,
            average,
        };
        engine::Engine::train_part(&mut engine, TrainedPart::All);
        engine
    }

    /// Whether the pictures are on the device.
    pub fn has_pictures(&self) -> bool {
        self.squares.are_on_device()
    }

    fn device(&self) -> Device {
        self.average.device()
    }

    /// Runs a batch through both networks. The outputs' coordinates are in pixels of an
    /// [`INPUT_SIZE`](crate::model::layout::INPUT_SIZE) input.
    fn forward(&self, batch: &Batch) -> Pass {
        let inputs = render_batch(batch, &self.squares);
        let faces = Faces::new(&batch.faces, self.device());
        let size = self.network.layout().input_size;
        let outputs = match &self.fold {
            Some(fold) => fold.apply(&self.network).forward(&inputs, Mode::Evaluate),
            None => self.network.forward(&inputs, Mode::Train { from: self.from }),
        };
        let outputs = outputs.rescaled(size);
        let base = tch::no_grad(|| self.base.forward(&inputs, Mode::Evaluate)).rescaled(size);
        let centres = &self.grid.centres;
        let boxes = decode_boxes(&outputs.coordinates, centres); // [N, 896, 4]
        let (logits, detached) = (outputs.logits.detach(), boxes.detach());
        let rule = self.loss.assignment;
        let targets = targets::assign(rule, &logits, &detached, &faces, &self.grid);
        let keypoints = teacher::known_keypoints(&base, centres, &faces);
        Pass { inputs, faces, outputs, base, boxes, targets, keypoints }
    }

    fn add_figures(&mut self, total: &Tensor, parts: &torch::Parts, positives: &Tensor) {
        let figures = [total, &parts.boxes, &parts.positive, &parts.background, positives];
        let figures = figures.map(|figure| figure.detach().reshape([1]));
        let mut own = self.figures.narrow(0, 0, NORM);
        own += Tensor::cat(&figures, 0);
    }
}

impl engine::Engine for TorchEngine {
    fn rendering(&self) -> Rendering {
        if self.squares.are_on_device() { Rendering::OnDevice } else { Rendering::Squares }
    }

    fn train_part(&mut self, part: TrainedPart) {
        let (layout, form) = (self.network.layout(), self.network.form());
        let upload = |values: Vec<f32>| Tensor::from_slice(&values).to_device(self.device());
        let mask = upload(trainable(layout, form, part, self.freeze_keypoints));
        self.decay = upload(decays(layout, form)) * self.weight_decay * &mask;
        self.from = first_trained(layout, part);
        self.trainable = mask;
    }

    fn count(&mut self, batch: &Batch) {
        let _guard = tch::no_grad_guard();
        // Counting must not change the running statistics; only the pass for the gradient updates them.
        let statistics = self.network.buffers.copy();
        let pass = self.forward(batch);
        self.network.buffers.copy_(&statistics);
        let counts =
            teacher::count(&pass.base, pass.keypoints.as_ref(), &pass.faces, &pass.targets);
        match &mut self.counts {
            Some(sum) => *sum += counts,
            none => *none = Some(counts),
        }
    }

    fn gradient(&mut self, batch: &Batch) {
        let pass = self.forward(batch);
        let Pass { inputs, faces, outputs, base, boxes, targets, keypoints } = &pass;
        let known = keypoints.as_ref();
        let own;
        let counts = if let Some(counts) = &self.counts {
            counts
        } else {
            own = teacher::count(base, known, faces, targets);
            &own
        };
        let parts = torch::parts(&outputs.logits, boxes, targets, &self.loss, counts);
        let centres = &self.grid.centres;
        let apart = teacher::cost(outputs, base, centres, known, targets, &self.loss, counts);
        let total = parts.total() + apart;
        total.backward();
        let positives = targets.count() / counts.faces.max(1) as f64;
        let (view_faces, logits) = (&batch.faces[..], &outputs.logits);
        let seen = Seen { inputs, view_faces, faces, targets, logits, parts: &parts };
        self.watch.observe(&seen);
        self.add_figures(&total, &parts, &positives);
    }

    fn update(&mut self, Update { step, rate, ema_decay }: Update) {
        let _guard = tch::no_grad_guard();
        let mut gathered = self.network.parameters.grad();
        let masked = &gathered * &self.trainable;
        let _ = gathered.zero_();
        let norm = norm(&masked);
        let scale = (self.clip_norm / (&norm + NORM_EPSILON)).clamp_max(1.0);
        let parameters = &mut self.network.parameters;
        self.optimizer.step(step, parameters, &(masked * scale), rate, &self.decay);
        let share = 1.0 - ema_decay;
        let _ = self.average.parameters.lerp_(&self.network.parameters, share);
        let _ = self.average.buffers.lerp_(&self.network.buffers, share);
        let mut sum = self.figures.narrow(0, NORM, 1);
        sum += norm.reshape([1]);
        self.counts = None;
    }

    fn figures(&self) -> TrainMetrics {
        let sums = array(&self.figures).values;
        TrainMetrics::from_array(std::array::from_fn(|at| f64::from(sums[at])))
    }

    fn diagnostics(&self, steps: u32) -> Diagnostics {
        self.watch.diagnostics(steps)
    }

    fn take_sheet(&mut self) -> Option<Sheet> {
        self.watch.take_sheet()
    }

    fn begin_epoch(&mut self) {
        (self.figures, self.watch) = (zeros(self.device()), TorchWatch::new(self.device()));
    }

    fn averaged(&self) -> Vec<f32> {
        array(&fold(&self.average).parameters).values
    }

    fn state(&self) -> EngineState {
        let plain = |tensor: &Tensor| array(tensor).values;
        EngineState {
            parameters: plain(&self.network.parameters),
            buffers: plain(&self.network.buffers),
            average_parameters: plain(&self.average.parameters),
            average_buffers: plain(&self.average.buffers),
            mean: plain(&self.optimizer.mean),
            variance: plain(&self.optimizer.variance),
            diagnostics: self.watch.sums(),
            watched: self.watch.views(),
            figures: engine::Engine::figures(self),
        }
    }

    fn restore(&mut self, state: EngineState) {
        let _guard = tch::no_grad_guard();
        for (tensor, values) in [
            (&mut self.network.parameters, &state.parameters),
            (&mut self.network.buffers, &state.buffers),
            (&mut self.average.parameters, &state.average_parameters),
            (&mut self.average.buffers, &state.average_buffers),
            (&mut self.optimizer.mean, &state.mean),
            (&mut self.optimizer.variance, &state.variance),
        ] {
            tensor.copy_(&Tensor::from_slice(values));
        }
        self.watch = TorchWatch::restored(&state.diagnostics, state.watched, self.device());
        let figures = state.figures.to_array().map(|figure| figure as f32);
        self.figures = Tensor::from_slice(&figures).to_device(self.device());
    }
}

fn zeros(device: Device) -> Tensor {
    Tensor::zeros([NORM + 1], (Kind::Float, device))
}

/// Cuts views for measuring BatchNorm's initial statistics, in the same way as training views are cut.
fn calibration_views(
    spec: &TrainSpec,
    pictures: &Pictures,
    squares: &Squares,
    input_size: usize,
) -> Vec<Tensor> {
    let has_squares = squares.are_on_device();
    let rendering = if has_squares { Rendering::OnDevice } else { Rendering::Squares };
    let cutter = Cutter::new(spec, pictures, 0, input_size, rendering);
    let batches = views::calibration_batches(spec, pictures);
    batches.iter().map(|indices| render_batch(&cutter.cut(indices), squares)).collect()
}

/// Returns the gradient's norm. On a CPU, sums in a fixed order, because libtorch's order depends on the number of
/// threads.
fn norm(gradient: &Tensor) -> Tensor {
    if gradient.device() != Device::Cpu {
        return gradient.norm();
    }
    let squares = array(gradient).values.into_iter().map(|value| f64::from(value).powi(2));
    Tensor::from(squares.sum::<f64>().sqrt() as f32)
}
